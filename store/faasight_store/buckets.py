"""Durations in log-spaced buckets: bucket i holds [1.04**i, 1.04**(i + 1)) ms, so its middle is at most 2 % off.

The same rule stands in migrations/macros/bucket.sql.
"""

RATIO = 1.04
NONE = -32768  # an invocation whose duration nobody knows


def middle_ms(bucket: int) -> float:
    """Return the geometric middle of a bucket."""
    return float(RATIO ** (bucket + 0.5))


def edge_ms(bucket: int) -> float:
    """Return where a bucket begins."""
    return float(RATIO**bucket)


def sql(expression: str) -> str:
    """Return SQL for the bucket of a duration in ms."""
    place = f"toInt16(floor(log(greatest(assumeNotNull({expression}), 0.001)) / log({RATIO})))"
    return f"if(isNull({expression}), {NONE}, {place})"
