"""What processes take of this machine's memory, as Linux tells it."""

from __future__ import annotations

from pathlib import Path

_PROC = Path("/proc")


def pss_mib(pid: int | str = "self") -> float:
    """Return the memory of a process in MiB, what it shares with others by its share of it (PSS); 0 if it has ended."""
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def available_mib() -> float:
    """Return the memory that new processes can have, in MiB."""
    lines = (_PROC / "meminfo").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("MemAvailable:"))


def descendants(pid: int) -> list[int]:
    """Return the processes below `pid` that are alive."""
    try:
        children = (_PROC / str(pid) / "task" / str(pid) / "children").read_text(encoding="ascii").split()
    except OSError:
        return []
    return [one for child in map(int, children) for one in (child, *descendants(child))]


def words(pid: int) -> list[str]:
    """Return the command line of a process; nothing if it has ended."""
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []
