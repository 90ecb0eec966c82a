"""`faasight local start` and `local invoke`: the functions of an AWS SAM template run on this machine."""

import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import faasight
from faasight_emulator import Emulator, Event, Execution, Template, report_lines
from faasight_emulator import Settings as EmulatorSettings

from faasight_cli import services, settings
from faasight_cli.console import Console, banner
from faasight_cli.errors import CommandError
from faasight_cli.ports import answers
from faasight_cli.signals import StopSignal

# What the wrapper prints while it reaches no collector is for the collector's log doors, not for people; that there is
# none is told once, above. The runtime client's advice about updates of AWS's runtimes has no bearing here.
_NOT_FOR_PEOPLE = ('{"faasight.otlp"', "faasight: cannot send to ")
_ADVICE = "LAMBDA_WARNING: Unhandled exception. The most likely cause is"
READY = "The functions are running. Ctrl+C stops them."


def start(chosen: Namespace) -> int:
    """Run all functions until somebody asks to stop."""
    console, stop = Console(), StopSignal()
    lines = None if chosen.quiet else _printer(console)
    emulator = _emulator(chosen, console.say, lines, None if lines is None else _ends(lines))
    emulator.start()
    try:
        console.say(banner(READY, _addresses(emulator)))
        stop.wait()
    finally:
        emulator.stop()
    for function, counts in emulator.counts().items():
        told = " ".join(f"{name}={count}" for name, count in asdict(counts).items() if count)
        console.say(f"{function:<20} {told or 'not invoked'}")
    return 0


def invoke(chosen: Namespace) -> int:
    """Invoke one function, or run one state machine, and print its answer; the exit status is 1 if it failed.

    As `sam local invoke` does, the answer alone goes to stdout; what the functions and the platform say to stderr.
    """
    event = _event(chosen.event)
    template = Template.load(chosen.template, dict(chosen.parameter))
    machine = template.machine(chosen.function)
    if machine is None:
        template.find(chosen.function)  # an unknown one is told before anything is started
    emulator = _emulator(chosen, _to_stderr, lambda _, line: _line_to_stderr(line), _report_to_stderr)
    emulator.start()
    try:
        if machine is not None:
            return _executed(emulator.execute(machine.name, event))
        result = emulator.invoke(chosen.function, event)
    finally:
        emulator.stop()
    Console().say(json.dumps(_json(result.payload), indent=2))
    return 0 if result.ok else 1


def _executed(execution: Execution) -> int:
    """Print what came of an execution; return the exit status."""
    if execution.status == "SUCCEEDED":
        Console().say(json.dumps(json.loads(execution.output), indent=2))
        return 0
    failure = {"status": execution.status, "error": execution.error, "cause": execution.cause}
    Console().say(json.dumps(failure, indent=2))
    return 1


def wrapper() -> Path:
    """Return the program that AWS_LAMBDA_EXEC_WRAPPER names."""
    return Path(faasight.__file__).with_name("faasight-exec")


def _emulator(
    chosen: Namespace,
    progress: Callable[[str], None],
    on_line: Callable[[str, str], None] | None,
    on_event: Callable[[str, Event], None] | None = None,
) -> Emulator:
    environment = {} if chosen.no_wrapper else {"AWS_LAMBDA_EXEC_WRAPPER": str(wrapper())}
    environment["FAASIGHT_ENDPOINT"] = chosen.collector
    told = EmulatorSettings(
        template=chosen.named or chosen.template,
        gateway_port=chosen.port,
        collector=chosen.collector,
        environment={**environment, **dict(chosen.env)},
        variables=_variables(chosen.env_vars),
        reload=not chosen.no_reload,
        parameters=dict(chosen.parameter),
        aws_endpoint=chosen.aws_endpoint,
        region=chosen.region,
        jwks=chosen.jwks,
    )
    return Emulator(told, progress, on_line, on_event)


