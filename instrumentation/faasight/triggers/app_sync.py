"""AppSync: resolvers of GraphQL, one call or a batch, channels of its Events API, authorizers."""

from __future__ import annotations

from faasight.spans import SERVER
from faasight.triggers.reading import from_headers, mapping, rows, text
from faasight.triggers.trigger import Trigger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from faasight.triggers.reading import Event


def resolver(event: Event) -> Trigger | None:
    """Recognise a direct resolver, or one of Amplify's template, which has no "info"."""
    info = mapping(event.get("info")) or event
    if "channel" in info and "operation" in info:
        return _call(f"{text(info['operation'])} {text(mapping(info['channel']).get('path'))}", event)
    kind = text(info.get("parentTypeName")) or text(info.get("typeName"))
    if not kind or "fieldName" not in info or "arguments" not in event:
        return None
    return _call(f"{kind}.{text(info['fieldName'])}", event)


def batch(items: object) -> Trigger | None:
    """Read a batch of a resolver's calls: one field, many arguments."""
    calls = rows(items)
    trigger = resolver(calls[0])
    if trigger is not None:
        trigger.attributes["faasight.batch.size"] = len(calls)
    return trigger


def authorizer(event: Event) -> Trigger | None:
    """Recognise the authorizer of an API; neither token nor query is kept."""
    context = mapping(event.get("requestContext"))
    if "queryString" not in context:
        return None
    trigger = Trigger(f"authorize {text(context.get('operationName'))}".strip(), SERVER, "http", "api")
    trigger.attributes["faasight.source.name"] = text(context.get("apiId"))
    trigger.attributes["faasight.step"] = "authorizer"
    return trigger


def _call(route: str, event: Event) -> Trigger:
    trigger = Trigger(route, SERVER, "http", "api", "appsync")
    trigger.attributes["http.route"] = route
    from_headers(trigger, mapping(event.get("request")).get("headers"))
    return trigger
