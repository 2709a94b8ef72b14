"""A Python package by the simple API (PEP 691), for indexes that have no other.

It lists files alone; what a package says of itself is read from its archive.
"""

from collections.abc import Mapping

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)

from service.sources.clean import Object, mapping

ACCEPT = "application/vnd.pypi.simple.v1+json"
_FIELDS = {
    "name": "name",
    "summary": "summary",
    "description": "description",
    "author": "author",
    "author-email": "author_email",
    "license": "license",
    "license-expression": "license_expression",
    "keywords": "keywords",
    "home-page": "home_page",
}


def releases_of(project: Object) -> dict[str, list[Object]]:
    """The files of each version, in the form of the JSON API."""
    releases: dict[str, list[Object]] = {}
    listed = project.get("files")
    for file in map(mapping, listed if isinstance(listed, list) else []):
        version = _version(str(file.get("filename")))
        if version is not None:
            releases.setdefault(version, []).append(_file(file))
    return releases


def info_of(metadata: Mapping[str, list[str]]) -> Object:
    """The fields of METADATA in the form of the JSON API."""
    info: Object = {
        key: metadata[name][0] for name, key in _FIELDS.items() if name in metadata
    }
    pairs = (said.partition(",") for said in metadata.get("project-url", []))
    info["project_urls"] = {label.strip(): url.strip() for label, _, url in pairs}
    if "requires-dist" in metadata:
        info["requires_dist"] = metadata["requires-dist"]
    return info


def _file(file: Object) -> Object:
    return {
        "filename": file.get("filename"),
        "url": file.get("url"),
        "size": file.get("size"),
        "digests": file.get("hashes"),
        "upload_time_iso_8601": file.get("upload-time"),
        "yanked": file.get("yanked"),
    }


def _version(filename: str) -> str | None:
    """The version in the name of an archive; None for what is none."""
    try:
        if filename.endswith(".whl"):
            return str(parse_wheel_filename(filename)[1])
        return str(parse_sdist_filename(filename)[1])
    except (InvalidSdistFilename, InvalidWheelFilename):
        return None
