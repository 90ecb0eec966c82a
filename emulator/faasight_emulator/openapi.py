"""The routes of an API that is described by OpenAPI: DefinitionBody, DefinitionUri, or what AWS::Include brings."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

from faasight_emulator.document import read_document
from faasight_emulator.model import Route
from faasight_emulator.section import Section

INTEGRATION = "x-amazon-apigateway-integration"
_ANY = "x-amazon-apigateway-any-method"
_METHODS = ("get", "put", "post", "delete", "patch", "head", "options", _ANY)
_FUNCTION = re.compile(r"/functions/(arn:[^/]+)/invocations")
_START = re.compile(r"(?:states:action/|StepFunctions-)(StartExecution|StartSyncExecution)$")


class Described(NamedTuple):
    """A route, and the ARN of what answers it: a function's (with or without qualifier) or a state machine's."""

    route: Route
    target: str


def described(
    api: str, kind: Literal["http", "rest"], properties: Section, root: Path, warnings: list[str]
) -> list[Described]:
    """Return the routes that the definition of an API has; none if it has no definition. Raises TemplateError."""
    found = []
    for path, method, operation in _operations(_definition(properties, root)):
        integration = operation.section(INTEGRATION)
        target, wait = _target(integration)
        if not target:
            if integration.text("type", "").lower() != "mock":  # as what SAM's users write for CORS
                warnings.append(
                    str(operation.error(INTEGRATION, "is none of a function or a state machine; it is left out."))
                )
            continue
        payload: Literal["1.0", "2.0"] = "1.0"
        if kind == "http" and integration.text("payloadFormatVersion", "1.0") == "2.0":
            payload = "2.0"
        name = "ANY" if method == _ANY else method.upper()
        found.append(Described(replace(Route(api, name, path, payload), wait=wait), target))
    return found


def _operations(definition: Section) -> Iterator[tuple[str, str, Section]]:
    paths = definition.section("paths")
    for path in paths:
        methods = paths.section(path)
        for method in methods:
            if method.lower() in _METHODS and INTEGRATION in methods.section(method):
                yield path, method.lower(), methods.section(method)


def _target(integration: Section) -> tuple[str, bool]:
    """Return the ARN of what is called, "" if it does not run here, and whether the caller waits for its end."""
    uri = integration.text("uri", "")
    function = _FUNCTION.search(uri)
    if function:
        return function.group(1), False
    start = _START.search(uri) or _START.search(integration.text("integrationSubtype", ""))
    if start is None:
        return "", False
    templates = integration.section("requestTemplates")
    # A REST API names the machine in its mapping template, an HTTP API in a parameter.
    texts = [
        integration.section("requestParameters").text("StateMachineArn", ""),
        *(templates.text(one) for one in templates),
    ]
    named = next(
        (found for text in texts if (found := re.search(r"arn:aws:states:[\w-]*:\d*:stateMachine:[\w-]+", text))), None
    )
    return (named.group() if named else ""), start.group(1) == "StartSyncExecution"


def _definition(properties: Section, root: Path) -> Section:
    body = properties.raw("DefinitionBody")
    included = body.get("Fn::Transform") if isinstance(body, dict) else None
    if included is not None:
        transform = properties.section("DefinitionBody", plain=True).section("Fn::Transform")
        if transform.text("Name", "") != "AWS::Include":
            raise transform.error("Name", f"is '{transform.text('Name', '')}'; only AWS::Include is known here.")
        return properties.over(read_document(root / transform.section("Parameters").text("Location")))
    if body is None and isinstance(properties.raw("DefinitionUri"), str):
        uri = properties.text("DefinitionUri")
        if uri.startswith("s3://"):
            raise properties.error("DefinitionUri", f"'{uri}' is on S3; give the file on this machine.")
        return properties.over(read_document(root / uri))
    return properties.section("DefinitionBody")
