"""What the metadata of a Python package says: METADATA, PKG-INFO or pyproject.toml."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from email.parser import HeaderParser
from email.policy import compat32

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from service.models_harvest import FoundDependency, Risk
from service.sources.clean import LONGEST_LABEL, Object, mapping, plain
from service.sources.package_json import MOST_DEPENDENCIES

LONGEST_REQUIREMENT = 2000
_DEV_EXTRAS = frozenset(("dev", "develop", "test", "tests", "testing", "lint", "docs"))
PROJECT = "pyproject.toml"


def dependencies(requirements: Iterable[object]) -> list[FoundDependency]:
    """Requirements as PEP 508 writes them, each library once.

    Those of an extra for developers are of type dev, other extras are left out: nobody
    gets them unasked.
    """
    found: dict[str, FoundDependency] = {}
    for wanted in requirements:
        read = _requirement(wanted)
        if read is not None:
            found.setdefault(read.library_name, read)
    return list(found.values())[:MOST_DEPENDENCIES]


def sorted_versions(versions: Iterable[str]) -> list[str]:
    """Versions from the oldest to the newest by PEP 440; those of no form first."""
    return sorted(versions, key=_version_key)


def latest_version(versions: Iterable[str]) -> str | None:
    """The newest one that is no pre-release, or else the newest of all."""
    ordered = sorted_versions(versions)
    finals = [text for text in ordered if not _is_before_release(text)]
    return (finals or ordered)[-1] if ordered else None


def headers(data: bytes) -> dict[str, list[str]]:
    """The fields of METADATA by names in lower case, its text as `description`."""
    text = data.decode("utf-8", "replace")
    message = HeaderParser(policy=compat32).parsestr(text)
    found: dict[str, list[str]] = {}
    for name, value in message.items():
        found.setdefault(name.lower(), []).append(plain(str(value)))
    payload = message.get_payload()
    if isinstance(payload, str) and payload.strip():
        found.setdefault("description", [plain(payload)])
    return found


def project_table(data: bytes) -> Object:
    """The project table (PEP 621) of a pyproject.toml; empty when there is none."""
    try:
        document = tomllib.loads(data.decode("utf-8", "replace"))
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}
    return mapping(document.get("project"))


def project_requirements(project: Object) -> list[object]:
    """The requirements of a project table, in the form of `Requires-Dist`."""
    listed = project.get("dependencies")
    found: list[object] = [*listed] if isinstance(listed, list) else []
    for extra, wanted in mapping(project.get("optional-dependencies")).items():
        for text in wanted if isinstance(wanted, list) else []:
            joint = " and " if ";" in str(text) else " ; "
            found.append(f'{text}{joint}extra == "{extra}"')
    return found


def package_risks(files: Mapping[str, bytes], needs: str) -> Iterator[Risk]:
    """What runs at installation or start; and `needs`, the dependencies in words."""
    if "setup.py" in files:
        detail = "setup.py runs when the package is built"
        yield Risk(kind="install_script", file="setup.py", line=1, detail=detail)
    for path in sorted(files):
        if path.endswith(".pth"):
            yield from _startup_lines(path, files[path])
    yield Risk(kind="dependencies", detail=needs)


def _startup_lines(path: str, data: bytes) -> Iterator[Risk]:
    """Lines of a .pth file that Python runs at each of its starts."""
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        if line.startswith(("import ", "import\t")):
            detail = plain(f"runs when Python starts: {line}")[:LONGEST_LABEL]
            yield Risk(kind="install_script", file=path, line=number, detail=detail)


def _requirement(wanted: object) -> FoundDependency | None:
    if not isinstance(wanted, str) or len(wanted) > LONGEST_REQUIREMENT:
        return None
    try:
        read = Requirement(wanted)
    except (InvalidRequirement, RecursionError):
        return None
    extra = _extra(str(read.marker)) if read.marker else None
    if extra is not None and extra not in _DEV_EXTRAS:
        return None
    return FoundDependency(
        library_name=plain(read.name)[:LONGEST_LABEL],
        version_constraint=plain(str(read.specifier))[:LONGEST_LABEL] or None,
        ecosystem="pypi",
        type="runtime" if extra is None else "dev",
    )


def _extra(marker: str) -> str | None:
    """The extra that a marker asks for."""
    _, found, rest = marker.partition('extra == "')
    return rest.partition('"')[0].lower() if found else None


def _version_key(text: str) -> tuple[bool, Version, str]:
    try:
        return True, Version(text), text
    except InvalidVersion:
        return False, Version("0"), text


def _is_before_release(text: str) -> bool:
    try:
        return Version(text).is_prerelease
    except InvalidVersion:
        return False
