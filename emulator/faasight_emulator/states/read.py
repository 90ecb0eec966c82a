"""Reads AWS::Serverless::StateMachine and AWS::StepFunctions::StateMachine: definition, substitutions, events."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from faasight_emulator.functions import rest_route, schedule_source
from faasight_emulator.model import Place, Route, ScheduleSource, kebab
from faasight_emulator.section import Section
from faasight_emulator.sources.model import Rule
from faasight_emulator.sources.read import rule_source
from faasight_emulator.states.definition import StateMachine, problem_of

SAM = "AWS::Serverless::StateMachine"
PLAIN = "AWS::StepFunctions::StateMachine"
KINDS = (SAM, PLAIN)
ACTIVITY = "AWS::StepFunctions::Activity"
NAME_PROPERTY = {SAM: "Name", PLAIN: "StateMachineName", ACTIVITY: "Name"}
_SUBSTITUTION = re.compile(r"\$\{([A-Za-z0-9_]+)\}")
_MAX_BYTES = 1024 * 1024


def machine_from(
    logical_id: str, name: str, properties: Section, root: Path, place: Place, warnings: list[str]
) -> StateMachine:
    """Return a state machine. `root` is the folder that its DefinitionUri is relative to. Raises TemplateError."""
    key, given = _definition(properties, root)
    values = properties.section("DefinitionSubstitutions")
    substitutions = {one: values.text(one) for one in values}
    missing: list[str] = []
    definition = _substituted(given, substitutions, missing)
    if missing:
        raise properties.error(key, f"uses ${{{missing[0]}}}; add it to DefinitionSubstitutions.")
    problem = problem_of(definition)
    if problem:
        raise properties.error(key, problem)
    kind = (properties.optional_text("Type") or properties.text("StateMachineType", "STANDARD")).upper()
    made = _events(logical_id, properties.section("Events"), warnings)
    return StateMachine(
        logical_id,
        name,
        definition,
        "EXPRESS" if kind == "EXPRESS" else "STANDARD",
        tuple(one for one in made if isinstance(one, ScheduleSource)),
        tuple(_started(one, references(SAM, name, place)[0]) for one in made if isinstance(one, Rule)),
        tuple(one for one in made if isinstance(one, Route)),
    )


def _events(logical_id: str, events: Section, warnings: list[str]) -> list[ScheduleSource | Rule | Route]:
    readers: dict[str, Callable[[str, Section], ScheduleSource | Rule | Route | None]] = {
        "Api": lambda _, properties: rest_route(properties),
        "Schedule": lambda name, properties: schedule_source(name, properties, "Schedule"),
        "ScheduleV2": lambda name, properties: schedule_source(name, properties, "ScheduleExpression"),
        "EventBridgeRule": rule_source,
        "CloudWatchEvent": rule_source,
    }
    made = []
    for event in events:
        one = events.section(event)
        kind = one.text("Type")
        if kind not in readers:
            known = ", ".join(readers)
            text = f"events of type {kind} start no state machine here (but {known} do, and StartExecution)."
            warnings.append(str(one.error("Type", text)))
            continue
        source = readers[kind](kebab(f"{logical_id}{event[:1].upper()}{event[1:]}"), one.section("Properties"))
        made += [] if source is None else [source]
    return made


def references(kind: str, name: str, place: Place) -> tuple[str, dict[str, str]]:
    """Return what !Ref gives of a state machine or an activity, and its attributes for !GetAtt."""
    arn = place.arn("states", f"{'activity' if kind == ACTIVITY else 'stateMachine'}:{name}")
    return arn, {"Arn": arn, "Name": name}


def _started(rule: Rule, arn: str) -> Rule:
    """Return a rule that starts the state machine of this ARN."""
    return replace(rule, targets=tuple(replace(target, arn=arn) for target in rule.targets))


def _definition(properties: Section, root: Path) -> tuple[str, Any]:
    for key in ("Definition", "DefinitionString"):
        if key in properties:
            value = properties.value(key)
            return key, _parsed(value, properties, key) if isinstance(value, str) else value
    if "DefinitionUri" not in properties:
        raise properties.error("", "has no 'Definition' or 'DefinitionUri'; add one.")
    given = properties.text("DefinitionUri")
    path = root / given
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise properties.error("DefinitionUri", f"'{given}' is larger than Step Functions takes (1 MB).")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise properties.error(
            "DefinitionUri", f"'{given}' cannot be read ({reason}); give a file beside the template."
        ) from error
    return "DefinitionUri", _parsed(text, properties, "DefinitionUri")


def _parsed(text: str, properties: Section, key: str) -> Any:  # noqa: ANN401 -- checked by problem_of
    try:
        return json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise properties.error(key, f"is neither JSON nor YAML ({error}); correct it.") from error


def _substituted(value: Any, by: dict[str, str], missing: list[str]) -> Any:  # noqa: ANN401 -- any JSON value
    """Replace ${Name} in all texts, keys too; a name that is not there is added to `missing`."""
    if isinstance(value, dict):
        return {_text(str(key), by, missing): _substituted(one, by, missing) for key, one in value.items()}
    if isinstance(value, list):
        return [_substituted(one, by, missing) for one in value]
    return _text(value, by, missing) if isinstance(value, str) else value


def _text(text: str, by: dict[str, str], missing: list[str]) -> str:
    def one_value(found: re.Match[str]) -> str:
        if found.group(1) not in by:
            missing.append(found.group(1))
            return ""
        return by[found.group(1)]

    return _SUBSTITUTION.sub(one_value, text)
