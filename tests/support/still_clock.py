"""A clock for tests of what depends on time."""


class StillClock:
    """Stands where it is put; called, it returns the seconds."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time."""
        return self.now
