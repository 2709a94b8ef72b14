"""Publishing to running processes, and settings of it that stop the start."""

from pathlib import Path

import httpx
import pytest

from tests.cli.test_serve import running
from tests.cluster import children_of
from tests.conftest import RunMcps
from tests.publish.conftest import document
from tests.waiting import until


async def test_every_worker_takes_the_tokens_of_all_others(
    database_url: str, tmp_path: Path
) -> None:
    async with running(
        tmp_path,
        "serve",
        DATABASE_URL=database_url,
        API_WORKERS="2",
        REGISTRY_LOGINS="none",
    ) as service:
        await until(lambda: len(children_of(service.process.pid)) >= 2)
        for at in range(10):
            # A connection of its own each: any worker may answer.
            async with httpx.AsyncClient(base_url=service.base) as client:
                answer = await client.post("/v0/auth/none")
                token = answer.json()["registry_token"]
            headers = {"Authorization": f"Bearer {token}"}
            name = f"io.modelcontextprotocol.anonymous/trial-{at}"
            async with httpx.AsyncClient(base_url=service.base) as client:
                body = document(name=name)
                answer = await client.post("/v0/publish", json=body, headers=headers)
                assert answer.status_code == 200, answer.text
                # Who wrote reads at once what was written, from kept answers as well.
                path = f"/v0.1/servers/{name.replace('/', '%2F')}/versions/latest"
                assert (await client.get(path)).json() == answer.json()
    assert "eyJ" not in service.log.read_text(), "no token in the log"


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"REGISTRY_LOGINS": "sms"}, "REGISTRY_LOGINS"),
        ({"REGISTRY_LOGINS": "oidc"}, "OIDC_ISSUER"),
        ({"REGISTRY_TOKEN_KEY": "secret123"}, "REGISTRY_TOKEN_KEY"),
        ({"OWNERSHIP_CHECKS": "npm"}, "OWNERSHIP_NPM_URLS"),
        ({"DNS_RESOLVER": "dns.example"}, "DNS_RESOLVER"),
        (
            {"REGISTRY_LOGINS": "dns", "ENVIRONMENT": "production"},
            "openssl rand -hex 32",
        ),
    ],
)
def test_a_wrong_setting_ends_the_start_with_one_line(
    run_mcps: RunMcps, variables: dict[str, str], named: str
) -> None:
    done = run_mcps("serve", env=variables)
    assert done.returncode == 2
    assert named in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "secret123" not in done.stderr
