"""Runs the states of one execution, as Amazon States Language says."""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from faasight_emulator.invocation import Json
from faasight_emulator.states import targets
from faasight_emulator.states.activities import MARK as ACTIVITY
from faasight_emulator.states.choice import holds
from faasight_emulator.states.definition import JSONATA, Flow, State, compensations, language_of, processor_of
from faasight_emulator.states.errors import (
    DATA_LIMIT,
    NO_CHOICE,
    RUNTIME,
    TIMEOUT,
    TOLERATED,
    StatesError,
)
from faasight_emulator.states.history import History
from faasight_emulator.states.items import batches, read_items, write_results
from faasight_emulator.states.jsonata import Query, is_expression
from faasight_emulator.states.paths import read, write
from faasight_emulator.states.payload import fill, find
from faasight_emulator.states.tasks import WAIT, Call, Tasks
from faasight_emulator.states.tokens import Tokens
from faasight_emulator.states.trace import ExecutionTrace, Span

_MAX_DATA = 262_144  # bytes of a state's input or output
_MAP_CONCURRENCY = 40  # what AWS reaches for a Map state without a limit of its own
_STATES_LIMIT = 25_000  # events of an execution's history on AWS, after which it fails


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a state runs: the context object ($$), the span around it, and whether it undoes what was done.

    `variables` are the flow's own, which its states assign; those of the flows around it are copied when it begins.
    """

    context: Mapping[str, Any]
    span: str
    undoing: bool = False
    language: str = "JSONPath"
    variables: dict[str, Json] = field(default_factory=dict)

    def query(self, value: Json) -> Query:
        """Return what JSONata expressions see of a state's input."""
        return Query({"input": value, "context": dict(self.context)}, self.variables)


