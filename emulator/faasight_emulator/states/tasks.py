"""What a Task state can call: functions, and services of AWS through their clients."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from faasight_emulator.aws import Clients
from faasight_emulator.errors import TooManyRequestsError, UnknownFunctionError
from faasight_emulator.invocation import Invocation, Json, Result
from faasight_emulator.model import Function, Place
from faasight_emulator.states.activities import Activities
from faasight_emulator.states.errors import RUNTIME, TASK_FAILED, StatesError, cause_of
from faasight_emulator.states.items import reading_failed, writing_failed

# Names under which Step Functions knows a service, and its error names begin; boto's own names of them differ.
_BOTO = {"eventbridge": "events", "sfn": "stepfunctions"}
_PREFIX = {"dynamodb": "DynamoDB", "sqs": "SQS", "sns": "SNS", "events": "EventBridge", "lambda": "Lambda", "s3": "S3"}
# Arguments that are text for the service, and may be any JSON in a state machine.
_TEXTS = {("sqs", "MessageBody"), ("sns", "Message"), ("events", "Detail"), ("states", "Input")}
WAIT = ".waitForTaskToken"


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt at a task: what is called, with what, in which trace. `context` is W3C's."""

    resource: str
    argument: Json
    header: str
    context: dict[str, str]

    @property
    def function(self) -> str:
        """The function that it invokes, "" if it is something else."""
        if ":lambda:" in self.resource and ":function:" in self.resource:
            return self.resource.split(":")[6]
        if self.resource.startswith("arn:aws:states:::lambda:invoke") and isinstance(self.argument, dict):
            name = str(self.argument.get("FunctionName", ""))
            return name.split(":")[6] if name.startswith("arn:") and name.count(":") > 5 else name.split(":")[0]
        return ""


