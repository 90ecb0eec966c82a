"""What the command says to a person: steps of long work, a banner, plain lines."""

import sys
import threading


class Console:
    """Writes whole lines to stdout, safe from several threads; a reader that went away (`| head`) is no fault."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def say(self, text: str = "") -> None:
        """Write a line, or several."""
        with self._lock:
            try:
                sys.stdout.write(text + "\n")
                sys.stdout.flush()
            except BrokenPipeError:
                pass


class Steps:
    """Numbers the steps of long work: `[2/6] starting the collector ...`."""

    def __init__(self, console: Console, total: int) -> None:
        self._console, self._total, self._done = console, total, 0

    def next(self, text: str) -> None:
        """Announce the next step."""
        self._done += 1
        self._console.say(f"[{self._done}/{self._total}] {text} ...")


def banner(title: str, rows: list[tuple[str, str]]) -> str:
    """Return a short block: a title, then name and value in two columns."""
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join(["", f"  {title}", "", *(f"  {name:<{width}}  {value}" for name, value in rows), ""])
