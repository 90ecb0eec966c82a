"""Without a line in the function, by the environment alone, under Google's framework."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import faasight
import pytest
from google_host import HOST as GOOGLE
from google_host import Answer, Serve

ZERO = Path(faasight.__file__).with_name("zero")
UNTOUCHED = """
import os
import subprocess
import sys
import functions_framework
import slow_library


@functions_framework.http
def hello(request):
    child = [sys.executable, "-c", "import sys; print('faasight' in sys.modules)"]
    return {
        "inherited": os.environ.get("PYTHONPATH"),
        "in the path": [place for place in sys.path if place.endswith("zero")],
        "child": subprocess.run(child, capture_output=True, text=True).stdout.strip(),
        "image": os.environ.get("IMAGE"),
    }
"""


def test_at_google_an_environment_variable_is_enough(serve: Serve, sink: Any, tmp_path: Path) -> None:
    """The function has not a word of ours; the image's own sitecustomize runs, and children are as they would be."""
    image = tmp_path / "image"
    image.mkdir()
    (image / "sitecustomize.py").write_text("import os, time\nos.environ['IMAGE'] = 'ran'\ntime.sleep(0.3)\n")
    (image / "slow_library.py").write_text("import time\ntime.sleep(0.03)\n")
    rest = f"{GOOGLE}:{image}"
    framework = serve(UNTOUCHED, PYTHONPATH=f"{ZERO}:{rest}")
    told = json.loads(framework.call().body)
    assert told == {"child": "False", "image": "ran", "in the path": [], "inherited": rest}
    (span,) = sink.wait()
    assert (span.name, span.attributes["faas.coldstart"]) == ("GET", True)
    init = sink.named("INIT")
    assert sink.named("import slow_library").parent_id == init.span_id
    took = (init.raw.end_time_unix_nano - init.raw.start_time_unix_nano) / 1e6
    assert init.attributes["faasight.overhead_ms"] <= took - 300, (
        "what comes between us and the function is none of ours"
    )
    assert framework.output() == ""


def test_events_and_asynchronous_functions_too(serve: Serve, sink: Any) -> None:
    code = (
        "import functions_framework.aio\n\n@functions_framework.aio.http\nasync def hello(request):\n    return 'hi'\n"
    )
    framework = serve(code, PYTHONPATH=f"{ZERO}:{GOOGLE}", FUNCTION_USE_ASGI="1")
    assert framework.call() == Answer(200, "hi")
    assert [span.name for span in sink.wait()] == ["GET"]


def test_the_line_as_well_makes_no_second_span(serve: Serve, sink: Any) -> None:
    framework = serve(PYTHONPATH=f"{ZERO}:{GOOGLE}")
    assert framework.call("/?name=you").body == "hello you"
    assert len(sink.wait()) == 1


def test_switched_off_it_is_as_without_us(serve: Serve, sink: Any) -> None:
    framework = serve(
        UNTOUCHED.replace("import slow_library", ""), PYTHONPATH=f"{ZERO}:{GOOGLE}", FAASIGHT_DISABLED="1"
    )
    assert framework.call().status == 200
    assert sink.requests == []


@pytest.mark.parametrize("broken", ["raise ValueError('image')", "import no_such_module"])
def test_a_broken_sitecustomize_of_the_image_says_what_it_says_without_us(tmp_path: Path, broken: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(broken)
    said = [
        subprocess.run(
            [sys.executable, "-c", "print('ran')"],
            env={"PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        for path in (str(tmp_path), f"{ZERO}:{tmp_path}")
    ]
    assert said[0].stdout == said[1].stdout == "ran\n"
    assert said[0].stderr == said[1].stderr
    assert "Error in sitecustomize" in said[0].stderr


def test_without_the_wrapper_python_starts_all_the_same(tmp_path: Path) -> None:
    """The folder alone, as in an image whose requirements have lost us."""
    (tmp_path / "sitecustomize.py").write_text((ZERO / "sitecustomize.py").read_text())
    run = subprocess.run(
        [sys.executable, "-S", "-c", "import sitecustomize; print('ran')"],
        env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (run.stdout, run.stderr) == (
        "ran\n",
        "faasight: not started: ModuleNotFoundError: No module named 'faasight'\n",
    )
