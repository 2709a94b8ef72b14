"""compose.yaml: what it starts, in which order, and what it refuses."""

import copy
from typing import Any

import pytest

from service.settings import Settings, read_settings
from service.store import launcher
from tests.house.tree import ROOT
from tests.ops.operations import (
    NOT_OURS,
    SETTINGS,
    Unset,
    compose,
    containerfile,
    dot_env,
    interpolated,
    variables,
    wrong_command,
)

PASSWORD = "p$:/@ ß"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    services: dict[str, Any] = compose(dot_env(POSTGRES_PASSWORD=PASSWORD))["services"]
    return services


def open_to_the_network(service: Any) -> list[str]:
    """The ports of a service that other machines reach."""
    ports = service.get("ports", [])
    return [port for port in ports if not port.startswith("127.0.0.1:")]


def test_it_starts_postgresql_16_with_the_settings_of_the_guide(
    services: dict[str, Any],
) -> None:
    postgres = services["postgres"]
    assert postgres["image"] == "postgres:16"
    assert {
        "-cmax_connections=200",
        "-cshared_buffers=256MB",
        "-ceffective_cache_size=1GB",
    } <= set(postgres["command"])
    check = postgres["healthcheck"]["test"]
    assert check[0] == "CMD-SHELL"
    assert "pg_isready -h 127.0.0.1" in check[1]
    assert '-U "$POSTGRES_USER" -d "$POSTGRES_DB"' in check[1]


def test_the_server_makes_the_database_that_the_api_uses(
    services: dict[str, Any],
) -> None:
    made = services["postgres"]["environment"]
    environ = {**dot_env(), **services["api"]["environment"]}
    names = ("POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB")
    assert {name: made[name] for name in names} == {
        name: environ[name] for name in names
    }
    assert services["postgres"]["command"][0] == "postgres"


def test_the_server_keeps_memory_as_the_embedded_one_does(
    services: dict[str, Any],
) -> None:
    made = services["postgres"]["environment"]
    kept = {name: value for name, value in made.items() if name.startswith("MALLOC")}
    assert kept
    assert kept.items() <= launcher.ENVIRONMENT.items()


def test_the_catalog_runs_without_rights_and_survives_a_reboot(
    services: dict[str, Any],
) -> None:
    for name in ("api", "migrate", "mcps-harvester"):
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["read_only"] is True
        assert services[name]["tmpfs"] == ["/tmp"]
        assert services[name]["security_opt"] == ["no-new-privileges:true"]
        assert services[name]["build"]["context"] == "."
        assert services[name]["image"] == services["api"]["image"]
    assert services["migrate"]["healthcheck"] == {"disable": True}
    for name in ("api", "mcps-harvester", "postgres"):
        assert services[name]["restart"] == "unless-stopped"


def test_the_api_waits_for_the_database_and_its_migrations(
    services: dict[str, Any],
) -> None:
    healthy = {"condition": "service_healthy"}
    completed = {"condition": "service_completed_successfully"}
    assert services["migrate"]["depends_on"] == {"postgres": healthy}
    for name in ("api", "mcps-harvester"):
        wanted = {"postgres": healthy, "migrate": completed}
        assert services[name]["depends_on"] == wanted
    assert services["migrate"]["restart"] == "no"


def test_pgadmin_starts_only_with_the_profile_dev(services: dict[str, Any]) -> None:
    profiled = {n: s["profiles"] for n, s in services.items() if "profiles" in s}
    assert profiled == {"pgadmin": ["dev"]}


def test_pgadmin_takes_the_login_of_the_sample(services: dict[str, Any]) -> None:
    pgadmin = services["pgadmin"]
    assert pgadmin["image"].startswith("dpage/pgadmin4:")
    given = pgadmin["environment"]
    assert given["PGADMIN_DEFAULT_EMAIL"] == "admin@mcps.local"
    # Such an address is refused unless its domain is listed.
    assert given["PGADMIN_CONFIG_ALLOW_SPECIAL_EMAIL_DOMAINS"] == '["local"]'


def test_nothing_starts_without_a_password() -> None:
    with pytest.raises(Unset, match=r"POSTGRES_PASSWORD: copy env\.sample to \.env"):
        compose(dot_env())
    with pytest.raises(Unset, match="POSTGRES_PASSWORD"):
        compose({})


