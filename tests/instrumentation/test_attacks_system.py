"""Functions that turn the interpreter or the process upside down: each answers as it does without us."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from polling import wait_until

# What a function may do in passing: one after the other in one sandbox, all of it is seen.
IN_PASSING = [
    "os.environ.clear()",
    "os.environ['TZ'] = 'Pacific/Kiritimati'; import time; time.tzset()",
    "import locale; locale.setlocale(locale.LC_ALL, 'C')",
    "import tempfile; d = tempfile.mkdtemp(); os.chdir(d); os.rmdir(d)",
    "import gc; gc.collect(); gc.freeze(); gc.set_threshold(1)",
    "import faulthandler; faulthandler.enable(); faulthandler.dump_traceback_later(0.01)",
    "import threading; threading.settrace(lambda *a: None); threading.setprofile(lambda *a: None)",
    "sys.settrace(lambda *a: None); sys.setprofile(lambda *a: None)",
    "sys.setswitchinterval(1e-6); sys.addaudithook(lambda *a: None)",
    "import warnings; warnings.simplefilter('error')",
    "sys.excepthook = sys.unraisablehook = boom; import threading; threading.excepthook = boom",
    "import signal; signal.signal(signal.SIGALRM, lambda *a: None); signal.setitimer(signal.ITIMER_REAL, 1e-3, 1e-3)",
    "pid = os.fork(); os.waitpid(pid, 0) if pid else os._exit(0)",
    "handler.__name__ = handler.__qualname__ = 'x' * 100_000",
    "sys.stdout.close(); sys.stderr = None",
    "os.umask(0o777)",
]

# What breaks us, or much else: the function goes on, and nobody hears of what it does.
BREAKING = {
    "modules of ours are gone": "for one in [n for n in sys.modules if n.startswith('faasight')]: del sys.modules[one]",
    "no module is left": "keep = {k: sys.modules[k] for k in ('sys', 'builtins', 'os', 'json')};"
    " sys.modules.clear(); sys.modules.update(keep)",
    "no finders": "sys.meta_path.clear(); sys.path.clear(); sys.path_hooks.clear()",
    "no imports": "import builtins; builtins.__import__ = boom; builtins.open = None",
    "little stack": "sys.setrecursionlimit(30)",
    "monotonic fails": "import time; time.monotonic = boom",
    "clocks stand still": "import time; time.time_ns = lambda: 7; time.time = time.monotonic = lambda: 7.0",
    "clocks fail": "import time; time.time_ns = time.perf_counter_ns = boom",
    "system calls fail": "os.pwrite = os.urandom = os.getpid = os.fstat = boom; import _thread;"
    " _thread.start_new_thread = boom",
    "sockets fail": "import _socket, socket; socket.socket = _socket.socket = None",
    "few descriptors": "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))",
    "no bytes of files": "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    " resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))",
}
CODE = """
import json, os, sys

def boom(*given, **named):
    raise RuntimeError("boom")

def attack(i):
    {attacks}

def handler(event, context):
    if event["attack"] is not None:
        attack(event["attack"])
    return {{"n": event["n"]}}
"""


def code(*attacks: str) -> str:
    """Return a function that attacks as its event says."""
    lines = [f"if i == {i}: exec({attack!r}, globals())" for i, attack in enumerate(attacks)]
    return CODE.format(attacks="\n    ".join(lines))


def test_what_functions_do_in_passing(function: Any, sink: Any) -> None:
    sandbox = function(code(*IN_PASSING))
    count = len(IN_PASSING)
    answers = [
        sandbox.invoke({"n": n, "attack": n if n < count else None}, timeout_ms=60_000) for n in range(count + 2)
    ]
    assert [answer.body for answer in answers] == [{"n": n} for n in range(count + 2)], sandbox.output()
    assert {span.attributes["faasight.outcome"] for span in sink.wait(count + 1)} == {"ok"}


@pytest.mark.parametrize("attack", BREAKING.values(), ids=BREAKING)
def test_what_breaks_us_ends_at_us(function: Any, sink: Any, attack: str) -> None:
    sandbox = function(code(attack))
    answers = [sandbox.invoke({"n": n, "attack": 0 if n == 1 else None}, timeout_ms=60_000) for n in range(4)]
    assert [answer.body for answer in answers] == [{"n": n} for n in range(4)], sandbox.output()
    assert sink.wait()[0].attributes["faasight.outcome"] == "ok", "before the attack all was well"


@pytest.mark.parametrize("what", ["sys.settrace(boom)", "sys.setprofile(boom)"])
def test_who_traces_badly_fails_and_goes_on(function: Any, sink: Any, what: str) -> None:
    """Python takes away a tracer that raises; what it raised is the function's own error."""
    sandbox = function(code(what))
    answers = [sandbox.invoke({"n": n, "attack": 0 if n == 1 else None}) for n in range(3)]
    assert [answer.kind for answer in answers] == ["response", "error", "response"], sandbox.output()
    assert answers[1].body["errorMessage"] == "boom"


DAEMON = """
import faasight, os, pathlib, sys

own = []

@faasight.observe
def handler(n):
    if n == 2:
        os.closerange(3, 256)
        own.extend(open(pathlib.Path(sys.argv[1]) / f"own{i}", "w+b", 0) for i in range(24))
    return n

assert [handler(n) for n in range(6)] == [*range(6)]
print([one.write(b"mine") for one in own] == [4] * 24)
"""


def test_descriptors_that_the_function_has_closed_are_no_longer_ours(sink: Any, tmp_path: Path) -> None:
    """Daemons close all, and their own files take the numbers: nothing of ours is written there, and none is closed.

    (Lambda's own runtime client writes into them, and closes them.)
    """
    (tmp_path / "notes").mkdir()
    environment = {**os.environ, "FAASIGHT_ENDPOINT": sink.endpoint, "TMPDIR": str(tmp_path / "notes")}
    run = [sys.executable, "-c", DAEMON, str(tmp_path)]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")
    files = list(tmp_path.glob("own*"))
    assert len(files) == 24
    assert {path.read_bytes() for path in files} == {b"mine"}
    wait_until(lambda: len({span.span_id for span in sink.invocations()}) == 6, "all are seen")
    (note,) = (tmp_path / "notes").iterdir()
    assert b"R(" not in note.read_bytes(), "each has been blotted out"


def test_an_answer_of_32_mb(function: Any, sink: Any) -> None:
    sandbox = function("def handler(event, context):\n    return 'x' * (32 << 20)\n")
    assert len(sandbox.invoke(timeout_ms=60_000).body) == 32 << 20
    assert sink.wait()[0].attributes["faasight.outcome"] == "ok"
