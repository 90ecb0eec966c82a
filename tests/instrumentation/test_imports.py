"""The finder that times imports and runs hooks after them."""

import importlib
import importlib.util
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import pytest
from faasight.complain import complaints
from faasight.imports import ImportWatcher


@pytest.fixture
def watcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ImportWatcher]:
    """Install a watcher that finds everything slow, with a folder of its own on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))
    known = set(sys.modules)
    watcher = ImportWatcher(0)
    watcher.install()
    yield watcher
    sys.meta_path.remove(watcher)  # type: ignore[arg-type]  # a finder without the old find_module
    for name in set(sys.modules) - known:
        del sys.modules[name]


def write(folder: Path, **modules: str) -> None:
    for name, code in modules.items():
        (folder / f"{name}.py").write_text(code)
    importlib.invalidate_caches()


def test_nested_imports_and_their_own_time(watcher: ImportWatcher, tmp_path: Path) -> None:
    write(tmp_path, fx_outer="import fx_inner, fx_other", fx_inner="", fx_other="import fx_inner")
    watcher.recording = True
    importlib.import_module("fx_outer")
    watcher.recording = False
    (outer,) = watcher.slow
    assert [record.module for record in outer.children] == ["fx_inner", "fx_other"]
    assert outer.nested == sum(record.end - record.start for record in outer.children)
    assert 0 <= outer.self_ns <= outer.end - outer.start


def test_of_very_many_the_longest_are_kept(watcher: ImportWatcher, tmp_path: Path) -> None:
    """The outermost end last: on a slow machine a large library has hundreds of slow ones within."""
    inner = {f"fx_leaf_{n}": "" for n in range(240)}
    slow = "import time\ntime.sleep(0.03)\n"
    write(tmp_path, fx_large=f"{slow}import {', '.join(inner)}", fx_after=slow, **inner)
    watcher.recording = True
    importlib.import_module("fx_large")
    importlib.import_module("fx_after")
    assert [record.module for record in watcher.slow] == ["fx_large", "fx_after"]

    def count(records: list[Any]) -> int:
        return sum(1 + count(record.children) for record in records)

    assert 2 <= count(watcher.slow) <= 200
    assert watcher.slow[0].nested > 0, "what is not kept is counted all the same"


def test_nothing_is_recorded_before_and_after(watcher: ImportWatcher, tmp_path: Path) -> None:
    write(tmp_path, fx_quiet="")
    importlib.import_module("fx_quiet")
    assert watcher.slow == []


def test_a_failing_import_fails_as_it_is(watcher: ImportWatcher, tmp_path: Path) -> None:
    write(tmp_path, fx_broken="raise KeyError('own')", fx_parent="import fx_broken")
    watcher.recording = True
    with pytest.raises(KeyError, match="own"):
        importlib.import_module("fx_parent")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("fx_absent")
    assert [record.module for record in watcher.slow] == ["fx_parent"]
    assert "fx_broken" not in sys.modules


def test_the_loader_keeps_its_class(watcher: ImportWatcher, tmp_path: Path) -> None:
    write(tmp_path, fx_plain="")
    watcher.recording = True
    module = importlib.import_module("fx_plain")
    assert module.__spec__ is not None
    assert type(module.__spec__.loader) is SourceFileLoader
    assert importlib.reload(module) is module


def test_a_hook_runs_after_the_import_and_at_once_when_it_is_too_late(watcher: ImportWatcher, tmp_path: Path) -> None:
    write(tmp_path, fx_library="value = 1")
    seen: list[Any] = []
    watcher.after("fx_library", lambda module: seen.append(module.value))
    assert seen == []
    importlib.import_module("fx_library")
    watcher.after("fx_library", lambda module: seen.append(module))
    assert seen == [1, sys.modules["fx_library"]]


def test_a_failing_hook_leaves_the_library_usable(
    watcher: ImportWatcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(complaints, "_next", 0.0)
    monkeypatch.setattr(complaints, "strict", False)
    write(tmp_path, fx_changed="value = 1")
    watcher.after("fx_changed", lambda module: module.gone)
    assert importlib.import_module("fx_changed").value == 1
    assert "instrumenting fx_changed failed" in capsys.readouterr().err


def test_modules_of_an_archive_share_one_loader(
    watcher: ImportWatcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "layer.zip", "w") as archive:
        archive.writestr("fx_zipped.py", "import fx_deeper\nvalue = fx_deeper.value")
        archive.writestr("fx_deeper.py", "value = 5")
    monkeypatch.syspath_prepend(str(tmp_path / "layer.zip"))
    watcher.recording = True
    assert importlib.import_module("fx_zipped").value == 5
    (outer,) = watcher.slow
    assert [record.module for record in outer.children] == ["fx_deeper"]


AGE = """
import time
now = lambda: time.clock_gettime(time.CLOCK_BOOTTIME)
first = now()
from faasight.coldstart import process_age
print(first, now(), process_age(), now())
"""


def test_the_age_of_this_process() -> None:
    """It began after it was asked for, and before its first line ran."""
    asked = time.clock_gettime(time.CLOCK_BOOTTIME)
    run = subprocess.run([sys.executable, "-c", AGE], capture_output=True, text=True, check=True, timeout=180)
    first, before, age, after = map(float, run.stdout.split())
    tick = 2 / os.sysconf("SC_CLK_TCK")
    assert asked - tick <= after - age
    assert before - age <= first + tick


def test_nothing_of_ours_stays_on_the_loader_of_a_module(watcher: ImportWatcher, tmp_path: Path) -> None:
    """A cold start has hundreds of imports: what is kept for each would be walked by each garbage collection."""
    write(tmp_path, fx_once="value = 1")
    seen: list[Any] = []
    watcher.after("fx_once", lambda module: seen.append(module.value))
    watcher.recording = True
    module = importlib.import_module("fx_once")
    assert module.__spec__ is not None
    assert "exec_module" not in vars(module.__spec__.loader)
    importlib.reload(module)
    assert seen == [1, 1], "a library's hook runs again when it is loaded again"


def test_another_step_on_a_loader_stays(watcher: ImportWatcher, tmp_path: Path) -> None:
    write(tmp_path, fx_shared="value = 1")
    ran: list[str] = []

    class Finder:
        """As other agents do it: it puts a step of its own onto what the others find."""

        @staticmethod
        def find_spec(name: str, *_: Any) -> Any:
            if name != "fx_shared" or "busy" in ran:
                return None
            ran.append("busy")
            spec = importlib.util.find_spec(name)
            ran.remove("busy")
            assert spec is not None and spec.loader is not None
            execute = spec.loader.exec_module

            def step(module: Any) -> None:
                ran.append(module.__name__)
                execute(module)

            vars(spec.loader)["exec_module"] = step
            return spec

    sys.meta_path.insert(1, Finder)  # type: ignore[arg-type]  # behind ours
    try:
        watcher.recording = True
        assert importlib.import_module("fx_shared").value == 1
    finally:
        sys.meta_path.remove(Finder)  # type: ignore[arg-type]
    assert ran == ["fx_shared"]
    assert "fx_shared" in [record.module for record in watcher.slow]
