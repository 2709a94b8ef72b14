"""What a package.json says: names, dependencies, what runs when it is installed."""

from collections.abc import Iterator, Mapping

import msgspec

from service.models import DependencyType
from service.models_harvest import FoundDependency, FoundTool, Risk
from service.sources.clean import (
    LONGEST_LABEL,
    Object,
    mapping,
    plain,
    text,
)

FILE = "package.json"
MOST_DEPENDENCIES = 2000
# What npm runs on the machine of whoever installs the package.
_INSTALL_SCRIPTS = ("preinstall", "install", "postinstall")
_GYP = "binding.gyp"
_DEPENDENCIES: dict[str, DependencyType] = {
    "dependencies": "runtime",
    "optionalDependencies": "runtime",
    "peerDependencies": "peer",
    "devDependencies": "dev",
}


def read_json(data: bytes) -> Object:
    """A JSON object; an empty one for what is none."""
    try:
        return mapping(msgspec.json.decode(data))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}


def dependencies(document: Object) -> list[FoundDependency]:
    """The libraries that the package needs, each once; the stronger need counts."""
    found: dict[str, FoundDependency] = {}
    for key, kind in _DEPENDENCIES.items():
        for name, constraint in mapping(document.get(key)).items():
            found.setdefault(
                name,
                FoundDependency(
                    library_name=plain(name)[:LONGEST_LABEL],
                    version_constraint=text(constraint, LONGEST_LABEL),
                    ecosystem="npm",
                    type=kind,
                ),
            )
    return list(found.values())[:MOST_DEPENDENCIES]


def package_risks(
    document: Object, files: Mapping[str, bytes], needs: str
) -> Iterator[Risk]:
    """Scripts that run at installation; and `needs`, the dependencies in words."""
    source = files.get(FILE, b"").decode("utf-8", "replace")
    scripts = mapping(document.get("scripts"))
    for name in _INSTALL_SCRIPTS:
        if script := text(scripts.get(name)):
            line = line_of(source, "scripts", name)
            detail = f"{name}: {script}"[:LONGEST_LABEL]
            yield Risk(kind="install_script", file=FILE, line=line, detail=detail)
    if _GYP in files and not any(scripts.get(name) for name in _INSTALL_SCRIPTS[:2]):
        detail = "install: node-gyp rebuild"
        yield Risk(kind="install_script", file=_GYP, detail=detail)
    yield Risk(
        kind="dependencies",
        file=FILE,
        line=line_of(source, "dependencies"),
        detail=needs,
    )


def line_of(source: str, *keys: str) -> int:
    """The line of a key inside of other keys, from 1; 0 when it is not there."""
    place = 0
    for key in keys:
        place = source.find(f'"{key}"', place)
        if place < 0:
            return 0
    return source.count("\n", 0, place) + 1


def listed_tools(document: Object) -> list[FoundTool]:
    """The tools that a manifest lists: `tools` of an mcpb manifest, or of `mcp`."""
    listed = document.get("tools") or mapping(document.get("mcp")).get("tools")
    return [
        FoundTool(
            name=str(text(item.get("name"), LONGEST_LABEL)),
            description=text(item.get("description")),
            input_schema=item.get("inputSchema"),
        )
        for item in (listed if isinstance(listed, list) else [])
        if isinstance(item, dict) and text(item.get("name"))
    ]
