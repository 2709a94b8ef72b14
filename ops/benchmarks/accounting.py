"""The CPU time of processes, from Linux's /proc.

Wall-clock figures drift on a shared machine; CPU time for a request hardly does.
"""

import os
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_TRIES = 5
_PARENT, _USER, _SYSTEM, _USER_REAPED, _SYSTEM_REAPED = 1, 11, 12, 13, 14


def cpu_s(root: int) -> float:
    """What a process and its descendants have used since they began, in seconds.

    A child that ended is in the account of its parent by then, so nothing is lost
    between two readings. Raises OSError when the process is gone.
    """
    total_s = 0.0
    for _ in range(_TRIES):
        reaped_s = _reaped_s(root)
        total_s = _own_s(root) + reaped_s
        for pid in descendants_of(root):
            with suppress(OSError):
                total_s += _own_s(pid) + _reaped_s(pid)
        # A child that ended during the reading would be missed: read once more.
        if _reaped_s(root) == reaped_s:
            break
    return total_s


def descendants_of(root: int) -> list[int]:
    """The children of a process, their children and so on."""
    children: dict[int, list[int]] = {}
    for folder in _PROC.glob("[0-9]*"):
        with suppress(OSError):
            pid = int(folder.name)
            children.setdefault(parent_of(pid), []).append(pid)
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found[1:]


def parent_of(pid: int) -> int:
    """The parent of a process. Raises OSError when there is no such process here."""
    return int(_stat(pid)[_PARENT])


def _own_s(pid: int) -> float:
    """To the nanosecond where the kernel says so, else to the tick."""
    threads = [*(_PROC / str(pid) / "task").glob("*/schedstat")]
    if threads:
        return sum(int(path.read_text().split()[0]) for path in threads) / 1e9
    fields = _stat(pid)
    return (int(fields[_USER]) + int(fields[_SYSTEM])) * _TICK_S


def _reaped_s(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[_USER_REAPED]) + int(fields[_SYSTEM_REAPED])) * _TICK_S


def _stat(pid: int) -> list[str]:
    """The fields behind the name of the program, which may hold blanks itself."""
    return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
