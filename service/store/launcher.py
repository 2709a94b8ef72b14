"""Becomes a PostgreSQL program that ends when its owner ends.

A script of its own, run as `launcher.py OWNER UID GID FOLDER PROGRAM ARGUMENT...`,
because nothing but exec is safe after a fork in a process that has threads. FOLDER
becomes the program's `-D`; it is opened before the account changes, so that it may
lie below a folder which that account cannot enter.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_NOT_STARTED = 126
# glibc gives memory back to the system after each answer of 20 KB and more, only to
# fetch it again page by page: half of what such a query costs.
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LC_ALL": "C",
    "TZ": "UTC",
    "MALLOC_TRIM_THRESHOLD_": "4194304",
    "MALLOC_TOP_PAD_": "262144",
}


def main(arguments: list[str]) -> None:
    """Change the account, tie the process to its owner, become the program."""
    owner, uid, gid, folder, program, *rest = arguments
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.chdir("/")
    if os.geteuid() != int(uid):
        _change_account(int(uid), int(gid))
    _end_with(int(owner))
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        os.set_inheritable(handle, True)
        folder = f"/proc/self/fd/{handle}"
    os.execve(program, [program, "-D", folder, *rest], ENVIRONMENT)


def _change_account(uid: int, gid: int) -> None:
    os.setgroups([gid])
    os.setgid(gid)
    os.setuid(uid)


def _end_with(owner: int) -> None:
    if sys.platform != "linux":
        return
    # Python would only take note of the signal, and the program never hear of it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # A change of account clears this, so it comes after; SIGINT is a fast shutdown.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != owner:
        sys.exit(_NOT_STARTED)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.stderr.write(f"cannot start {sys.argv[5]}: {error}\n")
        sys.exit(_NOT_STARTED)
