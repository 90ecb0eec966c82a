"""Google Cloud without any line: Python runs this before anything else where PYTHONPATH names this folder.

It does what `import faasight.auto` does, and leaves no trace: neither in the path, nor in what child processes inherit.
A `sitecustomize` of the image's own runs after it.
"""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib is an import of each cold start


def _leave_the_path() -> None:
    sys.path[:] = [place for place in sys.path if os.path.abspath(place) != _HERE]  # noqa: PTH100 - as above
    rest = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place.rstrip(os.sep) != _HERE]
    if any(rest):
        os.environ["PYTHONPATH"] = os.pathsep.join(rest)
    else:
        os.environ.pop("PYTHONPATH", None)


def _run_the_next() -> None:
    ours = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401 - the one that we have hidden
    except ModuleNotFoundError as error:
        if error.name != "sitecustomize":
            raise
    finally:
        if ours is not None:
            sys.modules.setdefault("sitecustomize", ours)


def _start() -> None:
    try:
        import faasight.auto  # noqa: F401 - it is there for what it does
    except Exception as error:  # noqa: BLE001 - the function runs unobserved
        sys.stderr.write(f"faasight: not started: {type(error).__name__}: {error}\n")


_leave_the_path()
_start()
_run_the_next()
