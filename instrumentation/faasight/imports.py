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
    from typing import Any

    Hook = Callable[[ModuleType], None]

_MAX_RECORDS = 200  # spans of one cold start
_FIRST_STEP_NS = 1_000_000  # from a threshold of 0
_NEVER = float("inf")


class Import:
    """One slow import: when it ran (perf_counter ns), and the slow ones within it."""

    __slots__ = ("children", "end", "module", "nested", "span_id", "start")

    def __init__(self, module: str, start: int, end: int, nested: int) -> None:
        self.module = module
        self.start = start
        self.end = end
        self.nested = nested  # ns spent in all imports within this one
        self.children: list[Import] = []
        self.span_id = ""  # once it is told

    @property
    def self_ns(self) -> int:
        """Time without the imports within."""
        return self.end - self.start - self.nested


class ImportWatcher:
    """The finder. It records while `recording` is set, for the thread that made it: others run beside, not within.

    A cold start has hundreds of imports, nearly all of them quick: of those nothing is kept, not even our step.
    """

    def __init__(self, threshold_ns: int) -> None:
        self.recording = False
        self._slow: list[Import] = []  # over the threshold, as they ended
        self._threshold = threshold_ns
        self._hooks: dict[str, Hook] = {}
        self._begun: dict[str, int] = {}  # module -> when it was looked for
        self._nested = 0  # ns that imports within the one that runs now have taken
        self._thread = get_ident()
        self._running: list[tuple[str, int, int]] = []  # module, begin, and what `_nested` was then
        self.late_at = _NEVER  # perf_counter ns from which on `late` is called, once, with the next import's end
        self.late: Callable[[], None] | None = None

    @property
    def slow(self) -> list[Import]:
        """The outermost imports over the threshold, and within each those that ran while it did.

        Those that run still are there as if they ended now.
        """
        now, nested, running = perf_counter_ns(), self._nested, []
        for name, begun, outer in reversed(self._running):
            running.append(Import(name, begun, now, nested))
            nested = outer + now - begun
        outermost: list[Import] = []
        for record in [*self._slow, *running]:
            first = len(outermost)
            while first and outermost[first - 1].start >= record.start:
                first -= 1
            outermost[first:], record.children = [record], outermost[first:]
        return outermost

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
        for finder in sys.meta_path:
            if finder is self:
                continue
            try:
                find = finder.find_spec
            except AttributeError:  # a finder of the old kind
                continue
            spec = find(name, path, target)
            if spec is not None:
                if self._watch(spec.loader) and timed:
                    self._begun[name] = begun
                return spec
        return None

    def _watch(self, loader: Any) -> bool:  # noqa: ANN401 - whatever another finder has returned
        """Put our step in front of the loader's `exec_module`.

        Loaders that are classes (built-in, frozen) are quick, and shared: left alone. One loader may serve many modules
        (zipimport has one for an archive): it gets our step once.
        """
        if isinstance(loader, type):
            return False
        try:
            own, execute = loader.__dict__, loader.exec_module
        except AttributeError:
            return False
        if "exec_module" not in own or getattr(execute, "__module__", "") != __name__:
            own["exec_module"] = self._step(own, execute)
        return True

    def _step(self, own: dict[str, Any], execute: Hook) -> Hook:
        def exec_module(module: ModuleType) -> None:
            name = module.__name__
            begun = self._begun.pop(name, 0)
            if begun:
                outer, self._nested = self._nested, 0
                self._running.append((name, begun, outer))
                try:
                    execute(module)
                finally:
                    end = perf_counter_ns()
                    self._running.pop()
                    if end - begun >= self._threshold:
                        self._slow.append(Import(name, begun, end, self._nested))
                        while len(self._slow) > _MAX_RECORDS:
                            self._thin()
                    self._nested = outer + end - begun
                    if end > self.late_at:
                        self._tell()
            else:
                execute(module)
            if own.get("name") == name and own.get("exec_module") is exec_module:  # of this module alone
                del own["exec_module"]
            hook = self._hooks.get(name)
            if hook is not None:
                _run(hook, module)

        return exec_module

    def _tell(self) -> None:
        self.late_at, self.recording = _NEVER, False  # what we import for it is not the function's
        try:
            if self.late is not None:
                self.late()
        except Exception as error:  # noqa: BLE001 - the import has succeeded
            complaints.failure("telling of a slow init", error)
        finally:
            self.recording = True

    def _thin(self) -> None:
        """Let the shortest go. An outer import ends last and takes longest: what it came too late for was the cause."""
        self._threshold = max(2 * self._threshold, _FIRST_STEP_NS)
        self._slow[:] = [one for one in self._slow if one.end - one.start >= self._threshold]


def _run(hook: Hook, module: ModuleType) -> None:
    try:
        hook(module)
    except Exception as error:  # noqa: BLE001 - a library that has changed must still be usable
        complaints.failure(f"instrumenting {module.__name__}", error)


def with_room(function: Callable[..., Any]) -> None:
    """Have what `function` calls run in one piece of stack.

    CPython keeps Python's frames in pieces of 16 KiB, and returns a piece to the system when its last frame ends
    (`push_chunk` in pystate.c): a loop on the border of two asks for a piece with each call, and what a function
    imports has some hundred to a thousand such calls, ours more than others as our frames lie below. One frame that
    needs 57 KiB gets a piece of 128 KiB, of which it touches nothing; an import finds 70 KiB behind it.
    """
    if sys.version_info >= (3, 11):  # before, each frame was an object of its own
        function.__code__ = function.__code__.replace(co_stacksize=7_300)
