"""Code that was made to hurt whoever reads it, and what of a package is read."""

import asyncio
import os
import time

import pytest

from service.errors import SourceFailed
from service.models_harvest import Risk
from service.sources import inspection
from service.sources.inspection import inspect, inspect_apart, is_code
from tests.cluster import children_of

SDK = b"import mcp\n"


@pytest.mark.parametrize(
    ("path", "is_read"),
    [
        ("server.py", True),
        ("src/deep/index.mjs", True),
        ("dist/index.js", True),
        ("index.ts", True),
        ("index.d.ts", False),
        ("README.md", False),
        ("tests/server.py", False),
        ("test_server.py", False),
        ("pkg/server_test.py", False),
        ("dist/__tests__/a.js", False),
        ("a.test.ts", False),
        ("node_modules/x/index.js", False),
        ("docs/conf.py", False),
    ],
)
def test_only_the_code_that_its_users_run_is_read(path: str, is_read: bool) -> None:  # noqa: FBT001
    assert is_code(path) is is_read


async def test_another_process_finds_the_same() -> None:
    files = {
        "a.py": SDK + b"@mcp.tool()\ndef a(x: int): 'Does.'\neval(x)\n",
        "b.js": b"import '@modelcontextprotocol/x'; server.registerTool('b', {}, f)",
        "README.md": b"# no code",
    }
    apart = await inspect_apart(files)
    code = {path: data for path, data in files.items() if is_code(path)}
    assert apart == inspect(code)
    assert [tool.name for tool in apart.tools] == ["a", "b"]
    assert apart.risks == [Risk(kind="eval", file="a.py", line=4, detail="eval")]


async def test_a_package_without_code_needs_no_process() -> None:
    assert (await inspect_apart({"README.md": b""})).tools == []


async def test_settings_are_not_handed_to_what_reads_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ADMIN_API_KEY", "secret")
    seen: dict[str, str] = {}
    start = asyncio.create_subprocess_exec

    async def watched(*command: str, **options: object) -> object:
        seen.update(options["env"])  # type: ignore[call-overload]
        return await start(*command, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", watched)
    await inspect_apart({"a.py": b"1"})
    assert set(seen) == {"PYTHONPATH"}


async def test_code_that_keeps_a_parser_busy_is_given_up_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inspection, "LIMIT_S", 0.5)
    files = {f"{n}.py": b"a=" * 200_000 + b"1" for n in range(20)}
    before = children_of(os.getpid())
    began_at = time.monotonic()
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    beside = asyncio.create_task(tick())
    with pytest.raises(SourceFailed, match="cannot be read within"):
        await inspect_apart(files)
    beside.cancel()
    assert time.monotonic() - began_at < 10
    assert ticks > 5
    assert children_of(os.getpid()) == before


async def test_texts_that_multiply_are_cut() -> None:
    lines = ["const a0 = 'x'.trim()"]
    lines += [f"const a{n + 1} = a{n} + a{n} + a{n} + a{n}" for n in range(11)]
    many = "".join(
        f"server.registerTool('t{n}', {{ description: a11 }}, f);" for n in range(50)
    )
    code = "\n".join(lines) + "\n" + many + "// modelcontextprotocol"
    findings = await inspect_apart({"a.js": code.encode()})
    assert all(len(tool.description or "") <= 10_000 for tool in findings.tools)


def test_places_of_one_thing_are_listed_up_to_a_number() -> None:
    files = {f"{n:02}.py": b"eval(x)\nopen(x)" for n in range(30)}
    listed = inspect(files).risks
    assert [risk.file for risk in listed if risk.kind == "eval"] == [
        f"{n:02}.py" for n in range(inspection.MOST_PLACES)
    ]


def test_what_cannot_be_stored_is_mended() -> None:
    python = SDK + b"@mcp.tool()\ndef a(x='\\ud800', y=2**70, z=%d):\n  '\\0'\n"
    python = python % 10**30
    script = b"server.registerTool('b\\u0000', { description: '\\ud83d' }, f)//fastmcp"
    found = inspect({"a.py": python, "b.js": script + b"\0"})
    first, second = found.tools
    assert first.description == "\ufffd"
    assert first.input_schema["properties"] == {
        "x": {"default": "\ufffd"},
        "y": {},
        "z": {},
    }
    assert "\0" not in second.name
    assert second.description == "\ufffd"
