"""One AWS::Serverless::Function of a template as data: properties with Globals merged in, and its event sources."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from faasight_emulator.code import code_folder
from faasight_emulator.cron import check_expression
from faasight_emulator.function_url import url_of
from faasight_emulator.model import AsyncPolicy, Function, QueueSource, Route, ScheduleSource, kebab
from faasight_emulator.properties import misspelt
from faasight_emulator.section import Section
from faasight_emulator.sources.model import Source
from faasight_emulator.sources.read import READERS

_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "ANY")
# The variables that Lambda sets itself and lets nobody else set; the wrapper script is the user's to name.
_RESERVED_PREFIXES = (
    "AWS_LAMBDA_FUNCTION_",
    "AWS_LAMBDA_LOG_",
    "AWS_LAMBDA_RUNTIME_API",
    "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR",
)
_RESERVED = (
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
)


def function_from(
    logical_id: str,
    name: str,
    shared: Section,
    properties: Section,
    root: Path,
    layers: Mapping[str, Path],
    warnings: list[str],
    asset: str | None = None,
) -> Function | None:
    """Return the function, or None (and a warning) if it is none that Python runs here.

    Args:
        logical_id: its key under Resources.
        name: its name on AWS.
        shared: Globals.Function.
        properties: its own properties.
        root: the folder that CodeUri is relative to.
        layers: folder of each layer of the template, by its name.
        warnings: where sentences about what is left out are added.
        asset: where the CDK says its code lies.

    Raises:
        TemplateError: a property is missing or wrong.

    """

    def of(key: str) -> Section:
        return properties if key in properties else shared

    if properties.text("PackageType", "Zip") == "Image":
        warnings.append(
            str(properties.error("PackageType", "container images are not emulated; this function is left out."))
        )
        return None
    runtime = of("Runtime").text("Runtime") if "Runtime" in of("Runtime") else properties.text("Runtime")
    if not runtime.startswith("python"):
        warnings.append(str(of("Runtime").error("Runtime", f"'{runtime}' is not emulated; this function is left out.")))
        return None
    alias = of("AutoPublishAlias").optional_text("AutoPublishAlias")
    logging = of("LoggingConfig").section("LoggingConfig")
    handler = of("Handler") if "Handler" in of("Handler") else properties
    code = code_folder(properties, shared, root, asset)
    for section in (shared, properties):
        for wrong, meant in misspelt(section):
            warnings.append(str(section.error(wrong, f"is no property of a function; did you mean '{meant}'?")))
    routes, queues, schedules, sources = _events(logical_id, properties.section("Events"), warnings)
    return Function(
        logical_id=logical_id,
        name=name,
        handler=_handler(handler, code, warnings),
        code=code,
        runtime=runtime,
        memory=of("MemorySize").integer("MemorySize", 128, 128, 10_240),
        timeout=of("Timeout").integer("Timeout", 3, 1, 900),
        version="1" if alias else "$LATEST",
        alias=alias,
        environment={**_environment(shared), **_environment(properties)},
        layers=_layers(shared, layers, warnings) + _layers(properties, layers, warnings),
        architecture=next(iter(of("Architectures").items("Architectures")), "x86_64"),
        reserved=of("ReservedConcurrentExecutions").optional_integer("ReservedConcurrentExecutions", 0, 100_000),
        provisioned=of("ProvisionedConcurrencyConfig")
        .section("ProvisionedConcurrencyConfig")
        .integer("ProvisionedConcurrentExecutions", 0, 0, 1000),
        tracing=of("Tracing").text("Tracing", "PassThrough") == "Active",
        log_format=logging.text("LogFormat", ""),
        log_level=logging.text("ApplicationLogLevel", ""),
        routes=routes,
        queues=queues,
        schedules=schedules,
        sources=sources,
        asynchronous=_asynchronous(
            properties, of("EventInvokeConfig").section("EventInvokeConfig"), of("DeadLetterQueue")
        ),
        url=url_of(of("FunctionUrlConfig"), warnings),
    )


def _handler(section: Section, code: Path, warnings: list[str]) -> str:
    handler = section.text("Handler")
    if "." not in handler:
        raise section.error("Handler", f"is '{handler}'; must be '<module>.<function>', as app.handler.")
    module = code.joinpath(*handler.rpartition(".")[0].replace("/", ".").split("."))
    if not any(one.exists() for one in (module.with_name(f"{module.name}.py"), module)) and not code.is_symlink():
        text = f"is '{handler}', but there is no {module.name}.py in {module.parent}; correct one of them."
        warnings.append(str(section.error("Handler", text)))
    return handler


def _environment(section: Section) -> dict[str, str]:
    variables = section.section("Environment").section("Variables")
    values = {}
    for name in variables:
        if name.startswith(_RESERVED_PREFIXES) or name in _RESERVED:
            raise variables.error(name, "is reserved by Lambda; use another name.")
        text = variables.optional_text(name)
        if text is not None:
            values[name] = text
    return values


def _layers(section: Section, known: Mapping[str, Path], warnings: list[str]) -> tuple[Path, ...]:
    layers = [str(layer) for layer in section.items("Layers")]
    for layer in layers:
        if layer not in known:
            text = f"the layer {layer} is not of this template, and nowhere on this machine; it is left out."
            warnings.append(str(section.error("Layers", text)))
    return tuple(known[layer] for layer in layers if layer in known)


def _asynchronous(properties: Section, config: Section, dead_letter: Section) -> AsyncPolicy:
    destinations = config.section("DestinationConfig")
    return AsyncPolicy(
        retries=config.integer("MaximumRetryAttempts", 2, 0, 2),
        maximum_age=config.integer("MaximumEventAgeInSeconds", 21_600, 60, 21_600),
        dead_letter=dead_letter.section("DeadLetterQueue").optional_text("TargetArn")
        or properties.section("DeadLetterConfig").optional_text("TargetArn"),
        on_success=destinations.section("OnSuccess").optional_text("Destination"),
        on_failure=destinations.section("OnFailure").optional_text("Destination"),
    )


def _events(
    logical_id: str, events: Section, warnings: list[str]
) -> tuple[tuple[Route, ...], tuple[QueueSource, ...], tuple[ScheduleSource, ...], tuple[Source, ...]]:
    readers: dict[str, Callable[[str, Section], Any]] = {
        "HttpApi": lambda _, properties: _http_route(properties),
        "Api": lambda _, properties: rest_route(properties),
        "Schedule": lambda name, properties: schedule_source(name, properties, "Schedule"),
        "ScheduleV2": lambda name, properties: schedule_source(name, properties, "ScheduleExpression"),
        **READERS,
    }
    made: list[Any] = []
    for event in events:
        kind = events.section(event).text("Type")
        if kind not in readers:
            known = ", ".join(readers)
            warnings.append(
                str(events.section(event).error("Type", f"events of type {kind} are not emulated (but {known} are)."))
            )
            continue
        name = kebab(f"{logical_id}{event[:1].upper()}{event[1:]}")
        one = readers[kind](name, events.section(event).section("Properties"))
        made += [] if one is None else [one]
    return (
        tuple(one for one in made if isinstance(one, Route)),
        tuple(one for one in made if isinstance(one, QueueSource)),
        tuple(one for one in made if isinstance(one, ScheduleSource)),
        tuple(one for one in made if isinstance(one, Source)),
    )


def _http_route(properties: Section) -> Route:
    api = properties.text("ApiId", "serverless-http-api")
    payload = properties.text("PayloadFormatVersion", "2.0")
    if payload not in ("1.0", "2.0"):
        raise properties.error("PayloadFormatVersion", f"is '{payload}'; must be '1.0' or '2.0'.")
    if "Path" not in properties:
        return Route(api, "ANY", "$default", "2.0", *_authorizer(properties))
    version: Literal["1.0", "2.0"] = "1.0" if payload == "1.0" else "2.0"
    return Route(api, _method(properties, "ANY"), _path(properties), version, *_authorizer(properties))


def rest_route(properties: Section) -> Route:
    """Return the route of an event of type Api. Raises TemplateError."""
    api = properties.text("RestApiId", "serverless-rest-api")
    return Route(api, _method(properties, None), _path(properties), "1.0", *_authorizer(properties))


def _authorizer(properties: Section) -> tuple[str, tuple[str, ...]]:
    auth = properties.section("Auth")
    return auth.text("Authorizer", ""), tuple(str(scope) for scope in auth.items("AuthorizationScopes"))


def _method(properties: Section, default: str | None) -> str:
    method = properties.text("Method", default).upper().replace("X-AMAZON-APIGATEWAY-ANY-METHOD", "ANY")
    if method not in _METHODS:
        raise properties.error("Method", f"is '{method}'; must be one of {', '.join(_METHODS)}.")
    return method


def _path(properties: Section) -> str:
    path = properties.text("Path")
    if not path.startswith("/") and path != "$default":
        raise properties.error("Path", f"is '{path}'; must begin with '/'.")
    return path


def schedule_source(default_name: str, properties: Section, key: str) -> ScheduleSource | None:
    """Return the schedule of an event, None if it is switched off; `key` holds its expression. Raises TemplateError."""
    if not properties.flag("Enabled", True) or properties.text("State", "ENABLED").upper() == "DISABLED":
        return None
    expression = properties.text(key)
    problem = check_expression(expression)
    if problem:
        raise properties.error(key, problem)
    constant = properties.json_text("Input")
    name = properties.text("Name", default_name)
    return ScheduleSource(name, expression, constant, "events" if key == "Schedule" else "scheduler")
