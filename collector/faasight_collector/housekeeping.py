"""What a collector does besides its work: it reports its own counters, and has the store settle its rollups."""

import threading
from collections.abc import Callable

import structlog
from faasight_store import StoreError

log = structlog.get_logger()


class Periodic:
    """A thread that does one thing every so often, whatever errors it meets; with `last`, also when it is stopped."""

    def __init__(self, name: str, every_s: float, action: Callable[[], None], *, last: bool = False) -> None:
        self.name = name
        self._every_s = every_s
        self._action = action
        self._last = last
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"faasight-{name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """End, after a last time if that was asked for; return False if it is still busy."""
        self._stop.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        failing = False
        while not self._stop.wait(self._every_s):
            failing = not self._once(quiet=failing)
        if self._last:
            self._once(quiet=failing)

    def _once(self, *, quiet: bool) -> bool:
        try:
            self._action()
        except (StoreError, OSError) as error:
            if not quiet:
                log.warning(f"{self.name} failed; it is tried again", error=str(error))
            return False
        except Exception:
            log.exception(f"{self.name} failed; it is tried again")
            return False
        return True