@dataclass(slots=True)
class Interpreter:
    """Runs one execution. `tokens` are those that tasks wait for to be sent back."""

    tasks: Tasks
    trace: ExecutionTrace
    tokens: Tokens
    history: History = field(default_factory=lambda: History(kept=False))
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random
    entered: int = field(default=0)

    async def run(self, flow: Flow, value: Json, scope: Scope) -> Json:
        """Run a flow from its start to its end and return its output. Raises StatesError."""
        undoing = compensations(flow)
        language = flow.get("QueryLanguage", scope.language)
        scope = replace(scope, language=language, variables=dict(scope.variables))
        name: str | None = flow["StartAt"]
        while name is not None:
            self.entered += 1
            if self.entered > _STATES_LIMIT:
                raise StatesError(RUNTIME, f"the execution has entered {_STATES_LIMIT} states; does it go in circles?")
            await asyncio.sleep(0)  # states that wait for nothing must not keep everything else from running
            state = flow["States"][name]
            at = replace(scope, undoing=scope.undoing or name in undoing, language=language_of(state, language))
            value, name = await self._state(name, state, value, at)
        return value

    async def _state(self, name: str, state: State, value: Json, scope: Scope) -> tuple[Json, str | None]:
        """Run one state; returns its output, and the state after it."""
        attributes = {"aws.step_functions.state.name": name, "aws.step_functions.state.type": state["Type"]}
        if scope.undoing and state["Type"] in _WORKING:
            attributes["faasight.step"] = "compensation"
        entered = {"EnteredTime": moment(), "Name": name, "RetryCount": 0}
        caught: Mapping[str, Any] | None = None
        self.history.entered(state, name, value)
        try:
            with self.trace.span(name, scope.span, attributes) as span:
                inner = replace(scope, context={**scope.context, "State": entered}, span=span.id)
                output, following = await self._once_more(state, value, inner, span)
        except StatesError as error:
            caught = next((one for one in state.get("Catch", ()) if error.matched_by(one.get("ErrorEquals", ()))), None)
            if caught is None:
                raise
            output = _caught(caught, value, error, scope)
            following = caught["Next"]
        self.history.exited(state, name, _bounded(output))
        return output, following

    async def _once_more(self, state: State, value: Json, scope: Scope, span: Span) -> tuple[Json, str | None]:
        """Run a state until it succeeds or its Retry says no more."""
        tries = [0] * len(state.get("Retry", ()))
        attempt = 1
        while True:
            try:
                entered = {**scope.context["State"], "RetryCount": attempt - 1}
                inner = replace(scope, context={**scope.context, "State": entered})
                return await self._work(state, value, inner, attempt)
            except StatesError as error:
                at = next(
                    (n for n, one in enumerate(state.get("Retry", ())) if error.matched_by(one.get("ErrorEquals", ()))),
                    None,
                )
                if at is None or tries[at] >= state["Retry"][at].get("MaxAttempts", 3):
                    if attempt > 1:
                        span.attributes["faasight.attempt"] = attempt
                    raise
                delay = _delay(state["Retry"][at], tries[at], self.chance)
                tries[at] += 1
                attempt += 1
                span.attributes["faasight.attempt"] = attempt
            await self.sleep(delay)

    async def _work(self, state: State, value: Json, scope: Scope, attempt: int) -> tuple[Json, str | None]:
        if scope.language == JSONATA:
            return await self._queried(state, value, scope, attempt)
        kind = state["Type"]
        context = scope.context
        given = _path(state, "InputPath", value, context)
        following = None if state.get("End") or kind in ("Succeed", "Fail") else state.get("Next")
        if kind == "Choice":
            chosen = _chosen(state, given, context)
            if chosen is None:
                raise StatesError(NO_CHOICE, "no rule holds, and the state has no Default")
            return _path(state, "OutputPath", given, context), chosen
        if kind == "Fail":
            raise StatesError(_text(state, "Error", given, context), _text(state, "Cause", given, context))
        if kind in ("Wait", "Succeed"):
            if kind == "Wait":
                await self.sleep(_seconds(state, given, context))
            return _path(state, "OutputPath", given, context), following
        result = await self._result(state, given, scope, attempt)
        if "ResultSelector" in state:
            result = fill(state["ResultSelector"], result, context)
        place = state.get("ResultPath", "$")
        # The result is put into the state's raw input: not into what InputPath and Parameters made of it.
        whole = value if place is None else write(place, value, result)
        return _path(state, "OutputPath", whole, context), following

    async def _queried(self, state: State, value: Json, scope: Scope, attempt: int) -> tuple[Json, str | None]:
        """Do a state's work by JSONata: it says what goes out, and what is assigned, as values of the old variables."""
        kind, query = state["Type"], scope.query(value)
        following = None if state.get("End") or kind in ("Succeed", "Fail") else state.get("Next")
        told, output = state, value
        if kind == "Fail":
            raise StatesError(*(str(query.of(state.get(key, ""))) for key in ("Error", "Cause")))
        if kind == "Choice":
            told = next((one for one in state["Choices"] if query.holds(one["Condition"])), state)
            following = told.get("Next") or state.get("Default")
            if following is None:
                raise StatesError(NO_CHOICE, "no rule holds, and the state has no Default")
        elif kind == "Wait":
            way = "Seconds" if "Seconds" in state else "Timestamp"
            await self.sleep(_seconds({way: query.of(state[way])}, value, scope.context))
        elif kind in _WORKING:
            output = await self._result(state, value, scope, attempt)
            query = query.having(result=output)
        return _said(told, output, query, scope), following

    async def _result(self, state: State, given: Json, scope: Scope, attempt: int) -> Json:
        kind = state["Type"]
        if kind == "Map":
            return await self._map(state, given, scope)
        if kind == "Task":
            return await self._task(state, given, scope, attempt)
        effective = _effective(state, given, scope)
        if kind == "Pass":
            return state.get("Result", effective)
        self.history.add("ParallelStateStarted")
        results = await self._together([self.run(branch, effective, scope) for branch in state["Branches"]], 0)
        self.history.add("ParallelStateSucceeded")
        return results

    async def _task(self, state: State, given: Json, scope: Scope, attempt: int) -> Json:
        resource = str(state["Resource"])
        token, context = "", scope.context
        if resource.endswith(WAIT) or ACTIVITY in resource:
            token = self.tokens.issue()
            context = {**context, "Task": {"Token": token}}
        try:
            return await self._attempt(state, given, replace(scope, context=context), attempt, token)
        finally:
            self.tokens.drop(token)

    async def _attempt(self, state: State, given: Json, scope: Scope, attempt: int, token: str) -> Json:
        resource, effective = str(state["Resource"]), _effective(state, given, scope)
        limits = tuple(_limit(key, state, given, scope) for key in ("TimeoutSeconds", "HeartbeatSeconds"))
        name = f"{_action(resource)} {Call(resource, effective, '', {}).function}".strip()
        attributes = {"faasight.attempt": attempt} if attempt > 1 else {}
        attributes |= targets.attributes(resource, effective, self.trace.machine)
        self.history.scheduled(resource, effective, self.tasks.region)
        try:
            with self.trace.span(name, scope.span, attributes) as span:
                call = Call(resource, effective, self.trace.header_of(span), self.trace.context_of(span))
                answer = await self._called(call, token, *limits)
            self.history.answered(resource, answer)
            return answer
        except StatesError as error:
            self.history.answered(resource, error)
            raise

    async def _called(self, call: Call, token: str, limit: float | None, heartbeat: float | None) -> Json:
        """Return what a call gives, or what is sent for its token; an activity's time begins when a worker has it."""
        if ACTIVITY in call.resource:
            worker = await self.tasks.activities.hand_over(call.resource, token, call.argument)
            self.history.add("ActivityStarted", "activityStartedEventDetails", workerName=worker)
            return await _within(limit, self.tokens.answer(token, heartbeat))

        async def called() -> Json:
            answer = await self.tasks.call(call)
            return await self.tokens.answer(token, heartbeat) if token else answer

        return await _within(limit, called())

    async def _map(self, state: State, given: Json, scope: Scope) -> Json:
        inputs = await self._inputs(state, given, scope)
        outcomes: list[Json] = [None] * len(inputs)

        async def one(index: int, value: Json, item: Json) -> Json:
            context = _of_item(scope, index, item)
            named = {"name": context["State"]["Name"], "index": index}
            self.history.add("MapIterationStarted", "mapIterationStartedEventDetails", **named)
            with self.trace.span(f"item {index}", scope.span, {}) as span:
                try:
                    output = await self.run(processor_of(state), value, replace(scope, context=context, span=span.id))
                except StatesError as error:
                    outcomes[index] = error
                    self.history.add("MapIterationFailed", "mapIterationFailedEventDetails", **named)
                    raise
            outcomes[index] = output
            self.history.add("MapIterationSucceeded", "mapIterationSucceededEventDetails", **named)
            return output

        limit = int(_filled(state.get("MaxConcurrency", 0), given, scope)) or _MAP_CONCURRENCY
        tolerated = _tolerated(state, len(inputs))
        works = [one(index, *given) for index, given in enumerate(inputs)]
        self.history.add("MapStateStarted", "mapStateStartedEventDetails", length=len(inputs))
        together = self._together(works, limit) if tolerated is None else _some(works, limit, tolerated)
        results: Json = await together
        if "ResultWriter" in state:
            where = _effective(state["ResultWriter"], given, scope)
            results = await write_results(where, [value for value, _ in inputs], outcomes, self.tasks.objects)
        self.history.add("MapStateSucceeded")
        return results

    async def _inputs(self, state: State, given: Json, scope: Scope) -> list[tuple[Json, Json]]:
        """Return what each run of a Map is given, and its item: of its input or S3, chosen from, in batches."""
        if "ItemReader" in state:
            where = _effective(state["ItemReader"], given, scope)
            items = await read_items(state["ItemReader"], where, self.tasks.objects)
        else:
            items = _items(state, given, scope)
        selector = state.get("ItemSelector", state.get("Parameters"))

        def selected(index: int, item: Json) -> Json:
            if selector is None:
                return item
            return _filled(selector, given, replace(scope, context=_of_item(scope, index, item)))

        values = [selected(index, item) for index, item in enumerate(items)]
        if "ItemBatcher" not in state:
            return list(zip(values, items, strict=True))
        batcher = state["ItemBatcher"]
        common = _filled(batcher["BatchInput"], given, scope) if "BatchInput" in batcher else None
        return [(batch, batch) for batch in batches(values, batcher, common)]

    async def _together(self, works: list[Any], limit: int) -> list[Json]:
        """Run all, `limit` at once (0: all); the first error ends the others."""
        gate = asyncio.Semaphore(limit or len(works) or 1)

        async def gated(work: Awaitable[Json]) -> Json:
            async with gate:
                return await work

        running = [asyncio.ensure_future(gated(work)) for work in works]
        try:
            return list(await asyncio.gather(*running))
        except BaseException:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            for work in works:
                work.close()  # one that had not begun
            raise


