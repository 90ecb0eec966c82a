"""Has the C library give large pieces of memory back to the system as soon as they are freed."""

import ctypes

# glibc's malloc.h. By default the threshold grows to 32 MiB with what is freed, and bodies then leave holes in heaps.
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
_LARGE = 1024 * 1024  # bytes of an allocation that gets pages of its own; those of usual requests would cost
_HEAPS = 2


def give_back() -> None:
    """Set this for the whole process; where the C library is another one, nothing happens."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_ARENA_MAX, _HEAPS)
