"""A file that a command writes: there as a whole under its name, or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.errors import RefusedFile

# How the lines of `mcps import-sqlite` and `mcps load` begin.
_REJECTS = (b'{"table":"', b'{"file":"')
_HEAD_BYTES = 32


@contextmanager
def placed(path: Path, *, replaces: bool, mode: int = 0o666) -> Iterator[Path]:
    """An empty file beside `path` that takes its place when the block ends well.

    Raises RefusedFile when `path` is there already, unless `replaces`, when it is no
    file, such as /dev/null, and when it cannot be written.
    """
    if not replaces and path.exists():
        message = f"{path} is there already: name another file, or add --force"
        raise RefusedFile(message)
    if path.exists() and not path.is_file():
        message = f"{path} is not a file and cannot be replaced: name another one"
        raise RefusedFile(message)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
        yield draft
        _keep(draft)
        draft.replace(path)
    except OSError as error:
        message = f"{path}: cannot be written: {error.strerror or error}"
        raise RefusedFile(message) from error
    finally:
        draft.unlink(missing_ok=True)


def shown_path(path: str | Path) -> str:
    """A path as text that can be written anywhere, also where it is no UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def require_writable(path: Path) -> None:
    """Look before long work whether its result can be written; changes nothing.

    Raises RefusedFile when the file or its folder may not be written.
    """
    if path.is_dir():
        reason = "it is a folder"
    elif not path.exists() and not path.parent.is_dir():
        reason = "there is no such folder"
    elif not os.access(path if path.exists() else path.parent, os.W_OK):
        reason = "this user may not write there"
    else:
        return
    message = f"{path}: cannot be written: {reason}"
    raise RefusedFile(message)


def require_apart(path: Path, *used: Path) -> None:
    """Look before work whether its result would take the place of what it needs.

    Raises RefusedFile when `path` is one of the files that are used, by whatever name.
    """
    if path.exists() and not path.is_file():
        return
    for other in used:
        is_same = path.exists() and other.exists() and path.samefile(other)
        if is_same or path.resolve() == other.resolve():
            message = (
                f"{path}: cannot be written: this command uses it already, name "
                "another file"
            )
            raise RefusedFile(message)


def require_rejects(path: Path) -> None:
    """Look before work whether a file that rejects replace is one of rejects itself.

    It may be empty, or cut off by the end of the process that wrote it. Raises
    RefusedFile for any other file, which would be lost.
    """
    if not path.is_file():
        return
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        message = f"{path}: cannot be read: {error.strerror}"
        raise RefusedFile(message) from error
    if head and not head.startswith(_REJECTS):
        message = (
            f"{path} is there already and holds no rejects of an earlier run: name "
            "another file by --rejects"
        )
        raise RefusedFile(message)


def remove_earlier(path: Path) -> None:
    """Take the file of an earlier run away; what is no file, such as /dev/null, stays.

    Raises RefusedFile when it may not be taken away.
    """
    if path.is_symlink() or not path.is_file():
        return
    try:
        path.unlink()
    except OSError as error:
        message = f"{path}: cannot be taken away: {error.strerror}"
        raise RefusedFile(message) from error


def _keep(path: Path) -> None:
    """Put it on the disk before it gets its name."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
