"""One finder on `sys.meta_path` for two duties: to time the cold start's imports, and to run hooks after an import.

It finds nothing itself. It asks the finders behind it and hangs a timed `exec_module` on the loader *instance* that
they return, so that the loader keeps its class and identity for everyone else.
"""

from __future__ import annotations

import sys
from _thread import get_ident
from time import perf_counter_ns

from faasight.complain import complaints

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    Hook = Callable[[ModuleType], None]

_MAX_RECORDS = 200  # spans of one cold start
_FIRST_STEP_NS = 1_000_000  # from a threshold of 0


class Import:
    """One import: when it ran (perf_counter ns), and the slow ones within it."""

    __slots__ = ("children", "end", "module", "nested", "start")

    def __init__(self, module: str, start: int) -> None:
        self.module = module
        self.start = start
        self.end = 0
        self.nested = 0  # ns spent in all imports within this one
        self.children: list[Import] = []

    @property
    def self_ns(self) -> int:
        """Time without the imports within."""
        return self.end - self.start - self.nested


class ImportWatcher:
    """The finder. It records while `recording` is set, for the thread that made it: others run beside, not within."""

    def __init__(self, threshold_ns: int) -> None:
        self.recording = False
        self.slow: list[Import] = []  # outermost imports over the threshold
        self._threshold = threshold_ns
        self._hooks: dict[str, Hook] = {}
        self._begun: dict[str, int] = {}  # module -> when it was looked for
        self._stack: list[Import] = []
        self._thread = get_ident()
        self._kept = 0

    def install(self) -> None:
        """Take the first place among the finders."""
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def after(self, module: str, hook: Hook) -> None:
        """Run `hook` once `module` is imported; at once if it is already."""
        loaded = sys.modules.get(module)
        if loaded is None:
            self._hooks[module] = hook
        else:
            _run(hook, loaded)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Let the other finders find, and watch the execution; None leaves the import alone."""
        timed = self.recording and get_ident() == self._thread
        if not timed and name not in self._hooks:
            return None
        begun = perf_counter_ns()
        spec = self._ask_others(name, path, target)
        if spec is not None and _watch(spec.loader, self._execute) and timed:
            self._begun[name] = begun
        return spec

    def _ask_others(self, name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if finder is not self and find is not None:
                spec: ModuleSpec | None = find(name, path, target)
                if spec is not None:
                    return spec
        return None

    def _execute(self, execute: Hook, module: ModuleType) -> None:
        name = module.__name__
        begun = self._begun.pop(name, 0)
        if begun:
            self._time(Import(name, begun), execute, module)
        else:
            execute(module)
        hook = self._hooks.get(name)
        if hook is not None:
            _run(hook, module)

    def _time(self, record: Import, execute: Hook, module: ModuleType) -> None:
        self._stack.append(record)
        try:
            execute(module)
        finally:
            self._stack.pop()
            record.end = perf_counter_ns()
            total = record.end - record.start
            if self._stack:
                self._stack[-1].nested += total
            if total >= self._threshold:
                (self._stack[-1].children if self._stack else self.slow).append(record)
                self._kept += 1
                while self._kept > _MAX_RECORDS:
                    self._thin()

    def _thin(self) -> None:
        """Let the shortest go. An outer import ends last and takes longest: what it came too late for was the cause."""
        self._threshold = max(2 * self._threshold, _FIRST_STEP_NS)
        self._kept = sum(self._thinned(records) for records in (self.slow, *(one.children for one in self._stack)))

    def _thinned(self, records: list[Import]) -> int:
        records[:] = [one for one in records if one.end - one.start >= self._threshold]
        return len(records) + sum(self._thinned(one.children) for one in records)


def _watch(loader: object, execute_with: Callable[[Hook, ModuleType], None]) -> bool:
    """Put our step in front of the loader's `exec_module`.

    Loaders that are classes (built-in, frozen) are quick, and shared: left alone.
    """
    if loader is None or isinstance(loader, type):
        return False
    own = getattr(loader, "__dict__", None)
    execute = getattr(loader, "exec_module", None)
    if own is None or execute is None:
        return False
    if getattr(own.get("exec_module"), "faasight", False):
        return True  # zipimport has one loader for all modules of an archive

    def exec_module(module: ModuleType) -> None:
        execute_with(execute, module)

    exec_module.faasight = True  # type: ignore[attr-defined]  # a mark on a function
    own["exec_module"] = exec_module
    return True


def _run(hook: Hook, module: ModuleType) -> None:
    try:
        hook(module)
    except Exception as error:  # noqa: BLE001 - a library that has changed must still be usable
        complaints.failure(f"instrumenting {module.__name__}", error)
