"""What the code of a JavaScript package reaches for: shell, files, network, eval.

Seen are modules that are imported and the calls that need no import. It says what the
code could do, not that it does harm; a fact that is missing proves nothing.
"""

from collections.abc import Iterator

from service.models_harvest import Risk, RiskKind
from service.sources.javascript_tokens import Script

_MODULES: dict[str, RiskKind] = {
    **dict.fromkeys(
        (
            *("child_process", "execa", "shelljs", "cross-spawn", "node-pty", "zx"),
            *("ssh2", "sudo-prompt"),
        ),
        "shell",
    ),
    **dict.fromkeys(
        (
            *("fs", "fs/promises", "fs-extra", "graceful-fs", "rimraf", "del"),
            *("chokidar", "memfs"),
        ),
        "file_system",
    ),
    **dict.fromkeys(
        (
            *("http", "https", "http2", "net", "tls", "dgram", "axios", "got", "ky"),
            *("node-fetch", "undici", "ws", "superagent", "request", "nodemailer"),
            "cross-fetch",
        ),
        "network",
    ),
    **dict.fromkeys(("vm", "vm2", "isolated-vm", "eval"), "eval"),
}
_CALLS: dict[str, RiskKind] = {
    "eval": "eval",
    "Function": "eval",
    "fetch": "network",
    "WebSocket": "network",
}
_IMPORTING = frozenset({"from", "import"})


def find_javascript_risks(script: Script) -> Iterator[Risk]:
    """The first place of each thing that the file reaches for."""
    seen: set[str] = set()
    for place in range(len(script.tokens)):
        kind, detail = _told(script, place)
        if kind is not None and detail not in seen:
            seen.add(detail)
            line = script.line(place)
            yield Risk(kind=kind, file=script.path, line=line, detail=detail)


def _told(script: Script, place: int) -> tuple[RiskKind | None, str]:
    """Kind and words of what a token reaches for."""
    token = script.tokens[place]
    before = script.says(place - 1)
    if token.kind in {"text", "template"}:
        is_call = before == "(" and script.says(place - 2) in {"require", "import"}
        name = token.text.removeprefix("node:")
        is_imported = is_call or before in _IMPORTING
        return (_MODULES.get(name) if is_imported else None), name
    if token.kind != "name" or token.text not in _CALLS:
        return None, ""
    is_called = script.says(place + 1) == "(" and before not in {".", "function", "?."}
    is_method = script.says(script.partners.get(place + 1, place) + 1) == "{"
    is_made = before == "new"
    if not is_called or (is_method and not is_made):
        return None, ""
    return _CALLS[token.text], f"{'new ' if is_made else ''}{token.text}"