_WORKING = ("Task", "Parallel", "Map")


async def _some(works: list[Any], limit: int, tolerated: int) -> list[Json]:
    """Run all; as many may fail, and their results are their errors."""
    gate = asyncio.Semaphore(limit)
    failures = 0

    async def gated(work: Awaitable[Json]) -> Json:
        nonlocal failures
        async with gate:
            try:
                return await work
            except StatesError as error:
                failures += 1
                return error.output()

    results = await asyncio.gather(*(gated(work) for work in works))
    if failures > tolerated:
        raise StatesError(TOLERATED, f"{failures} items failed; {tolerated} may")
    return list(results)


def _of_item(scope: Scope, index: int, item: Json) -> Mapping[str, Any]:
    """Return the context object within one item of a Map."""
    return {**scope.context, "Map": {"Item": {"Index": index, "Value": item}}}


def _tolerated(state: State, count: int) -> int | None:
    if "ToleratedFailureCount" in state:
        return int(state["ToleratedFailureCount"])
    if "ToleratedFailurePercentage" in state:
        return int(count * float(state["ToleratedFailurePercentage"]) / 100)
    return None


def _chosen(state: State, value: Json, context: Json) -> str | None:
    try:
        return next((one["Next"] for one in state["Choices"] if holds(one, value, context)), state.get("Default"))
    except StatesError as error:
        raise StatesError(RUNTIME, f"the Choice's condition names an invalid value: {error.cause}") from error


