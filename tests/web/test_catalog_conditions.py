"""ETag, If-None-Match and If-Match: no copy sent twice, no change lost."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.web.rows import Headers, add_children

MINIMAL = {"name": "one", "primary_url": "https://example.org/one"}


@pytest.fixture
async def path(client: httpx.AsyncClient, admin: Headers) -> str:
    """The path of one server."""
    response = await client.post("/servers", json=MINIMAL, headers=admin)
    return str(response.headers["location"])


async def test_a_copy_that_is_still_good_is_not_sent_again(
    client: httpx.AsyncClient, path: str
) -> None:
    tag = (await client.get(path)).headers["etag"]
    assert tag[0] == tag[-1] == '"'
    for condition in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        response = await client.get(path, headers={"If-None-Match": condition})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == tag
        assert "content-type" not in response.headers
    for condition in ('"other"', tag.strip('"'), "", '"', 'W/"'):
        response = await client.get(path, headers={"If-None-Match": condition})
        assert response.status_code == 200


async def test_the_etag_moves_with_everything_the_answer_shows(
    client: httpx.AsyncClient, admin: Headers, path: str, database: Any
) -> None:
    tags = [(await client.get(path)).headers["etag"]]
    for change in ({"stars": 1}, {"readme_content": "new"}, {"readme_content": None}):
        response = await client.patch(path, json=change, headers=admin)
        tags.append(response.headers["etag"])
        assert (await client.get(path)).headers["etag"] == tags[-1]
    await add_children(database, int(path.rsplit("/", 1)[1]), 2)
    response = await client.get(path)
    tags.append(response.headers["etag"])
    assert response.json()["counts"]["tools"] == 2
    assert len(set(tags)) == len(tags)


@pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE"])
async def test_a_change_to_another_state_than_was_read_is_refused(
    client: httpx.AsyncClient, admin: Headers, path: str, method: str
) -> None:
    old = (await client.get(path)).headers["etag"]
    await client.patch(path, json={"stars": 1}, headers=admin)
    current = await client.get(path)
    new = current.headers["etag"]
    body = None if method == "DELETE" else {**MINIMAL, "stars": 7}
    for condition in (old, f"W/{new}", new.strip('"'), "", "garbage", f'{old}, "x"'):
        headers = {**admin, "If-Match": condition}
        response = await client.request(method, path, json=body, headers=headers)
        assert response.status_code == 412, condition
        assert response.json()["code"] == "precondition_failed"
        assert (await client.get(path)).content == current.content
    headers = {**admin, "If-Match": f"{old}, {new}"}
    response = await client.request(method, path, json=body, headers=headers)
    assert response.status_code in {200, 204}


async def test_any_state_will_do_for_a_star(
    client: httpx.AsyncClient, admin: Headers, path: str
) -> None:
    headers = {**admin, "If-Match": "*"}
    changed = await client.patch(path, json={"stars": 1}, headers=headers)
    assert changed.status_code == 200
    missing = await client.patch("/servers/999", json={"stars": 1}, headers=headers)
    assert missing.status_code == 404


async def test_of_many_editors_of_one_state_one_succeeds(
    client: httpx.AsyncClient, admin: Headers, path: str
) -> None:
    for _ in range(5):
        tag = (await client.get(path)).headers["etag"]
        headers = {**admin, "If-Match": tag}
        stars = int((await client.get(path)).json()["stars"])
        answers = await asyncio.gather(
            *(
                client.patch(path, json={"stars": stars + n}, headers=headers)
                for n in range(1, 6)
            )
        )
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [200, 412, 412, 412, 412]
        winner = next(a.json() for a in answers if a.status_code == 200)
        assert (await client.get(path)).json() == winner


async def test_changes_of_different_fields_at_once_are_all_kept(
    client: httpx.AsyncClient, admin: Headers, path: str
) -> None:
    for value in range(1, 6):
        fields = ("stars", "downloads", "forks", "open_issues")
        answers = await asyncio.gather(
            *(client.patch(path, json={f: value}, headers=admin) for f in fields)
        )
        assert {answer.status_code for answer in answers} == {200}
        server = (await client.get(path)).json()
        assert [server[field] for field in fields] == [value] * 4
        assert server["updated_at"] == max(a.json()["updated_at"] for a in answers)
