"""What has to hold in every fault test: nine rules over all that was seen.

The catalog is a function of row and version (tests/lab/rows.py), so every answer can be
checked without having been there when it was made.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec
import psycopg

from tests.lab import rows
from tests.lab.http import Client
from tests.lab.load import Call

EXPECTED = frozenset({200, 201, 503})
FILES_MORE = 5
RSS_SHARE = 1.10
RSS_SLACK_BYTES = 12_000_000
MAX_SHOWN = 10


class Walk(msgspec.Struct, frozen=True):
    """A whole list, read page by page; None when a page failed on the way."""

    urls: list[str] | None
    word: str


class Ledger(msgspec.Struct):
    """What one test saw beside its calls."""

    walks: list[Walk] = msgspec.field(default_factory=list)
    may_be_lost: bool = False
    """Whether acknowledged writes may be gone: an asynchronous standby took over."""
    also_allowed: frozenset[int] = frozenset()


def judge(calls: Sequence[Call], ledger: Ledger, url: str) -> list[str]:
    """Every breach of rules 1 to 8; `url` is that of the database after the calm."""
    final = final_rows(url)
    found = [
        *whole_rows(calls),
        *not_falsely_empty(calls),
        *exact_walks(ledger.walks),
        *versions_in_order(calls),
        *expected_statuses(calls, ledger.also_allowed),
        *whole_refusals(calls),
        *final_is_whole(final),
    ]
    if not ledger.may_be_lost:
        found += acknowledged_is_there(calls, final)
    found += there_was_attempted(calls, final)
    return found[:MAX_SHOWN]


def whole_rows(calls: Iterable[Call]) -> Iterator[str]:
    """Rule 1: each 200 parses, and the checksum of each row is right."""
    for call in calls:
        if call.answer.status != 200:
            continue
        try:
            found = rows_of(call)
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            yield f"rule 1: {call.kind} does not parse: {error}"
            continue
        torn = [row for row in found if "stars" in row and not rows.is_whole(row)]
        yield from (f"rule 1: {call.kind} shows a torn row: {row}" for row in torn)


def not_falsely_empty(calls: Iterable[Call]) -> Iterator[str]:
    """Rule 2: a page is empty only when nothing fits; here something always does."""
    for call in calls:
        if call.answer.status != 200 or call.kind not in {"list", "search"}:
            continue
        size = len(rows_of(call))
        if size == 0:
            yield f"rule 2: {call.kind} is empty"
        elif call.kind == "list" and size != min(rows.STATIC, 40):
            yield f"rule 2: a list has {size} rows"


def exact_walks(walks: Iterable[Walk]) -> Iterator[str]:
    """Rules 3 and 4: a walk shows each row once, static ones exactly, in order."""
    static = [rows.url("static", number) for number in range(rows.STATIC)]
    moving = [rows.url("moving", number) for number in range(rows.MOVING)]
    for walk in walks:
        if walk.urls is None:
            continue
        rule, wanted = (3, static) if walk.word == "static" else (4, moving)
        if walk.urls == wanted:
            continue
        counted = Counter(walk.urls)
        twice = [url for url, times in counted.items() if times > 1]
        missing = sorted(set(wanted) - set(counted))
        yield f"rule {rule}: twice {twice[:3]}, missing {missing[:3]}, or out of order"


def versions_in_order(calls: Iterable[Call]) -> Iterator[str]:
    """Rule 6: what was read is no older than what was acknowledged or read before.

    Unless the answer says that it is: while the database is away that is allowed.
    """
    moments: dict[int, list[tuple[float, int]]] = {}
    for call in calls:
        if call.kind == "change" and call.is_good:
            seen = (call.answer.ended_at, call.version)
            moments.setdefault(call.number, []).append(seen)
        if call.kind == "server" and call.answer.status == 200:
            seen = (call.answer.ended_at, call.answer.json()["stars"])
            moments.setdefault(call.number, []).append(seen)
    for call in calls:
        if call.kind != "server" or call.answer.status != 200 or call.is_stale:
            continue
        known = moments.get(call.number, [])
        before = [v for at, v in known if at < call.answer.began_at]
        shown = call.answer.json()["stars"]
        if before and shown < max(before):
            yield f"rule 6: row {call.number} went from {max(before)} to {shown}"


def expected_statuses(calls: Iterable[Call], more: frozenset[int]) -> Iterator[str]:
    """Rule 7: nothing but success, a client's error and 503."""
    for call in calls:
        status = call.answer.status
        if status in EXPECTED or 400 <= status < 500 or status in more:
            continue
        yield f"rule 7: {call.kind} got {status}: {call.answer.body[:200]!r}"