def _filled(template: Json, given: Json, scope: Scope) -> Json:
    """Return a payload template as the state's language fills it."""
    return scope.query(given).of(template) if scope.language == JSONATA else fill(template, given, scope.context)


def _effective(state: State, given: Json, scope: Scope) -> Json:
    key = "Arguments" if scope.language == JSONATA else "Parameters"
    return _filled(state[key], given, scope) if key in state else given


def _items(state: State, given: Json, scope: Scope) -> list[Json]:
    path = state.get("ItemsPath", "$")
    queried = scope.language == JSONATA
    items = scope.query(given).of(state["Items"]) if "Items" in state else read(path, given, scope.context)
    if not isinstance(items, list):
        what = "what Items gives" if queried else f"the ItemsPath '{path}'"
        raise StatesError(RUNTIME, f"{what} of a Map state is no list")
    return items


def _said(told: Mapping[str, Any], output: Json, query: Query, scope: Scope) -> Json:
    """Return what a state, a rule or a catcher says is its output, and assign what it says; both by the old values."""
    said = query.of(told["Output"]) if "Output" in told else output
    scope.variables.update(query.of(told.get("Assign", {})))
    return said


def _caught(caught: Mapping[str, Any], value: Json, error: StatesError, scope: Scope) -> Json:
    if scope.language == JSONATA:
        return _said(caught, error.output(), scope.query(value).having(errorOutput=error.output()), scope)
    result_path = caught.get("ResultPath", "$")
    return value if result_path is None else write(result_path, value, error.output())


def _path(state: State, key: str, value: Json, context: Json) -> Json:
    path = state.get(key, "$")
    try:
        return {} if path is None else find(path, value, context)
    except StatesError as error:  # only in Parameters is it an error that may be caught
        raise StatesError(RUNTIME, f"Invalid path '{path}' in {key}: {error.cause}") from error


def _text(state: State, key: str, value: Json, context: Json) -> str:
    if f"{key}Path" in state:
        return str(find(state[f"{key}Path"], value, context))
    return str(state.get(key, ""))


def _seconds(state: State, value: Json, context: Json) -> float:
    given = {way: state[way] for way in ("Seconds", "SecondsPath", "Timestamp", "TimestampPath") if way in state}
    way, wanted = next(iter(given.items()))
    if way.endswith("Path"):
        wanted = read(wanted, value, context)
    try:
        if way.startswith("Seconds"):
            return max(0.0, float(wanted))
        return max(0.0, (datetime.fromisoformat(wanted) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError) as error:
        raise StatesError(RUNTIME, f"'{wanted}' is nothing to wait for: {error}") from error


async def _within(limit: float | None, work: Awaitable[Json]) -> Json:
    try:
        return await asyncio.wait_for(work, limit)
    except TimeoutError as error:
        raise StatesError(TIMEOUT, f"the task took longer than {limit:g} s", task=True) from error


def _limit(key: str, state: State, value: Json, scope: Scope) -> float | None:
    """Return a task's TimeoutSeconds or HeartbeatSeconds: a number, by a path or an expression; None if it has none."""
    limit = read(state[f"{key}Path"], value, scope.context) if f"{key}Path" in state else None
    limit = state.get(key, limit)
    return scope.query(value).number(limit) if is_expression(limit) else None if limit is None else float(limit)


def _delay(retrier: Mapping[str, Any], tries: int, chance: Callable[[], float]) -> float:
    delay = float(retrier.get("IntervalSeconds", 1)) * float(retrier.get("BackoffRate", 2.0)) ** tries
    delay = min(delay, float(retrier.get("MaxDelaySeconds", delay)))
    return delay * chance() if retrier.get("JitterStrategy") == "FULL" else delay


def _action(resource: str) -> str:
    """Return what a resource does, for a span's name: invoke, sqs:sendMessage, aws-sdk:s3:getObject."""
    if ":function:" in resource or ":::lambda:" in resource:
        return "invoke"
    if ACTIVITY in resource:
        return f"activity {resource.rpartition(':')[2]}"
    return resource.removeprefix("arn:aws:states:::").partition(".")[0]


def _bounded(value: Json) -> Json:
    if len(json.dumps(value)) > _MAX_DATA:
        raise StatesError(DATA_LIMIT, f"a state's output is larger than {_MAX_DATA} bytes")
    return value


def moment(at: float | None = None) -> str:
    """Return a time as the context object has it."""
    when = datetime.fromtimestamp(time.time() if at is None else at, UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