def test_there_is_no_default_password() -> None:
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    rendered = interpolated(text.replace("$$", ""), dot_env(POSTGRES_PASSWORD=PASSWORD))
    assert "PGADMIN_DEFAULT_PASSWORD: \n" in rendered
    lines = [line for line in rendered.splitlines() if "_PASSWORD: " in line]
    assert {line.split(": ", 1)[1] for line in lines} == {"", PASSWORD}


def test_database_and_pgadmin_listen_on_loopback_alone(
    services: dict[str, Any],
) -> None:
    assert open_to_the_network(services["postgres"]) == []
    assert open_to_the_network(services["pgadmin"]) == []
    assert open_to_the_network(services["mcps-harvester"]) == []
    assert services["api"]["ports"] == ["8000:8000"]
    assert open_to_the_network(services["api"])


def test_every_variable_is_a_setting_or_in_env_sample(services: dict[str, Any]) -> None:
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    # The image of the server is no setting of MCPS.
    assert variables(text) - {"POSTGRES_IMAGE"} <= dot_env().keys()
    for name in ("api", "migrate", "mcps-harvester"):
        given = {
            key for key in services[name]["environment"] if not NOT_OURS.match(key)
        }
        assert given <= SETTINGS


def test_the_containers_read_settings_that_mcps_accepts(
    services: dict[str, Any],
) -> None:
    for name in ("api", "migrate", "mcps-harvester"):
        settings = read_settings(
            {
                **dot_env(
                    DATABASE_URL="postgresql://elsewhere/x", POSTGRES_PORT="6000"
                ),
                **services[name]["environment"],
            }
        )
        expected = "postgresql://mcps:p%24%3A%2F%40%20%C3%9F@postgres:5432/mcps"
        assert settings.postgres_url == expected
        assert settings.environment == "production"
    assert settings.prometheus_multiproc_dir == ""
    assert not settings.is_sqlite
    api = read_settings({**dot_env(), **services["api"]["environment"]})
    assert api.api_host == "0.0.0.0"


def test_the_ports_of_compose_image_and_settings_agree(
    services: dict[str, Any],
) -> None:
    exposed = [words for name, words in containerfile() if name == "EXPOSE"]
    assert exposed == [services["api"]["environment"]["API_PORT"]]
    assert services["api"]["ports"] == [f"{Settings().api_port}:{exposed[0]}"]


def test_the_pools_of_all_workers_fit_into_the_server(services: dict[str, Any]) -> None:
    given = [c for c in services["postgres"]["command"] if "max_connections" in c]
    settings = Settings()
    one = settings.db_pool_size + settings.db_max_overflow + 1
    harvester = settings.harvest_pool_size + settings.harvest_max_overflow + 1
    assert (
        settings.api_workers * one + harvester <= int(given[0].partition("=")[2]) - 10
    )


def test_it_stops_later_than_the_service_does(services: dict[str, Any]) -> None:
    settings = Settings()
    grace_s = int(services["api"]["stop_grace_period"].removesuffix("s"))
    assert settings.shutdown_delay + settings.shutdown_timeout < grace_s


def test_its_commands_exist(services: dict[str, Any]) -> None:
    assert wrong_command(services["migrate"]["command"]) == ""
    assert wrong_command(services["mcps-harvester"]["command"]) == ""
    assert "command" not in services["api"]


def test_what_it_names_is_there(services: dict[str, Any]) -> None:
    whole = compose(dot_env(POSTGRES_PASSWORD=PASSWORD))
    used = {
        volume.split(":")[0]
        for service in services.values()
        for volume in service.get("volumes", [])
    }
    assert used == set(whole["volumes"])
    for name in ("api", "migrate", "mcps-harvester"):
        assert services[name]["env_file"] == ".env"
        assert (ROOT / services[name]["build"]["dockerfile"]).is_file()
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)


def test_the_rules_see_a_port_and_a_missing_variable(services: dict[str, Any]) -> None:
    postgres = copy.deepcopy(services["postgres"])
    postgres["ports"] = ["5432:5432"]
    assert open_to_the_network(postgres)
    assert interpolated("${A:-b} ${A-b} $$ ${A}", {"A": ""}) == "b  $ "
    with pytest.raises(Unset):
        interpolated("${A:?set it}", {"A": ""})
    assert wrong_command(["mcps", "nothing"])
    assert wrong_command(["mcps", "serve", "--nothing"])
    assert wrong_command(["yoyo", "apply"])
    assert wrong_command(["mcps", "serve", "--workers", "4"]) == ""
