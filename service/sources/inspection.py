"""What the code of a package offers and reaches for, read in a process of its own.

Parsers are written for code that means well. A file made to keep one busy, or to bring
it down, costs this process some seconds of another one's time: that one has a limit on
processor and memory, no settings, and is killed when it is late. Nothing is run.
"""

import asyncio
import os
import resource
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from service.errors import SourceFailed
from service.models_harvest import FoundPrompt, FoundResource, FoundTool, Risk
from service.sources import javascript_values, python_names
from service.sources.javascript_risks import find_javascript_risks
from service.sources.javascript_tokens import Script
from service.sources.javascript_tools import find_in_javascript
from service.sources.javascript_values import Values
from service.sources.python_names import Module
from service.sources.python_risks import find_python_risks
from service.sources.python_tools import find_in_python, uses_sdk

Named = TypeVar("Named", FoundTool, FoundPrompt)

LIMIT_S = 30.0
PROCESSOR_S = 20
MEMORY_BYTES = 1 << 30
ANSWER_BYTES = 8 << 20
# Places of one thing, and things of one kind, that are worth listing.
MOST_PLACES = 5
MOST_OF_KIND = 60

_PYTHON = (".py",)
_JAVASCRIPT = (".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".jsx", ".tsx")
_DECLARATIONS = (".d.ts", ".d.mts", ".d.cts")
_ELSEWHERE = frozenset(
    (
        *("test", "tests", "__tests__", "testing", "example", "examples", "docs"),
        *("node_modules", "site-packages", ".venv", "benchmarks", "fixtures"),
    )
)
_TEST_ENDS = tuple(f".{word}{end}" for word in ("test", "spec") for end in _JAVASCRIPT)
_SDK_WORDS = (b"modelcontextprotocol", b"fastmcp")


class Findings(msgspec.Struct):
    """What the code shows."""

    tools: list[FoundTool] = []
    resources: list[FoundResource] = []
    prompts: list[FoundPrompt] = []
    risks: list[Risk] = []
    unread: list[str] = []
    """Files that are no code of their language."""


def is_code(path: str) -> bool:
    """Whether a file of a package is worth reading: code that its users run."""
    *folders, name = path.lower().split("/")
    if not name.endswith(_PYTHON + _JAVASCRIPT) or name.endswith(_DECLARATIONS):
        return False
    is_test = name.startswith("test_") or name.endswith(("_test.py", *_TEST_ENDS))
    return not is_test and name != "conftest.py" and not _ELSEWHERE & {*folders}


async def inspect_apart(files: Mapping[str, bytes]) -> Findings:
    """What the code among these files shows. Raises SourceFailed when it takes long."""
    code = {path: data for path, data in files.items() if is_code(path)}
    if not code:
        return Findings()
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            answer, _ = await child.communicate(msgspec.msgpack.encode(code))
    except TimeoutError:
        raise _unfit(LIMIT_S) from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        raise _unfit(PROCESSOR_S)
    return msgspec.msgpack.decode(answer, type=Findings)


def inspect(files: Mapping[str, bytes]) -> Findings:
    """What the code of a package shows; takes the time that it takes."""
    findings = Findings()
    modules = list(_modules(files, findings.unread))
    scripts = [
        Script(path, _text(data).replace("\0", "\ufffd"))
        for path, data in sorted(files.items())
        if path.lower().endswith(_JAVASCRIPT)
    ]
    _find_in_modules(modules, findings)
    if any(word in data for data in files.values() for word in _SDK_WORDS):
        _find_in_scripts(scripts, findings)
    risks = [risk for module in modules for risk in find_python_risks(module)]
    risks += [risk for script in scripts for risk in find_javascript_risks(script)]
    findings.risks = _worth_listing(risks)
    findings.tools = _once(findings.tools)
    findings.prompts = _once(findings.prompts)
    return findings


def _modules(files: Mapping[str, bytes], unread: list[str]) -> Iterator[Module]:
    for path, data in sorted(files.items()):
        if not path.lower().endswith(_PYTHON):
            continue
        try:
            yield Module(path, _text(data))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            unread.append(path)


def _find_in_modules(modules: Sequence[Module], findings: Findings) -> None:
    if not any(uses_sdk(module) for module in modules):
        return
    python_names.link(modules)
    for module in modules:
        _sort_in(find_in_python(module), findings)


def _find_in_scripts(scripts: Sequence[Script], findings: Findings) -> None:
    values = [Values(script) for script in scripts]
    javascript_values.link(values)
    for script, values_of in zip(scripts, values, strict=True):
        _sort_in(find_in_javascript(script, values_of), findings)


def _sort_in(
    found: Iterable[FoundTool | FoundResource | FoundPrompt], findings: Findings
) -> None:
    for item in found:
        if isinstance(item, FoundTool):
            findings.tools.append(item)
        elif isinstance(item, FoundPrompt):
            findings.prompts.append(item)
        else:
            findings.resources.append(item)


def _once(found: Iterable[Named]) -> list[Named]:
    """The first one of each name."""
    by_name: dict[str, Named] = {}
    for item in found:
        by_name.setdefault(item.name, item)
    return list(by_name.values())


def _worth_listing(risks: Iterable[Risk]) -> list[Risk]:
    """The first places of each thing, in the order of their files."""
    places: Counter[tuple[str, str]] = Counter()
    kinds: Counter[str] = Counter()
    listed = []
    for risk in sorted(risks, key=lambda risk: (risk.file, risk.line, risk.detail)):
        thing = (risk.kind, risk.detail)
        if places[thing] < MOST_PLACES and kinds[risk.kind] < MOST_OF_KIND:
            listed.append(risk)
            places[thing] += 1
            kinds[risk.kind] += 1
    return listed


def _text(data: bytes) -> str:
    return data.decode("utf-8-sig", "replace")


def _unfit(limit_s: float) -> SourceFailed:
    message = f"its code cannot be read within {limit_s:g} s and with little memory"
    return SourceFailed(message, reason="too_large")


def main() -> None:
    """Read files from standard input and write what they show to standard output."""
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_S, PROCESSOR_S))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    files = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=dict[str, bytes])
    answer = msgspec.msgpack.encode(inspect(files))
    if len(answer) > ANSWER_BYTES:
        sys.exit(1)
    sys.stdout.buffer.write(answer)


if __name__ == "__main__":
    main()
