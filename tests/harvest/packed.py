"""Archives of packages, made in memory as npm and build make them."""

import io
import tarfile
import zipfile
from collections.abc import Mapping


def tarball(files: Mapping[str, bytes], folder: str = "package") -> bytes:
    """A .tgz of npm, or a source archive of Python."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for path, data in files.items():
            info = tarfile.TarInfo(f"{folder}/{path}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def wheel(files: Mapping[str, bytes]) -> bytes:
    """A wheel, or another zip."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return out.getvalue()
