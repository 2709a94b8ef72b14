"""The Kubernetes manifests: probes, shutdown, secrets, and that they fit each other."""

from typing import Any

import pytest
import yaml

from service.settings import read_settings
from tests.house.tree import ROOT
from tests.ops.operations import SETTINGS, containerfile, manifests, wrong_command

FOLDER = ROOT / "ops/kubernetes"
PODS = ("deployment.yaml", "migrate.yaml", "harvester.yaml")


def pod(name: str) -> Any:
    """The pod template of a manifest."""
    return manifests(name)[0]["spec"]["template"]


def container(name: str) -> Any:
    """The only container of a manifest."""
    (found,) = pod(name)["spec"]["containers"]
    return found


def given(name: str = "deployment.yaml") -> dict[str, str]:
    """The variables that a manifest sets."""
    return {entry["name"]: entry["value"] for entry in container(name)["env"]}


def test_liveness_never_asks_the_database_and_readiness_does() -> None:
    api = container("deployment.yaml")
    paths = {
        probe: api[probe]["httpGet"]["path"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert paths == {
        "startupProbe": "/health",
        "livenessProbe": "/health",
        "readinessProbe": "/health/db",
    }
    # /health/db answers within one second, always.
    assert api["readinessProbe"]["timeoutSeconds"] > 1


def test_running_requests_end_before_the_pod_is_killed() -> None:
    settings = read_settings(given())
    grace_s = pod("deployment.yaml")["spec"]["terminationGracePeriodSeconds"]
    assert grace_s == 30
    assert settings.shutdown_delay + settings.shutdown_timeout + 5 < grace_s


def test_a_pod_answers_until_the_endpoints_know_that_it_leaves() -> None:
    probe = container("deployment.yaml")["readinessProbe"]
    noticed_s = probe["periodSeconds"] * probe["failureThreshold"]
    assert read_settings(given()).shutdown_delay > noticed_s


def test_every_variable_and_every_secret_is_a_setting() -> None:
    (secret,) = manifests("secret.example.yaml")
    assert set(given()) | set(given("harvester.yaml")) <= SETTINGS
    assert set(secret["stringData"]) <= SETTINGS
    for name in PODS:
        sources = container(name)["envFrom"]
        assert sources == [{"secretRef": {"name": secret["metadata"]["name"]}}]


def test_no_manifest_holds_a_secret() -> None:
    (secret,) = manifests("secret.example.yaml")
    values = secret["stringData"].values()
    assert [value for value in values if "CHANGE-ME" not in value] == []
    kustomization = manifests("kustomization.yaml")[0]
    assert "secret.example.yaml" not in kustomization["resources"]


def test_the_commands_exist() -> None:
    assert [wrong_command(container(name)["args"]) for name in PODS] == ["", "", ""]


def test_all_pods_run_the_same_image() -> None:
    assert len({container(name)["image"] for name in PODS}) == 1


def test_the_harvester_is_scraped_where_it_shows_its_metrics() -> None:
    settings = read_settings(given("harvester.yaml"))
    (port,) = container("harvester.yaml")["ports"]
    annotations = pod("harvester.yaml")["metadata"]["annotations"]
    assert port["containerPort"] == settings.harvest_metrics_port
    assert annotations["prometheus.io/port"] == str(settings.harvest_metrics_port)
    assert settings.api_host == "0.0.0.0"


def test_the_service_and_the_scrape_reach_the_port_of_the_image() -> None:
    exposed = [words for name, words in containerfile() if name == "EXPOSE"]
    (port,) = container("deployment.yaml")["ports"]
    annotations = pod("deployment.yaml")["metadata"]["annotations"]
    (service,) = manifests("service.yaml")
    assert [str(port["containerPort"])] == exposed
    assert annotations["prometheus.io/port"] == exposed[0]
    assert annotations["prometheus.io/path"] == "/metrics"
    assert annotations["prometheus.io/scrape"] == "true"
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]


@pytest.mark.parametrize("name", ["deployment.yaml", "service.yaml", "disruption.yaml"])
def test_every_selector_fits_the_pods_that_serve_and_no_other(name: str) -> None:
    selector = manifests(name)[0]["spec"]["selector"]
    wanted = selector.get("matchLabels", selector)
    assert wanted.items() <= pod("deployment.yaml")["metadata"]["labels"].items()
    for other in ("migrate.yaml", "harvester.yaml"):
        assert not wanted.items() <= pod(other)["metadata"]["labels"].items()


@pytest.mark.parametrize("name", PODS)
def test_the_containers_have_a_place_for_temporary_files(name: str) -> None:
    (mount,) = container(name)["volumeMounts"]
    (volume,) = pod(name)["spec"]["volumes"]
    assert mount == {"name": volume["name"], "mountPath": "/tmp"}
    assert volume["emptyDir"] == {}


def test_the_job_runs_to_its_end_once() -> None:
    (job,) = manifests("migrate.yaml")
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    assert job["spec"]["backoffLimit"] > 0


def test_a_rollout_never_has_fewer_pods_than_wanted() -> None:
    (deployment,) = manifests("deployment.yaml")
    assert deployment["spec"]["replicas"] > 1
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    (budget,) = manifests("disruption.yaml")
    assert budget["spec"]["minAvailable"] < deployment["spec"]["replicas"]


@pytest.mark.parametrize("name", PODS)
def test_the_containers_run_without_rights(name: str) -> None:
    assert pod(name)["spec"]["securityContext"]["runAsNonRoot"] is True
    assert container(name)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def test_the_kustomization_names_files_that_are_there() -> None:
    named = manifests("kustomization.yaml")[0]["resources"]
    assert [name for name in named if not (FOLDER / name).is_file()] == []


def test_every_manifest_is_yaml_with_a_kind_and_a_name() -> None:
    for path in FOLDER.glob("*.yaml"):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            assert document["kind"]
            assert document["apiVersion"]
            is_named = "name" in document.get("metadata", {})
            assert is_named or document["kind"] == "Kustomization"
