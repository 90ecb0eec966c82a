"""`faasight local`: a template's functions from the command line, in the real runtime client, with the wrapper."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from faasight_cli import local
from faasight_cli.arguments import build_parser
from polling import wait_until
from quiet_server import QuietHandler, QuietServer

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
  Politely:
    Type: AWS::Serverless::StateMachine
    Properties:
      Definition: {StartAt: Greet, States: {Greet: {Type: Task, Resource: !GetAtt Greet.Arn, End: true}}}
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


@pytest.fixture
def sink() -> Iterator[int]:
    """Answer 200 in a collector's place; gives the port."""

    class Health(QuietHandler):
        def answer(self) -> None:
            self.reply(200, {}, b"")

    server = QuietServer(Health)
    yield server.server_port
    server.close()


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
    done = faasight("local", "invoke", "greet", "--template", str(template), *more)
    assert done.ended() == 0, done.said()
    answer = json.loads(done.out.read_text())
    assert answer == {"said": "good day", "to": "Ada", "mark": "x", "watched": True}
    lines = done.err.read_text().splitlines()
    told = [line.split("\t")[0].split()[0] for line in lines if line.split()[:1] in (["START"], ["END"], ["REPORT"])]
    assert told == ["START", "END", "REPORT"]
    start = next(number for number, line in enumerate(lines) if line.startswith("START RequestId: "))
    logged = next(number for number, line in enumerate(lines) if "greeting" in line)
    end = next(number for number, line in enumerate(lines) if line.startswith("END RequestId: "))
    assert start < logged < end
    report = lines[end + 1]
    assert "\tMemory Size: 128 MB\t" in report
    assert "\tInit Duration: " in report
    assert "faasight.otlp" not in done.said(), "what is meant for a collector is no line for people"


def test_parameters_as_sam_has_them() -> None:
    read = build_parser().parse_args
    several = ["--parameter-overrides", "A=1", "ParameterKey=B,ParameterValue=x=y, z", "--parameter", "C=3"]
    assert read(["local", "start", "a.yaml", *several]).parameter == [("A", "1"), ("B", "x=y, z"), ("C", "3")]
    assert read(["local", "invoke", "--parameter", "A=1", "greet"]).function == "greet"


def test_variables_come_from_a_file_as_sam_has_it(faasight: Callable[..., Any], template: Path, tmp_path: Path) -> None:
    """Those of the function win over those for all, and both over the template's."""
    file = tmp_path / "env.json"
    file.write_text('{"Parameters": {"MARK": 1, "GREETING": "all"}, "Greet": {"GREETING": "you"}}')
    done = faasight("local", "invoke", "greet", "-t", str(template), "--no-wrapper", "--env-vars", str(file), *NOWHERE)
    assert done.ended() == 0, done.said()
    answer = json.loads(done.out.read_text())
    assert (answer["said"], answer["mark"]) == ("you", "1")


def test_without_the_wrapper_and_without_an_event(faasight: Callable[..., Any], template: Path) -> None:
    done = faasight("local", "invoke", "Greet", "-t", str(template), "--no-wrapper", *NOWHERE)
    assert done.ended() == 0, done.said()
    assert json.loads(done.out.read_text()) == {"said": "hello", "to": None, "mark": None, "watched": False}


def test_a_failure_is_shown_and_is_the_exit_status(
    faasight: Callable[..., Any], template: Path, tmp_path: Path
) -> None:
    (tmp_path / "fail.json").write_text('{"fail": true}')
    done = faasight(
        "local", "invoke", "greet", "--template", str(template), "--event", str(tmp_path / "fail.json"), *NOWHERE
    )
    assert done.ended() == 1
    assert json.loads(done.out.read_text())["errorType"] == "ValueError"
    assert "\tStatus: error\tError Type: ValueError" in done.err.read_text()