def _addresses(emulator: Emulator) -> list[tuple[str, str]]:
    template = emulator.template
    rows = [("gateway", emulator.gateway_address), ("traces", traces_at(emulator.settings.collector))]
    if template is None:
        return rows
    for machine in template.machines:
        events = [f"{route.method} {route.path}" for route in machine.routes]
        events += [source.expression for source in machine.schedules] + [rule.name for rule in machine.rules]
        rows.append((machine.name, f"state machine: {', '.join(['StartExecution', *events])}"))
    for function in template.functions:
        events = [f"{route.method} {route.path}" for route in function.routes]
        events += emulator.sources_of(function)
        events += [source.expression for source in function.schedules]
        events += [emulator.place.urls[function.logical_id]] if function.url else []
        arn = emulator.place.arn("lambda", f"function:{function.name}")
        events += [one.name for one in template.machines if f'"{arn}' in json.dumps(one.definition)]
        events += [
            f"authorizer {one.name} of {api.name}"
            for api in template.apis
            for one in api.authorization.authorizers.values()
            if f"{one.function}:".startswith(f"{arn}:")
        ]
        rows.append((function.name, ", ".join(events) or "nothing invokes it"))
    return rows


def traces_at(collector: str) -> str:
    """Return where to see what the functions send, or what is missing for that."""
    if not answers(f"{collector.rstrip('/')}/healthz"):
        return f"nowhere yet: no collector answers at {collector}; run `faasight up` beside this"
    own = settings.load(os.environ, {})
    if _door(collector) == _door(services.collector_url(own)):
        return services.dashboards_url(own)
    return f"in the dashboards of the collector at {collector}"


def _door(url: str) -> tuple[str, int | None]:
    """Return what tells two collectors apart; a machine's own names are one."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return "127.0.0.1" if host in ("localhost", "::1") else host, parts.port


def _printer(console: Console) -> Callable[[str, str], None]:
    return lambda function, line: console.say(f"{function} | {line}") if _for_people(line) else None


def _ends(printer: Callable[[str, str], None]) -> Callable[[str, Event], None]:
    """Return what prints how invocations ended: their reports, throttles and faults; starts go without saying."""

    def told(function: str, event: Event) -> None:
        for line in report_lines(event):
            if not line.startswith(("START ", "END ")):
                printer(function, line)

    return told


def _for_people(line: str) -> bool:
    return not line.startswith(_NOT_FOR_PEOPLE) and _ADVICE not in line


def _to_stderr(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _line_to_stderr(line: str) -> None:
    if _for_people(line):
        _to_stderr(line)


def _report_to_stderr(_: str, event: Event) -> None:
    for line in report_lines(event):
        _to_stderr(line)


def _event(file: Path | None) -> Any:  # noqa: ANN401 - any JSON value
    """Read the event: a file, stdin for `-`, or {}. Raises CommandError."""
    if file is None:
        return {}
    try:
        return json.loads(sys.stdin.read() if str(file) == "-" else file.read_text())
    except OSError as problem:
        raise CommandError(f"the event {file} cannot be read: {problem.strerror}; give an existing file") from None
    except ValueError as problem:
        raise CommandError(f"the event {file} is not JSON: {problem}") from None


def _variables(file: Path | None) -> dict[str, dict[str, str]]:
    """Read variables by function, as `sam local` takes them. Raises CommandError."""
    if file is None:
        return {}
    try:
        given = json.loads(file.read_text())
    except OSError as problem:
        raise CommandError(f"the variables {file} cannot be read: {problem.strerror}; give an existing file") from None
    except ValueError as problem:
        raise CommandError(f"the variables {file} are not JSON: {problem}") from None
    if not isinstance(given, dict) or not all(isinstance(one, dict) for one in given.values()):
        raise CommandError(
            f'the variables {file} are not of the form {{"MyFunction": {{"NAME": "value"}}}}; correct them'
        )
    return {
        function: {name: value if isinstance(value, str) else json.dumps(value) for name, value in variables.items()}
        for function, variables in given.items()
    }


def _json(payload: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Return what the function answered; text if it is no JSON."""
    try:
        return json.loads(payload or b"null")
    except ValueError:
        return payload.decode(errors="replace")
