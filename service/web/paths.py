"""Paths of the registry API: names of servers hold a slash, versions anything.

Servers of HTTP decode a path before it is routed, and `io.example%2Fa` becomes two
segments. Here the path is made anew from what was sent, with the slash of the name
encoded, whichever way the client wrote it: routes then see one segment.
"""

from typing import Any

_PREFIXES = (b"/v0.1/servers/", b"/v0/servers/")
_AFTER_NAME = frozenset({b"versions", b"status"})


def readdressed(scope: dict[str, Any]) -> dict[str, Any]:
    """The scope with the path as the routes of this application know it.

    A proxy may leave ROOT_PATH in the path although the server adds it again.
    """
    root: str = scope.get("root_path", "")
    if root and scope["path"].startswith(f"{root}{root}/"):
        raw = scope["raw_path"].removeprefix(root.encode())
        scope = {**scope, "path": scope["path"][len(root) :], "raw_path": raw}
    raw = scope.get("raw_path") or b""
    if b"/servers/" not in raw:
        return scope
    head = root.encode() if raw.startswith(root.encode() + b"/v") else b""
    path = raw.removeprefix(head).partition(b"?")[0]
    prefix = next((start for start in _PREFIXES if path.startswith(start)), None)
    if prefix is None:
        return scope
    told = prefix + _joined(path.removeprefix(prefix).split(b"/"))
    return {**scope, "path": (head + told).decode("latin-1")}


def _joined(segments: list[bytes]) -> bytes:
    """The segments with the name in one."""
    if b"%2f" in segments[0].lower() or not _is_plain(segments):
        return b"/".join(segments)
    return b"%2F".join(segments[:2]) + b"".join(b"/" + part for part in segments[2:])


def _is_plain(segments: list[bytes]) -> bool:
    """Whether the first two segments are one name with its slash as it is."""
    if len(segments) > 2:
        return segments[2] in _AFTER_NAME
    return len(segments) == 2 and segments[1] not in _AFTER_NAME