def whole_refusals(calls: Iterable[Call]) -> Iterator[str]:
    """Rule 8: every 503 says why and when to ask again."""
    for call in calls:
        if call.answer.status != 503:
            continue
        wait = call.answer.headers.get("retry-after", "")
        if not wait.isdigit() or not 1 <= int(wait) <= 5:
            yield f"rule 8: Retry-After is {wait!r}"
        if not call.answer.json().get("code"):
            yield f"rule 8: no code in {call.answer.body[:200]!r}"


def final_is_whole(final: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Rule 1, for what is stored in the end."""
    yield from (
        f"rule 1: a torn row is stored: {row}"
        for row in final
        if not rows.is_whole(row)
    )


def acknowledged_is_there(
    calls: Iterable[Call], final: Sequence[dict[str, Any]]
) -> list[str]:
    """Rule 5, first half: what was acknowledged is there in the end."""
    stars = {row["primary_url"]: row["stars"] for row in final}
    found = []
    for call in calls:
        if call.is_read or not call.is_good:
            continue
        kind = "added" if call.kind == "add" else "moving"
        address = rows.url(kind, call.number)
        if stars.get(address, -1) < call.version:
            found.append(f"rule 5: {address} {call.version} was acknowledged, is gone")
    return found


def there_was_attempted(
    calls: Iterable[Call], final: Sequence[dict[str, Any]]
) -> list[str]:
    """Rule 5, second half: nothing is there that nobody sent, and nothing twice."""
    sent = {row["primary_url"]: 0 for row in rows.first_rows()}
    for call in calls:
        if not call.is_read:
            kind = "added" if call.kind == "add" else "moving"
            address = rows.url(kind, call.number)
            sent[address] = max(sent.get(address, 0), call.version)
    counted = Counter(row["primary_url"] for row in final)
    return [f"rule 5: {url} is there twice" for url, n in counted.items() if n > 1] + [
        f"rule 5: {row['primary_url']} {row['stars']} was never sent"
        for row in final
        if row["stars"] > sent.get(row["primary_url"], -1)
    ]


def rows_of(call: Call) -> list[dict[str, Any]]:
    """The servers of an answer."""
    found = call.answer.json()
    if call.kind == "list":
        return list(found)
    return list(found["servers"]) if call.kind == "search" else [found]


def final_rows(url: str, words: tuple[str, ...] = rows.WORDS) -> list[dict[str, Any]]:
    """The rows of the lab of these kinds as they are stored."""
    sql = "select primary_url, description, stars from server order by primary_url"
    with psycopg.connect(url) as connection:
        rows_found = connection.execute(sql).fetchall()
    return [
        {"primary_url": address, "description": text, "stars": stars}
        for address, text, stars in rows_found
        if address.removeprefix("https://").startswith(words)
    ]


async def walk(client: Client, word: str, tell: Callable[[Call], None]) -> Walk:
    """Read a whole list, page by page."""
    path = f"/servers?keyword={word}&sort=name&limit=25"
    urls: list[str] = []
    while path:
        answer = await client.get(path)
        tell(Call("page", answer))
        if answer.status != 200:
            return Walk(None, word)
        urls += [row["primary_url"] for row in answer.json()]
        link = answer.headers.get("link", "")
        path = link[1:].partition(">")[0]
    return Walk(urls, word)
