"""A state machine as data: its definition in Amazon States Language, checked when the template is read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from faasight_emulator.model import Route, ScheduleSource
from faasight_emulator.sources.model import Rule
from faasight_emulator.states.choice import known
from faasight_emulator.states.jsonata import problem_in

Flow = Mapping[str, Any]  # StartAt and States
State = Mapping[str, Any]

TYPES = ("Task", "Pass", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map")
_ENDS = ("Succeed", "Fail")
JSONATA = "JSONata"
_LANGUAGES = ("JSONPath", JSONATA)
# What belongs to one of the two languages.
_OF_PATHS = ("InputPath", "OutputPath", "ResultPath", "Parameters", "ResultSelector", "ItemsPath", "Result")
_OF_JSONATA = ("Arguments", "Output", "Items", "Assign")


@dataclass(frozen=True, slots=True)
class StateMachine:
    """A state machine of the template. `definition` is Amazon States Language, with all substitutions made."""

    logical_id: str
    name: str
    definition: Flow
    kind: Literal["STANDARD", "EXPRESS"] = "STANDARD"
    schedules: tuple[ScheduleSource, ...] = ()
    rules: tuple[Rule, ...] = ()
    routes: tuple[Route, ...] = ()


def problem_of(flow: Any, language: str = "") -> str | None:  # noqa: ANN401 -- whatever a template holds
    """Return what is wrong with a definition, as a sentence that says what would be right; None if nothing is.

    `language` is that of the flow around it.
    """
    if not isinstance(flow, dict) or not isinstance(flow.get("States"), dict) or not flow["States"]:
        return "has no 'States'; give a definition in Amazon States Language."
    language = flow.get("QueryLanguage", language or "JSONPath")
    if language not in _LANGUAGES:
        return f"has the QueryLanguage {language!r}; must be JSONPath or JSONata."
    states = flow["States"]
    if flow.get("StartAt") not in states:
        return f"starts at '{flow.get('StartAt')}', which is no state; there are {', '.join(states)}."
    for name, state in states.items():
        problem = _problem_of_state(state, states, language) if isinstance(state, dict) else "is no mapping."
        if problem:
            return f"state '{name}' {problem}"
    return None


def _problem_of_state(state: State, states: Mapping[str, Any], language: str) -> str | None:
    kind = state.get("Type")
    if kind not in TYPES:
        return f"is of type '{kind}'; must be one of {', '.join(TYPES)}."
    own = language_of(state, language)
    if own not in _LANGUAGES or (language == JSONATA and own != JSONATA):
        return f"has the QueryLanguage {own!r}; must be {language} or JSONata."
    for key in _OF_PATHS if own == JSONATA else _OF_JSONATA:
        if key in state:
            other = "JSONPath" if own == JSONATA else JSONATA
            return f"has '{key}', which is emulated with {other} only, and its language is {own}; change one of them."
    for target in _targets(state):
        if target not in states:
            return f"goes on to '{target}', which is no state; there are {', '.join(states)}."
    if kind not in (*_ENDS, "Choice") and not state.get("End") and "Next" not in state:
        return "has neither 'Next' nor 'End: true'; add one."
    checks = {"Task": _task, "Choice": _choice, "Wait": _wait, "Parallel": _parallel, "Map": _map}
    problem = checks[kind](state, own) if kind in checks else None
    return problem or (problem_in(_own(state)) if own == JSONATA else None)


def language_of(state: State, around: str) -> str:
    """Return the query language of a state within a flow of another's."""
    return str(state.get("QueryLanguage", around))


def _own(state: State) -> State:
    """Return a state without the flows in it, which are checked by themselves."""
    return {key: value for key, value in state.items() if key not in ("Branches", "ItemProcessor", "Iterator")}


def _targets(state: State) -> Iterator[str]:
    yield from (str(state[key]) for key in ("Next", "Default") if key in state)
    for key in ("Choices", "Catch"):
        yield from (str(one.get("Next")) for one in state.get(key, ()) if isinstance(one, dict))


def _task(state: State, _: str) -> str | None:
    resource = state.get("Resource")
    if not isinstance(resource, str) or not resource.startswith("arn:"):
        return f"has the Resource {resource!r}; must be an ARN: of a function, or as arn:aws:states:::sqs:sendMessage."
    return None


def _choice(state: State, language: str) -> str | None:
    rules = state.get("Choices")
    if not isinstance(rules, list) or not rules:
        return "has no 'Choices'; add at least one."
    for rule in rules:
        if language == JSONATA and isinstance(rule, dict) and "Condition" not in rule:
            return "has a rule without 'Condition'; add it."
        if not isinstance(rule, dict) or (language != JSONATA and not known(rule)):
            return f"has a rule without a comparison that is known: {rule}"
        if "Next" not in rule:
            return "has a rule without 'Next'; add it."
    return None


def _wait(state: State, language: str) -> str | None:
    ways = ("Seconds", "Timestamp") if language == JSONATA else ("Seconds", "SecondsPath", "Timestamp", "TimestampPath")
    return None if sum(way in state for way in ways) == 1 else f"must have one of {', '.join(ways)}."


def _parallel(state: State, language: str) -> str | None:
    branches = state.get("Branches")
    if not isinstance(branches, list) or not branches:
        return "has no 'Branches'; add at least one."
    problems = (problem_of(branch, language) for branch in branches)
    return next((f"has a branch that {problem}" for problem in problems if problem), None)


def _map(state: State, language: str) -> str | None:
    problem = problem_of(processor_of(state), language)
    if problem:
        return f"has an ItemProcessor that {problem}"
    reader = state.get("ItemReader")
    known = ("arn:aws:states:::s3:getObject", "arn:aws:states:::s3:listObjectsV2")
    if reader is not None and (not isinstance(reader, dict) or reader.get("Resource") not in known):
        return f"has an ItemReader whose Resource is none of {', '.join(known)}."
    return None


def processor_of(state: State) -> Any:  # noqa: ANN401 -- checked by problem_of
    """Return the flow of a Map state, under its new or its old name."""
    return state.get("ItemProcessor", state.get("Iterator"))


def compensations(flow: Flow) -> frozenset[str]:
    """Return the states that are reached only after an error was caught: what a saga undoes its steps with."""
    states = flow["States"]
    usual = _reachable([flow["StartAt"]], states, caught=False)
    return frozenset(_reachable(usual, states, caught=True) - usual)


def _reachable(begin: Any, states: Mapping[str, Any], *, caught: bool) -> set[str]:  # noqa: ANN401 -- any iterable of names
    found: set[str] = set()
    waiting = list(begin)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        state = dict(states[name])
        if not caught:
            state.pop("Catch", None)
        waiting += _targets(state)
    return found
