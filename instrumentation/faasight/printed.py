"""What a function prints as log lines that know their invocation, by choice (FAASIGHT_PRINT=json).

`print` itself is what changes, and never `sys.stdout`: whoever replaces that, writes to it, or asks for its buffer,
its descriptor or whether it is a terminal, finds what was there without us. A call of `print` is a line, whatever
line breaks are in it; one that ends without one (`end=""`) waits for the next of its thread.
"""

from __future__ import annotations

import builtins
import sys
import time
from _thread import get_ident

from faasight import logs
from faasight.calls import library
from faasight.complain import complaints
from faasight.context import current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from faasight.invocation import Invocation

_STDOUT = 1
_MAX = 65_536  # characters: more is no log line, and would be cut where secrets are looked for
_LOGGER = "print"


class Print:
    """Stands for `print`. No function: one that is an attribute of a class would be called with its instance."""

    def __init__(self, original: Callable[..., None]) -> None:
        self.__doc__ = original.__doc__
        self.__name__ = self.__qualname__ = "print"
        self.__module__ = "builtins"  # by these two it is pickled, as the builtin is
        self.__wrapped__ = original
        self._stdout: object = None  # the last one that was found to be the process's own
        self.reset()

    def __reduce__(self) -> str:
        return "print"

    def reset(self) -> None:
        """Forget, in a forked child, what the parent is going to write."""
        self._begun: dict[tuple[int, Invocation | None], tuple[Any, str]] = {}

    def __call__(self, /, *values: object, **named: Any) -> None:  # noqa: ANN401 - what `print` takes
        """Do as `print` does; what goes to the process's stdout becomes a line of JSON."""
        out = named.get("file")
        if out is None:
            out = sys.stdout
        if out is None or not self._is_stdout(out):
            self.__wrapped__(*values, **named)
            return
        pieces = _Pieces()
        self.__wrapped__(*values, **{**named, "file": pieces})  # raises what it raises
        flush = bool(named.get("flush"))
        text = self._ended("".join(pieces), flush, out)
        if text:
            out.write(text)
        if flush:
            out.flush()

    def _is_stdout(self, out: Any) -> bool:  # noqa: ANN401 - whatever stands in sys.stdout
        if out is self._stdout:
            return True
        try:
            stream = out.stream if library(type(out)) == "functions_framework" else out  # its one hides no file
            if stream.fileno() != _STDOUT:
                return False
        except Exception:  # noqa: BLE001 - a text in memory, or the user's own: it is left alone
            return False
        self._stdout = out
        return True

    def _ended(self, text: str, flush: bool, out: Any) -> str:  # noqa: ANN401 - as above
        """Return what is to be written of `text` now: a line, or nothing as long as it goes on."""
        try:
            span = current.get()
            key = (get_ident(), span.invocation if span is not None else None)
            whole = self._begun.pop(key, (None, ""))[1] + text if self._begun else text
            if not (text.endswith("\n") or flush or len(whole) > _MAX):
                self._begun[key] = out, whole
                return ""
            return _line(whole)
        except Exception as error:  # noqa: BLE001 - the text goes out as it is
            complaints.failure("a printed line", error)
            return text

    def end(self, invocation: Invocation | None = None) -> None:
        """Write what an invocation has begun to print and not ended; all that there is, at the process's end."""
        for key in list(self._begun):
            if invocation is None or key[1] is invocation:
                out, text = self._begun.pop(key, (None, ""))
                around = current.set(
                    key[1].span if key[1] is not None else None
                )  # the watchdog may be the one who asks
                try:
                    if text:
                        out.write(_line(text))
                except Exception as error:  # noqa: BLE001 - a closed stdout must not end the function
                    complaints.say(f"cannot write what was printed: {type(error).__name__}: {error}")
                finally:
                    current.reset(around)


class _Pieces(list[str]):
    """Takes what `print` writes."""

    write = list.append

    def flush(self) -> None:
        """Nothing waits here."""


def _line(text: str) -> str:
    """Return a text as a line; what is one already (metrics in CloudWatch's format, another logger's) as it is."""
    message = text.removesuffix("\n")
    if not message.strip():
        return text
    created = time.time()
    line = None
    if logs.forward is not None:
        line = logs.head(created, "INFO", message, _LOGGER)
        logs.forward(line, created)
    if len(text) > _MAX or (message.startswith('{"') and message.endswith("}")):
        return text
    return logs.write(line or logs.head(created, "INFO", message, _LOGGER)) + "\n"


def install() -> Print:
    """Take each `print` from now on."""
    made = Print(getattr(builtins.print, "__wrapped__", builtins.print))
    builtins.print = made
    return made
