"""A file that a command writes: there as a whole under its name, or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.errors import RefusedFile


@contextmanager
def placed(path: Path, *, replaces: bool, mode: int = 0o666) -> Iterator[Path]:
    """An empty file beside `path` that takes its place when the block ends well.

    Raises RefusedFile when `path` is there already, unless `replaces`, and when it
    cannot be written.
    """
    if not replaces and path.exists():
        message = f"{path} is there already: name another file, or add --force"
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


def _keep(path: Path) -> None:
    """Put it on the disk before it gets its name."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
