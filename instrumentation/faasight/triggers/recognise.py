"""Tells by an event's shape what called, and hands it to the one reader that knows this shape.

SHAPES, RECORDS and OBJECTS are the visible lists. A reader's module is imported when its shape is first seen: a
function has one trigger as a rule, and pays for that one alone. A new trigger is a line here and a function there; it
answers None for an event that is not its own.
"""

from __future__ import annotations

from faasight.complain import complaints
from faasight.context import parse
from faasight.spans import SERVER
from faasight.triggers.trigger import Trigger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Reader = Callable[..., Any]  # of an event or of its records, a trigger or None
    Essence = tuple[Any, ...]  # of a request the arguments of `http.http`, of a plain call those of `context.parse`

# The key that gives an event away, and its reader. The first reader with an answer wins.
SHAPES = (
    ("requestContext", "http:request"),
    ("detail-type", "bus:event"),
    ("methodArn", "http:authorizer"),
    ("raw_path", "http:lattice"),
    ("records", "streams:brokers_or_firehose"),
    ("messages", "brokers:active_mq"),
    ("rmqMessagesByQueue", "brokers:rabbit_mq"),
    ("events", "streams:documents"),
    ("Execution", "workflow:task"),
    ("awslogs", "services:logs"),
    ("alarmArn", "services:alarm"),
    ("triggerSource", "services:cognito"),
    ("CodePipeline.job", "services:code_pipeline"),
    ("invokingEvent", "services:config"),
    ("ResponseURL", "services:cloud_formation"),
    ("getObjectContext", "services:object_lambda"),
    ("tasks", "services:batch_operations"),
    ("Details", "services:connect"),
    ("bot", "services:lex"),
    ("session", "services:alexa"),
    ("info", "app_sync:resolver"),
    ("typeName", "app_sync:resolver"),
    ("authorizationToken", "app_sync:authorizer"),
    ("LifecycleEventHookExecutionId", "services:code_deploy"),
    ("SecretId", "services:rotation"),
    ("agent", "services:bedrock_agent"),
    ("clickType", "services:iot_button"),
    ("deviceEvent", "services:iot_click"),
    ("event", "services:iot_events"),
    ("@type", "google:background"),
    ("kind", "google:background"),
    ("warmer", "services:warm_up"),
    ("source", "services:warm_up"),
)

# The source that the first of "Records" names.
RECORDS = {
    "aws:sqs": "queues:sqs",
    "aws:sns": "queues:sns",
    "aws:s3": "streams:s3",
    "aws:dynamodb": "streams:dynamodb",
    "aws:kinesis": "streams:kinesis",
    "aws:kafka": "brokers:piped_kafka",
    "SelfManagedKafka": "brokers:piped_kafka",
    "aws:SelfManagedKafka": "brokers:piped_kafka",
    "aws:amq": "brokers:piped_mq",
    "aws:mq": "brokers:piped_mq",
    "aws:rmq": "brokers:piped_mq",
    "aws:ses": "services:ses",
    "aws:codecommit": "services:code_commit",
}

# The library that an event's class comes from: Google's and Azure's functions are given objects.
OBJECTS = {
    "flask": "google:request",
    "werkzeug": "google:request",
    "starlette": "google:request",
    "cloudevents": "google:cloud_event",
    "azure": "azure:binding",
    "azurefunctions": "azure:binding",
}

_readers: dict[str, Reader] = {}


def recognise(event: object) -> Trigger:
    """Tell what called; an unknown shape is a plain invoke. It never raises, and reads no payload."""
    try:
        trigger = (
            _of_dictionary(event)
            if isinstance(event, dict)
            else _of_records(event)
            if isinstance(event, list)
            else _of_object(event)
        )
        if trigger:
            return trigger
        return _plain(event.get("traceparent"), event.get("tracestate")) if isinstance(event, dict) else _plain()
    except Exception as error:  # noqa: BLE001 - an event of any shape may come; its invocation is to be seen
        complaints.say(f"the event cannot be read: {type(error).__name__}")
        return _plain()


_KEYS = frozenset(key for key, _ in SHAPES) | {"Records"}


def essence(event: object) -> Essence | None:
    """Return what `told` needs to tell the same as `recognise`, however the handler changes its event meanwhile.

    For an event whose caller waits for the answer, a request or a plain call, it is a few names, the path and the
    trace context. None: the event is to be read at once. It may raise where an event is not made of JSON.
    """
    if type(event) is not dict:
        return None
    context = event.get("requestContext")
    if context is None:
        if not event.keys().isdisjoint(_KEYS):
            return None
        parent, state = event.get("traceparent"), event.get("tracestate")
        return (parent, state if type(state) is str else "") if type(parent) is str else ()
    if type(context) is not dict or "Records" in event:
        return None
    kept: Essence | None = (_readers.get("http:kept") or _load("http:kept"))(event, context)
    return kept


def told(known: Essence) -> Trigger:
    """Make the trigger of what `essence` has returned."""
    if len(known) > 2:
        trigger: Trigger = (_readers.get("http:http") or _load("http:http"))(*known)
        return trigger
    return _plain(*known)


def _plain(parent: object = None, state: object = None) -> Trigger:
    """Make the trigger of a direct call, or of a workflow's task: its input may carry a context at the top."""
    trigger = Trigger("invoke", SERVER, "other")
    trigger.parent(parse(parent, state))
    return trigger


def _of_dictionary(event: dict[str, Any]) -> Trigger | None:
    items = event.get("Records")
    if items is not None and (trigger := _of_records(items)) is not None:
        return trigger
    for key, reader in SHAPES:
        if key in event and (trigger := _read(reader, event)) is not None:
            return trigger
    return None


def _of_records(items: object) -> Trigger | None:
    """Read a list of records, in "Records" or bare as EventBridge Pipes hands it over."""
    first = items[0] if isinstance(items, list) and items else None
    if isinstance(first, dict):
        source = first.get("eventSource") or first.get("EventSource")
        if isinstance(source, str):
            reader = RECORDS.get(source)
            return _read(reader, items) if reader else None
        if "cf" in first:
            return _read("http:cloud_front", items)
        if "detail-type" in first:
            return _read("bus:piped", items)
        return _read("app_sync:batch", items) if "info" in first else None
    return _of_object(first, items) if first is not None else None


def _of_object(event: object, items: object = None) -> Trigger | None:
    """Read what is no JSON: the class names its library. A batch is told by its first item."""
    reader = OBJECTS.get(type(event).__module__.partition(".")[0])
    return _read(reader, event if items is None else items) if reader else None


def _read(name: str, event: object) -> Trigger | None:
    try:
        reader = _readers.get(name) or _load(name)
        found: Trigger | None = reader(event)
        return found
    except Exception as error:  # noqa: BLE001 - see recognise; another reader may still know the event
        complaints.say(f"{name} cannot read the event: {type(error).__name__}")
        return None


def _load(name: str) -> Reader:
    """Import a reader; `importlib` need not be, the runtime's own handler is loaded by it."""
    module, _, function = name.partition(":")
    loaded = __import__(f"faasight.triggers.{module}", fromlist=(function,))
    reader: Reader = getattr(loaded, function)
    _readers[name] = reader
    return reader
