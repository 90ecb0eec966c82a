"""How many files and sockets this process may have open: raised as far as the system lets us, and shared out."""

import contextlib
import sys

import structlog

log = structlog.get_logger()

_LEAST_RESERVED = 256  # for the journal, the store and all else that opens files
_RESERVED_SHARE = 5  # one in so many, where there are more


def places(wanted: int) -> int:
    """Raise the soft limit of open files if need be, and return how many connections it leaves room for.

    At most `wanted`; the hard limit is the administrator's and stays (`ulimit -Hn`, LimitNOFILE= of systemd).
    """
    limit = _raised(wanted + max(_LEAST_RESERVED, wanted // (_RESERVED_SHARE - 1)))
    if limit is None:
        return wanted
    room = max(1, limit - max(_LEAST_RESERVED, limit // _RESERVED_SHARE))
    if room < wanted:
        log.warning(
            "fewer connections than were asked for: raise the limit of open files", connections=room, asked=wanted
        )
    return min(room, wanted)


def _raised(wanted: int) -> int | None:
    """Return the soft limit of open files, raised to `wanted` where that is allowed; None if there is none."""
    if sys.platform == "win32":
        return None
    import resource  # not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return None
    if soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS refuses more than its own maximum
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
