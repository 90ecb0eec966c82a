"""How much memory the process has used at most."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def _from_proc() -> int:
    with open("/proc/self/status", "rb") as file:  # noqa: PTH123 - pathlib would be imported for this line alone
        for line in file:
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def _limits() -> Any:  # noqa: ANN401 - the module `resource`
    """Return the standard library's `resource`, which a function's own resource.py would hide. Raises ImportError.

    It is made without being put among the modules: there the name may be the function's.
    """
    import sys

    known = sys.modules.get("resource")
    if hasattr(known, "getrusage"):
        return known
    # What importlib.machinery and importlib.util give names to: both would be imported for this alone.
    from _frozen_importlib import BuiltinImporter, module_from_spec
    from _frozen_importlib_external import PathFinder

    if "resource" in sys.builtin_module_names:
        spec = BuiltinImporter.find_spec("resource")
    else:
        spec = PathFinder.find_spec("resource", [path for path in sys.path if path.endswith("lib-dynload")])
    if spec is None or spec.loader is None:
        raise ImportError("resource")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _choose() -> Callable[[], int]:
    """Prefer getrusage (1 us) to /proc (20 us), unless its mark is a parent's: Linux keeps ru_maxrss across exec."""
    try:
        limits = _limits()
    except Exception:  # noqa: BLE001 - Windows has none, and how modules are found is Python's own affair
        return lambda: 0

    def from_usage() -> int:
        return int(limits.getrusage(limits.RUSAGE_SELF).ru_maxrss) * 1024

    try:
        own = _from_proc()
    except (OSError, ValueError, IndexError):
        return from_usage
    return from_usage if from_usage() <= own * 1.02 else _from_proc


_read: Callable[[], int] | None = None


def high_water_mark() -> int:
    """Return the process's largest resident size so far in bytes, 0 if the system does not tell."""
    global _read
    if _read is None:
        _read = _choose()
    try:
        return _read()
    except (OSError, ValueError, IndexError):
        return 0
