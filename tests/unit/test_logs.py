"""What a line of the log looks like."""

import asyncio
import io
import sys
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from service import logs


@pytest.mark.parametrize("form", ["json", "text"])
async def test_the_line_of_a_request_has_its_time_as_all_others_have(
    monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    said = io.StringIO()
    monkeypatch.setattr(sys, "stderr", said)
    monkeypatch.setattr(logs._State, "is_json", form == "json")
    monkeypatch.setattr(logs._State, "is_on", True)
    begun_at = datetime.now(UTC) - timedelta(seconds=1)
    logs.access(method="GET", path="/x", status=200, took_s=0.1, request_id="r")
    await asyncio.sleep(0)
    (line,) = said.getvalue().splitlines()
    text = (
        msgspec.json.decode(line)["timestamp"] if form == "json" else line.split(" ")[0]
    )
    assert len(text) == len("2026-01-31T12:00:00.000000Z")
    assert begun_at <= datetime.fromisoformat(text) <= datetime.now(UTC)
