"""How much memory the process has used at most."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def _from_proc() -> int:
    with open("/proc/self/status", "rb") as file:  # noqa: PTH123 - pathlib would be imported for this line alone
        for line in file:
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def _choose() -> Callable[[], int]:
    """Prefer getrusage (1 us) to /proc (20 us), unless its mark is a parent's: Linux keeps ru_maxrss across exec."""
    try:
        import resource as limits
    except ImportError:  # Windows
        return lambda: 0

    def from_usage() -> int:
        return limits.getrusage(limits.RUSAGE_SELF).ru_maxrss * 1024

    try:
        own = _from_proc()
    except (OSError, ValueError, IndexError):
        return from_usage
    return from_usage if from_usage() <= own * 1.02 else _from_proc


_read: Callable[[], int] | None = None


def high_water_mark() -> int:
    """Return the process's largest resident size so far in bytes, 0 if the system does not tell."""
    global _read
    if _read is None:
        _read = _choose()
    try:
        return _read()
    except (OSError, ValueError, IndexError):
        return 0