class Objects:
    """S3 for a distributed Map, in threads."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    async def get(self, bucket: str, key: str) -> bytes:
        """Return an object's bytes. Raises StatesError."""

        def read() -> bytes:
            return bytes(self._clients.get("s3").get_object(Bucket=bucket, Key=key)["Body"].read())

        try:
            return await asyncio.to_thread(read)
        except (BotoCoreError, ClientError) as error:
            raise reading_failed(error) from error

    async def listing(self, bucket: str, prefix: str) -> list[dict[str, Json]]:
        """Return what ListObjectsV2 tells of the objects below a prefix. Raises StatesError."""

        def read() -> list[dict[str, Json]]:
            pages = self._clients.get("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            found = [one for page in pages for one in page.get("Contents", ())]
            return [{**_plain(one), "LastModified": round(one["LastModified"].timestamp())} for one in found]

        try:
            return await asyncio.to_thread(read)
        except (BotoCoreError, ClientError) as error:
            raise reading_failed(error) from error

    async def put(self, bucket: str, key: str, body: bytes) -> None:
        """Write an object. Raises StatesError."""
        arguments = {"Bucket": bucket, "Key": key, "Body": body, "ContentType": "application/json"}
        try:
            await asyncio.to_thread(self._clients.get("s3").put_object, **arguments)
        except (BotoCoreError, ClientError) as error:
            raise writing_failed(error) from error


class Starter(Protocol):
    """Starts executions of other state machines."""

    async def nested(self, argument: Json, *, wait: bool) -> Json:
        """Start one, and with `wait` return when it has ended."""


class Tasks:
    """Makes the calls. All on the event loop; the clients' calls are made in threads."""

    def __init__(
        self,
        find: Callable[[str], Function],
        run: Callable[[Function, Invocation], Awaitable[Result]],
        submit: Callable[[Function, Invocation], None],
        clients: Clients,
        place: Place,
        starter: Starter,
        activities: Activities,
    ) -> None:
        self.activities = activities
        self._find = find
        self._run = run
        self._submit = submit
        self._clients = clients
        self._place = place
        self._starter = starter
        self.objects = Objects(clients)

    @property
    def region(self) -> str:
        """Where the services are."""
        return self._place.region

    async def call(self, call: Call) -> Json:
        """Return what a call gives. Raises StatesError."""
        resource = call.resource.removesuffix(WAIT)
        if ":lambda:" in resource and ":function:" in resource:
            result = await self._invoke(resource, json.dumps(call.argument).encode(), call)
            return _answer(result)
        if not resource.startswith("arn:aws:states:::"):
            raise StatesError(RUNTIME, f"nothing is emulated at '{resource}'")
        service, _, action = resource.removeprefix("arn:aws:states:::").removeprefix("aws-sdk:").partition(":")
        if not isinstance(call.argument, dict):
            raise StatesError(RUNTIME, f"the Parameters of '{resource}' must be an object")
        if service == "lambda":
            return await self._lambda(call.argument, call)
        if service == "states" and action.startswith("startExecution"):
            return await self._starter.nested(call.argument, wait=action != "startExecution")
        argument = call.argument
        if (service, action) == ("sqs", "sendMessage") and "MessageSystemAttributes" not in argument:
            header = {"DataType": "String", "StringValue": call.header}  # as AWS does where tracing is on
            argument = argument | {"MessageSystemAttributes": {"AWSTraceHeader": header}}
        return await asyncio.to_thread(self._service, service, action, argument)

    async def _lambda(self, argument: dict[str, Json], call: Call) -> Json:
        name = str(argument.get("FunctionName", ""))
        if "Qualifier" in argument:
            name = f"{name}:{argument['Qualifier']}"
        payload = json.dumps(argument.get("Payload", {})).encode()
        if argument.get("InvocationType") == "Event":
            function = self._found(name)
            self._submit(function, Invocation(payload, call.header))
            return {"ExecutedVersion": function.version, "Payload": "", "StatusCode": 202}
        result = await self._invoke(name, payload, call)
        return {"ExecutedVersion": result.version, "Payload": _answer(result), "StatusCode": 200}

    async def _invoke(self, name: str, payload: bytes, call: Call) -> Result:
        # Step Functions sends no client context; here it carries the state's span, which AWS keeps to itself.
        context = json.dumps({"custom": call.context})
        function = self._found(name)
        try:
            result = await self._run(function, Invocation(payload, call.header, context))
        except TooManyRequestsError as error:
            raise StatesError("Lambda.TooManyRequestsException", "Rate Exceeded.", task=True) from error
        if not result.ok:
            raise StatesError(*cause_of(result.payload), task=True)
        return result

    def _found(self, name: str) -> Function:
        try:
            return self._find(name)
        except UnknownFunctionError as error:
            raise StatesError("Lambda.ResourceNotFoundException", str(error), task=True) from error

    def _service(self, service: str, action: str, argument: dict[str, Json]) -> Json:
        client = self._client(service)
        method = getattr(client, _snake(action.partition(".")[0]), None)
        if method is None:
            raise StatesError(RUNTIME, f"the service '{service}' has no action '{action}'")
        try:
            answer = method(**_texted(service, argument))
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "")).rpartition(".")[2]
            raise StatesError(f"{_prefix(service)}.{_exception(code)}", str(error), task=True) from error
        except (BotoCoreError, TypeError, ValueError) as error:
            raise StatesError(TASK_FAILED, str(error), task=True) from error
        return _plain(answer)

    def _client(self, service: str) -> Any:  # noqa: ANN401 -- boto makes its clients at run time
        try:
            return self._clients.get(_BOTO.get(service, service))
        except BotoCoreError as error:
            raise StatesError(RUNTIME, f"there is no service '{service}': {error}") from error


def _answer(result: Result) -> Json:
    try:
        return result.json()
    except ValueError:
        return result.payload.decode("utf-8", "replace")


def _snake(action: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", action).lower()


def _prefix(service: str) -> str:
    return _PREFIX.get(service, service[:1].upper() + service[1:])


def _exception(code: str) -> str:
    return code if code.endswith("Exception") else f"{code}Exception"


def _texted(service: str, argument: dict[str, Json]) -> dict[str, Json]:
    def of(key: str, value: Json) -> Json:
        if key == "Entries" and isinstance(value, list):
            return [_texted(service, one) if isinstance(one, dict) else one for one in value]
        return json.dumps(value) if (service, key) in _TEXTS and not isinstance(value, str) else value

    return {key: of(key, value) for key, value in argument.items()}


def _plain(answer: Json) -> Json:
    """Return an answer as JSON, without boto's own metadata."""
    kept = {key: value for key, value in answer.items() if key != "ResponseMetadata"}
    return json.loads(json.dumps(kept, default=str))