def test_a_state_machine_is_run(faasight: Callable[..., Any], template: Path, tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text('{"name": "Ada"}')
    more = ("--template", str(template), "--event", str(tmp_path / "event.json"), *NOWHERE)
    done = faasight("local", "invoke", "politely", *more)
    assert done.ended() == 0, done.said()
    assert json.loads(done.out.read_text())["to"] == "Ada"
    (tmp_path / "event.json").write_text('{"fail": true}')
    failed = faasight("local", "invoke", "Politely", *more)
    assert failed.ended() == 1
    assert json.loads(failed.out.read_text())["error"] == "ValueError"


def test_the_event_may_come_by_stdin_and_the_template_by_its_usual_name(template: Path) -> None:
    command = [sys.executable, "-m", "faasight_cli", "local", "invoke", "greet", "-e", "-", *NOWHERE]
    done = subprocess.run(
        command, cwd=template.parent, input='{"name": "Bob"}', capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["to"] == "Bob"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["greet"], "template.yaml: cannot be read"),
        (["greet", "--template", "none.yaml"], "none.yaml"),
        (["greet", "--template", "{template}", "--event", "none.json"], "none.json"),
        (["greet", "--template", "{template}", "--event", "{template}"], "is not JSON"),
        (["greet", "--template", "{template}", "--env-vars", "none.json"], "the variables none.json cannot be read"),
        (["greet", "--template", "{template}", "--env-vars", "{event}"], "are not of the form {"),
        (
            ["greet", "--template", "{template}", "--env-vars", "{other}"],
            "'Great', which is no function; there are Greet",
        ),
        (["great", "--template", "{template}"], "no function 'great'; there are greet."),
    ],
)
def test_what_cannot_be_is_one_clear_sentence(
    faasight: Callable[..., Any], template: Path, arguments: list[str], words: str
) -> None:
    files = {"template": template, "event": template.with_name("event.json"), "other": template.with_name("other.json")}
    files["event"].write_text('{"NAME": "value"}')
    files["other"].write_text('{"Great": {"NAME": "value"}}')
    done = faasight("local", "invoke", *(one.format(**files) for one in arguments))
    assert done.ended() == 1
    assert done.err.read_text().startswith("faasight: ")
    assert words in done.err.read_text()
    assert "Traceback" not in done.said()


def test_all_run_until_ctrl_c(faasight: Callable[..., Any], template: Path) -> None:
    run = faasight("local", "start", "-t", str(template), "-p", "0", *NOWHERE)
    said = run.wait_for(local.READY)
    told = " ".join(said.split())
    assert "traces nowhere yet: no collector answers at http://127.0.0.1:9; run `faasight up` beside this" in told
    assert "politely state machine: StartExecution greet GET /greet, politely" in told
    with urlopen(f"{run.url('gateway')}/greet", timeout=180) as answer:
        assert json.load(answer)["said"] == "hello"
    run.wait_for("greet | REPORT RequestId: ")
    assert "cannot send to" not in run.said(), "that no collector is there has been told"
    template.with_name("app.py").write_text('def handler(event, context):\n    return {"said": "something new"}\n')

    def changed() -> bool:
        with urlopen(f"{run.url('gateway')}/greet", timeout=180) as answer:
            return bool(json.load(answer)["said"] == "something new")

    wait_until(changed, "the new code runs")
    run.wait_for("has changed: greet begins anew")
    run.process.send_signal(signal.SIGINT)
    assert run.ended() == 0, run.said()
    assert "invocations=" in run.said()


@pytest.mark.parametrize(
    ("collector", "place"),
    [("http://localhost:{port}", "http://127.0.0.1:8051"), ("http://localhost:{port}/", "http://127.0.0.1:8051")],
)
def test_where_traces_are_seen(monkeypatch: pytest.MonkeyPatch, sink: int, collector: str, place: str) -> None:
    """A collector that answers: the dashboards of the same settings if it is theirs, else those of whoever runs it."""
    monkeypatch.setenv("FAASIGHT_DASHBOARDS", "127.0.0.1:8051")
    monkeypatch.setenv("FAASIGHT_COLLECTOR_HTTP", f"127.0.0.1:{sink}")
    assert local.traces_at(collector.format(port=sink)) == place
    monkeypatch.setenv("FAASIGHT_COLLECTOR_HTTP", "127.0.0.1:4318")
    assert local.traces_at(f"http://127.0.0.1:{sink}").startswith("in the dashboards of the collector at http://")
