"""The account under which PostgreSQL runs, because it refuses to run as root."""

import os
import pwd
import shutil
import stat
import tempfile
from hashlib import sha256
from pathlib import Path

import msgspec

from service.errors import NotSupported
from service.store.binaries import Binaries

_ACCOUNTS = ("postgres", "nobody")
_CACHES = (Path("/var/cache/mcps"), Path(tempfile.gettempdir()) / "mcps-programs")


class Account(msgspec.Struct, frozen=True):
    """A user of the operating system."""

    uid: int
    gid: int

    def can_enter(self, path: Path) -> bool:
        """Whether the file modes let this account read the path."""
        folders = path.resolve().parents
        return self._may(path.stat(), 0o4) and all(
            self._may(folder.stat(), 0o1) for folder in folders
        )

    def _may(self, status: os.stat_result, wanted: int) -> bool:
        if status.st_uid == self.uid:
            return bool(status.st_mode & (wanted << 6))
        if status.st_gid == self.gid:
            return bool(status.st_mode & (wanted << 3))
        return bool(status.st_mode & wanted)


def server_account(cluster: Path) -> Account:
    """The caller; for root the owner of the data, or an account without rights.

    Raises NotSupported when root has no other account to use.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    if cluster.exists() and (status := cluster.stat()).st_uid != 0:
        return Account(status.st_uid, status.st_gid)
    for name in _ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    message = (
        "PostgreSQL does not run as root, and there is no account postgres or nobody "
        "to run it: start MCPS as an ordinary user, or set DATABASE_URL"
    )
    raise NotSupported(message)


def readable_binaries(binaries: Binaries, account: Account) -> Binaries:
    """The same programs where the account can read them, copied if need be."""
    if account.uid == os.geteuid():
        return binaries
    if account.can_enter(Path(binaries.program("postgres"))):
        return binaries
    top = binaries.folder.parent
    sources = [top]
    if binaries.in_wheel:
        package = top.parent
        sources = [package, package.with_name(f"{package.name}.libs")]
    target = _cache_folder() / _copy_name(binaries)
    if not target.exists():
        _copy(sources, target)
    folder = target / binaries.folder.relative_to(sources[0].parent)
    return Binaries(folder, binaries.version, binaries.source)


def _copy_name(binaries: Binaries) -> str:
    server = Path(binaries.program("postgres"))
    identity = f"{server.resolve()} {server.stat().st_mtime_ns}"
    digest = sha256(identity.encode(errors="surrogateescape")).hexdigest()[:16]
    return f"postgres-{binaries.major}-{digest}"


def _cache_folder() -> Path:
    for folder in _CACHES:
        try:
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            folder.chmod(0o755)
        except OSError:
            continue
        status = folder.lstat()
        if status.st_uid == os.geteuid() and stat.S_ISDIR(status.st_mode):
            return folder
    message = (
        f"no folder for a copy of the PostgreSQL programs: {_CACHES[0]} cannot be "
        "written; install them where every account can read them"
    )
    raise NotSupported(message)


def _copy(sources: list[Path], target: Path) -> None:
    """Copy into a folder beside the target and rename it: whole or not at all."""
    unneeded = shutil.ignore_patterns("include", "__pycache__", "*.a", "*.py")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-") as workplace:
        fresh = Path(workplace) / "copy"
        for source in filter(Path.is_dir, sources):
            shutil.copytree(source, fresh / source.name, ignore=unneeded)
        _open_up(fresh)
        try:
            fresh.rename(target)
        except OSError:
            # Another process was faster; its copy is the same.
            if not target.is_dir():
                raise


def _open_up(top: Path) -> None:
    for path in (top, *top.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
            if path.stat().st_mode & stat.S_IXUSR:
                path.chmod(path.stat().st_mode | 0o111)
