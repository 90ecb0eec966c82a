"""`faasight local`: a template's functions from the command line, in the real runtime client, with the wrapper."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from faasight_cli import local

TEMPLATE = """
Parameters:
  Greeting: {Type: String, Default: hello}
Resources:
  Greet:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: greet
      Runtime: python3.11
      Handler: app.handler
      CodeUri: .
      Environment: {Variables: {GREETING: !Ref Greeting}}
      Events:
        Get: {Type: HttpApi, Properties: {Method: GET, Path: /greet}}
"""
APP = """
import logging, os
def handler(event, context):
    logging.getLogger().warning("greeting")
    if event.get("fail"):
        raise ValueError("no greeting")
    watched = "faasight.aws" in __import__("sys").modules
    return {"said": os.environ["GREETING"], "to": event.get("name"), "mark": os.environ.get("MARK"), "watched": watched}
"""
NOWHERE = ("--collector", "http://127.0.0.1:9")


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """Write a template with one function."""
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    return tmp_path / "template.yaml"


def test_the_wrapper_is_a_program() -> None:
    assert local.wrapper().is_file()
    assert local.wrapper().stat().st_mode & 0o111


def test_a_function_is_invoked_with_an_event_parameters_and_variables(
    faasight: Callable[..., Any], template: Path, tmp_path: Path
) -> None:
    event = tmp_path / "event.json"
    event.write_text('{"name": "Ada"}')
    more = ("--event", str(event), "--parameter", "Greeting=good day", "--env", "MARK=x", *NOWHERE)
    done = faasight("local", "invoke", str(template), "greet", *more)
    assert done.ended() == 0, done.said()
    answer = json.loads(done.out.read_text())
    assert answer == {"said": "good day", "to": "Ada", "mark": "x", "watched": True}
    assert "greeting" in done.err.read_text()


def test_without_the_wrapper_and_without_an_event(faasight: Callable[..., Any], template: Path) -> None:
    done = faasight("local", "invoke", str(template), "Greet", "--no-wrapper", *NOWHERE)
    assert done.ended() == 0, done.said()
    assert json.loads(done.out.read_text()) == {"said": "hello", "to": None, "mark": None, "watched": False}


def test_a_failure_is_shown_and_is_the_exit_status(
    faasight: Callable[..., Any], template: Path, tmp_path: Path
) -> None:
    (tmp_path / "fail.json").write_text('{"fail": true}')
    done = faasight("local", "invoke", str(template), "greet", "--event", str(tmp_path / "fail.json"), *NOWHERE)
    assert done.ended() == 1
    assert json.loads(done.out.read_text())["errorType"] == "ValueError"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.yaml", "greet"], "none.yaml"),
        (["{template}", "greet", "--event", "none.json"], "none.json"),
        (["{template}", "greet", "--event", "{template}"], "is not JSON"),
    ],
)
def test_what_cannot_be_is_one_clear_sentence(
    faasight: Callable[..., Any], template: Path, arguments: list[str], words: str
) -> None:
    done = faasight("local", "invoke", *(argument.replace("{template}", str(template)) for argument in arguments))
    assert done.ended() == 1
    assert done.err.read_text().startswith("faasight: ")
    assert words in done.err.read_text()
    assert "Traceback" not in done.said()


def test_an_unknown_function_is_told_with_the_known_ones(faasight: Callable[..., Any], template: Path) -> None:
    done = faasight("local", "invoke", str(template), "great", *NOWHERE)
    assert done.ended() == 1
    assert "greet" in done.err.read_text().splitlines()[-1]


def test_all_run_until_ctrl_c(faasight: Callable[..., Any], template: Path) -> None:
    run = faasight("local", "start", str(template), "--port", "0", *NOWHERE)
    run.wait_for(local.READY)
    with urlopen(f"{run.url('gateway')}/greet", timeout=30) as answer:
        assert json.load(answer)["said"] == "hello"
    run.wait_for("greet | ")
    run.process.send_signal(signal.SIGINT)
    assert run.ended(15) == 0, run.said()
    assert "invocations=1" in run.said()
