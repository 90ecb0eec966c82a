"""Versions of settlings: of several of one place the greatest counts."""

LOW = 32  # bits of a version that are not its time: that counts in steps of 4.3 s


def later(now: int, newest: int, low: int) -> int:
    """Return a version later than the `newest` of its place, whatever the clock (`now`, ns) did, that ends in `low`."""
    return max(now >> LOW, (newest >> LOW) + 1) << LOW | (low & (1 << LOW) - 1)
