"""The `faasight` command: reads the arguments, hands over to one command, tells foreseen errors in one sentence."""

import importlib
import sys
from collections.abc import Callable, Sequence

from faasight_cli.arguments import build_parser

# Errors whose text is meant for the user; named here so that `faasight version` need not import what raises them.
_FORESEEN = (
    "faasight_alerts.rulefile:RuleError",
    "faasight_cli.errors:CommandError",
    "faasight_collector.errors:CollectorError",
    "faasight_dashboards.service:ServeError",
    "faasight_emulator.errors:EmulatorError",
    "faasight_store.errors:StoreError",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status: 0 done, 1 a problem was told, 2 wrong arguments, 130 interrupted."""
    chosen = build_parser().parse_args(arguments)
    module, _, function = chosen.entry.partition(":")
    return foreseen(lambda: getattr(importlib.import_module(f"faasight_cli.{module}"), function)(chosen))


def foreseen(action: Callable[[], int]) -> int:
    """Run something and return its exit status; a foreseen error is one sentence, and 1."""
    try:
        status = action()
    except KeyboardInterrupt:
        return 130
    except Exception as problem:
        if not _is_foreseen(problem):
            raise
        sys.stderr.write(f"faasight: {problem}\n")
        return 1
    return status


def _is_foreseen(problem: Exception) -> bool:
    names = {f"{kind.__module__}:{kind.__qualname__}" for kind in type(problem).__mro__}
    return not names.isdisjoint(_FORESEEN)
