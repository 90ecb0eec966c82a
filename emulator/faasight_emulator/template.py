"""A SAM template, read: the functions, APIs, queues and tables that the emulator can run, and warnings for the rest."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeVar

from faasight_emulator import stored
from faasight_emulator.authorization import NONE, authorization_of
from faasight_emulator.code import local_folder
from faasight_emulator.cors import http_cors, rest_cors
from faasight_emulator.document import Document, Steps, Value, read_document
from faasight_emulator.errors import UnknownFunctionError
from faasight_emulator.functions import function_from
from faasight_emulator.intrinsics import NO_VALUE, Resolver, text_of
from faasight_emulator.model import Api, Function, Place, Queue, Route, Table, kebab
from faasight_emulator.openapi import described
from faasight_emulator.resources import queue_from, simple_table_from, table_from
from faasight_emulator.section import Section
from faasight_emulator.sources import resources as plumbing
from faasight_emulator.sources.checks import Connections
from faasight_emulator.sources.model import Bucket, Bus, Stream, Topic
from faasight_emulator.sources.resources import Plumbing, PlumbingReader
from faasight_emulator.states import read as states
from faasight_emulator.states.definition import StateMachine
from faasight_emulator.stored import Stored
from faasight_emulator.versions import ALIAS, VERSION, Alias, Published, alias_from, number_versions

Owner = TypeVar("Owner", Function, StateMachine)

_FUNCTION = "AWS::Serverless::Function"
_PLAIN_FUNCTION = "AWS::Lambda::Function"
_HTTP_API = "AWS::Serverless::HttpApi"
_REST_API = "AWS::Serverless::Api"
_LAYER = "AWS::Serverless::LayerVersion"
_QUEUE = "AWS::SQS::Queue"
_TABLE = "AWS::DynamoDB::Table"
_SIMPLE_TABLE = "AWS::Serverless::SimpleTable"

# Which property holds the name of a resource; without it the name is the logical id in kebab case.
_NAME_PROPERTY = {
    _FUNCTION: "FunctionName",
    _PLAIN_FUNCTION: "FunctionName",
    _HTTP_API: "Name",
    _REST_API: "Name",
    _LAYER: "LayerName",
    _QUEUE: "QueueName",
    _TABLE: "TableName",
    _SIMPLE_TABLE: "TableName",
    **plumbing.NAME_PROPERTY,
    **states.NAME_PROPERTY,
    **stored.NAME_PROPERTY,
}
# APIs that SAM makes by itself for events that name none.
IMPLICIT_HTTP = "ServerlessHttpApi"
IMPLICIT_REST = "ServerlessRestApi"
# Permissions and observability: on this machine they have no effect, and their absence harms nothing.
_NO_EFFECT = (
    "AWS::IAM::",
    "AWS::Logs::",
    "AWS::CloudWatch::",
    "AWS::Lambda::Permission",
    "AWS::SQS::QueuePolicy",
    "AWS::SNS::TopicPolicy",
    "AWS::S3::BucketPolicy",
    "AWS::Events::EventBusPolicy",
)


@dataclass(frozen=True, slots=True)
class Template:
    """All that the emulator runs of a template; `warnings` are sentences about what it does not."""

    path: Path
    functions: tuple[Function, ...]
    apis: tuple[Api, ...] = ()
    queues: tuple[Queue, ...] = ()
    tables: tuple[Table, ...] = ()
    plumbing: Plumbing = field(default_factory=Plumbing)
    machines: tuple[StateMachine, ...] = ()
    activities: tuple[str, ...] = ()  # ARNs
    stored: tuple[Stored, ...] = ()
    published: Published = field(default_factory=lambda: Published({}))
    warnings: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: Path, parameters: Mapping[str, str] | None = None, place: Place | None = None) -> "Template":
        """Read a template.

        Args:
            path: a SAM or CloudFormation file, YAML or JSON.
            parameters: values for the template's Parameters; the others take their defaults.
            place: region, account and endpoints that !Ref and !Sub give.

        Raises:
            TemplateError: one sentence with file, line, path, what is wrong and what to do.

        """
        return _Builder(read_document(path), parameters or {}, place or Place()).build()

    def function(self, name: str) -> Function | None:
        """Return a function by its name or its logical id."""
        return next((one for one in self.functions if name in (one.name, one.logical_id)), None)

    def machine(self, name: str) -> StateMachine | None:
        """Return a state machine by its name or its logical id."""
        return next((one for one in self.machines if name in (one.name, one.logical_id)), None)

    def find(self, name: str) -> Function:
        """Return a function by its name or its logical id. Raises UnknownFunctionError, which names those there are."""
        function = self.function(name)
        if function is None:
            known = ", ".join(one.name for one in self.functions)
            raise UnknownFunctionError(f"There is no function '{name}'; there are {known}.")
        return function


class _Builder:
    def __init__(self, document: Document, parameters: Mapping[str, str], place: Place) -> None:
        self.document = document
        self.place = place
        self.warnings: list[str] = []
        self._names: dict[str, Value] = _pseudo_parameters(place)
        self._attributes: dict[tuple[str, str], str] = {}
        self._stored: dict[str, str] = {}  # values of parameters and secrets, by name
        self._resolver = Resolver(
            document, self._names, self._attributes, self._stand_in, self._dynamic, self.warnings.append
        )
        self._add_parameters(parameters)
        self.resources = self._read_resources()
        self._add_resource_names()
        self._versions = number_versions(self.resources, self._auto_published(), self._names, self._attributes, place)

    def build(self) -> Template:
        of_type: dict[str, Callable[[str, str, Section], Value]] = {
            _FUNCTION: self._function,
            _PLAIN_FUNCTION: self._function,
            _QUEUE: queue_from,
            _TABLE: table_from,
            _SIMPLE_TABLE: simple_table_from,
            **dict.fromkeys(states.KINDS, self._machine),
        }
        made: dict[str, list[Value]] = {kind: [] for kind in of_type}
        activities: list[str] = []
        kept: list[Stored] = []
        events = PlumbingReader(self.place, self._warn)
        for logical_id, (kind, resource) in self.resources.items():
            if kind in of_type:
                one = of_type[kind](logical_id, self._resource_name(logical_id), resource.section("Properties"))
                made[kind] += [] if one is None else [one]
            elif kind in plumbing.KINDS:
                events.read(kind, logical_id, self._resource_name(logical_id), resource.section("Properties"))
            elif kind in stored.NAME_PROPERTY:
                kept.append(self._stored_from(logical_id, kind))
            elif kind == states.ACTIVITY:
                activities.append(str(self._names[logical_id]))
            elif kind not in (_HTTP_API, _REST_API, _LAYER, VERSION, ALIAS) and not kind.startswith(_NO_EFFECT):
                self._warn(resource, "Type", f"{kind} is not emulated; the rest of the template runs without it.")
        functions, pipes = events.finish(made[_FUNCTION] + made[_PLAIN_FUNCTION])
        machines: list[StateMachine] = [one for kind in states.KINDS for one in made[kind]]
        routes = self._described()
        functions = [self._with(routes, one) for one in functions]
        machines = [self._with(routes, one) for one in events.with_schedules(machines)]
        queues: list[Queue] = made[_QUEUE]
        if not functions:
            raise self.document.error(
                ("Resources",),
                f"there is no function to run; add a resource of type {_FUNCTION} with a Python Runtime."
                + "".join(f" Left out: {one}" for one in self.warnings if "left out" in one),
            )
        tables: list[Table] = [*made[_TABLE], *made[_SIMPLE_TABLE]]
        made_here: list[Topic | Bus | Bucket | Stream] = [*pipes.topics, *pipes.buses, *pipes.buckets, *pipes.streams]
        self._check_names([*functions, *queues, *tables, *machines, *made_here])
        self._check_visibility(functions, queues)
        pipes = replace(pipes, rules=(*pipes.rules, *(rule for one in machines for rule in one.rules)))
        ends = Connections(self.place, functions, queues, tables, [one.name for one in machines])
        functions, pipes = ends.streaming(functions, pipes, self._warn_of), ends.connected(pipes, self._warn_of)
        return Template(
            self.document.path,
            tuple(functions),
            self._apis([*functions, *machines]),
            tuple(queues),
            tuple(tables),
            pipes,
            tuple(machines),
            tuple(activities),
            tuple(kept),
            self._published(functions),
            tuple(dict.fromkeys(self.warnings)),
        )

    def _section(self, values: Value, *steps: str | int) -> Section:
        return Section(self.document, self._resolver, values, steps)

    def _warn(self, section: Section, key: str, message: str) -> None:
        self.warnings.append(str(section.error(key, message)))

    def _warn_of(self, message: str) -> None:
        self.warnings.append(str(self.document.error(("Resources",), message)))

    def _add_parameters(self, given: Mapping[str, str]) -> None:
        declared = self._section(self.document.values.get("Parameters"), "Parameters")
        for name in given:
            if name not in declared:
                raise self.document.error(("Parameters",), f"there is no parameter '{name}'; add it or do not give it.")
        for name in declared:
            parameter = declared.section(name)
            value: Value = given.get(name, parameter.value("Default"))
            if value is None:
                raise declared.error(name, f"has no default; give a value for the parameter '{name}'.")
            self._check_type(declared, name, parameter.text("Type", "String"), value)
            allowed = [text_of(one) for one in parameter.items("AllowedValues")]
            if allowed and text_of(value) not in allowed:
                raise declared.error(name, f"is '{value}'; must be one of {', '.join(allowed)}.")
            if parameter.text("Type", "String").startswith(("CommaDelimitedList", "List<")):
                value = [item.strip() for item in str(value).split(",")]
            self._names[name] = value

    def _check_type(self, declared: Section, name: str, kind: str, value: Value) -> None:
        if kind == "Number" and not _is_number(value):
            raise declared.error(name, f"is '{value}'; must be a number.")
        if kind.startswith("AWS::SSM::Parameter::Value"):
            text = f"names the parameter '{value}' of Systems Manager, which is not here; its name stands in for it."
            self._warn(declared, name, text)

    def _dynamic(self, text: str, steps: Steps) -> str:
        def unknown(name: str) -> None:
            told = f"the template makes no '{name}'; the reference stays as it is. Give a value by --env or --env-vars."
            self.warnings.append(str(self.document.error(steps, told)))

        return stored.resolved(text, self._stored, unknown)

    def _stored_from(self, logical_id: str, kind: str) -> Stored:
        properties = self.resources[logical_id][1].section("Properties")
        return stored.stored_from(kind, logical_id, self._resource_name(logical_id), properties)

    def _read_resources(self) -> dict[str, tuple[str, Section]]:
        all_resources = self._section(self.document.values.get("Resources"), "Resources")
        found: dict[str, tuple[str, Section]] = {}
        for logical_id in all_resources:
            if logical_id.startswith("Fn::"):
                text = "loops and transforms are not run here; write out what they would make."
                raise all_resources.error(logical_id, text)
            resource = all_resources.section(logical_id)
            condition = resource.optional_text("Condition")
            if condition is not None and not self._resolver.condition(condition, resource.steps):
                self._names[logical_id] = NO_VALUE
                continue
            found[logical_id] = (resource.text("Type"), resource)
        if not found:
            raise self.document.error((), "has no Resources; give the path of a SAM template.")
        return found

    def _add_resource_names(self) -> None:
        # First every name by its logical id, so that a name may itself refer to another resource.
        for logical_id, (kind, _) in self.resources.items():
            self._add_resource(logical_id, kind, kebab(logical_id))
        for logical_id, (kind, resource) in self.resources.items():
            if kind in _NAME_PROPERTY:
                properties = resource.section("Properties")
                self._add_resource(
                    logical_id, kind, properties.text(_NAME_PROPERTY[kind], self._default_name(logical_id, kind))
                )
        for logical_id, (kind, _) in self.resources.items():
            if kind in stored.NAME_PROPERTY:
                one = self._stored_from(logical_id, kind)
                self._stored[one.name] = self._attributes[logical_id, "Value"] = one.value
        for logical_id, kind in ((IMPLICIT_HTTP, _HTTP_API), (IMPLICIT_REST, _REST_API)):
            if logical_id not in self._names:
                self._add_resource(logical_id, kind, kebab(logical_id))

    def _default_name(self, logical_id: str, kind: str) -> str:
        flag = {_QUEUE: "FifoQueue", plumbing.TOPIC: "FifoTopic"}.get(kind)
        fifo = flag and self.resources[logical_id][1].section("Properties").flag(flag, False)
        return kebab(logical_id) + (".fifo" if fifo else "")

    def _add_resource(self, logical_id: str, kind: str, name: str) -> None:
        place = self.place
        ref, attributes = name, {}
        if kind in (_FUNCTION, _PLAIN_FUNCTION):
            attributes = {"Arn": place.arn("lambda", f"function:{name}")}
            # SAM makes `<Function>Url` of a FunctionUrlConfig.
            self._attributes[f"{logical_id}Url", "FunctionUrl"] = place.urls.get(logical_id, f"{place.gateway}/")
        elif kind == _QUEUE:
            ref = f"{place.aws_endpoint}/{place.account}/{name}"
            attributes = {"Arn": place.arn("sqs", name), "QueueName": name, "QueueUrl": ref}
        elif kind in (_TABLE, _SIMPLE_TABLE):
            attributes = {"Arn": place.arn("dynamodb", f"table/{name}")}
            attributes["StreamArn"] = f"{attributes['Arn']}/stream/latest"
        elif kind == _HTTP_API:
            attributes = {"ApiEndpoint": place.gateway, "ApiId": name}
        elif kind == _REST_API:
            self._names[f"{logical_id}.Stage"] = f"{name}-stage"  # the stage that SAM makes
            attributes = {"RootResourceId": "root", "RestApiId": name}
        elif kind in plumbing.KINDS:
            ref, attributes = plumbing.references(kind, name, place)
        elif kind in stored.NAME_PROPERTY:
            ref, attributes = stored.references(kind, name, place)
        elif kind in states.NAME_PROPERTY:
            ref, attributes = states.references(kind, name, place)
        self._names[logical_id] = ref
        for attribute, value in attributes.items():
            self._attributes[logical_id, attribute] = value

    def _stand_in(self, logical_id: str, attribute: str) -> str | None:
        """Return a value for an attribute of what is not emulated, or None for what is: that has what it has."""
        kind = self.resources[logical_id][0] if logical_id in self.resources else ""
        if not kind or kind in _NAME_PROPERTY:
            return None
        name = kebab(logical_id)
        if attribute.endswith("Arn"):
            return self.place.arn(kind.split("::")[1].lower(), name)
        return f"{name}-{kebab(attribute.replace('.', ''))}"

    def _resource_name(self, logical_id: str) -> str:
        kind, resource = self.resources[logical_id]
        if kind not in _NAME_PROPERTY:
            return kebab(logical_id)
        return resource.section("Properties").text(_NAME_PROPERTY[kind], self._default_name(logical_id, kind))

    def _function(self, logical_id: str, name: str, properties: Section) -> Function | None:
        is_sam = self.resources[logical_id][0] == _FUNCTION
        given = self.document.values.get("Globals") if is_sam else None  # Globals are SAM's own
        shared = self._section(given, "Globals").section("Function")
        layers = {
            str(self._names[layer]): local_folder(
                resource.section("Properties"), "ContentUri", self.document.path.parent
            )
            for layer, (kind, resource) in self.resources.items()
            if kind == _LAYER
        }
        asset = self.resources[logical_id][1].section("Metadata").optional_text("aws:asset:path")
        root = self.document.path.parent
        return function_from(logical_id, name, shared, properties, root, layers, self.warnings, asset)

    def _machine(self, logical_id: str, name: str, properties: Section) -> StateMachine:
        root = self.document.path.parent
        return states.machine_from(logical_id, name, properties, root, self.place, self.warnings)

    def _auto_published(self) -> dict[str, str]:
        shared = self._section(self.document.values.get("Globals"), "Globals").section("Function")
        found = {}
        for logical_id, (kind, resource) in self.resources.items():
            own = resource.section("Properties")
            alias = (own if "AutoPublishAlias" in own else shared).optional_text("AutoPublishAlias")
            if kind == _FUNCTION and alias is not None:
                found[logical_id] = alias
        return found

    def _published(self, functions: list[Function]) -> Published:
        aliases = [Alias(one.name, one.alias, (("1", 1.0),), one.provisioned) for one in functions if one.alias]
        for kind, resource in self.resources.values():
            if kind == ALIAS:
                aliases.append(alias_from(resource.section("Properties"), self._versions))
        return Published({name: tuple(numbers) for name, numbers in self._versions.items()}, tuple(aliases))

    def _described(self) -> dict[str, list[Route]]:
        """Return the routes of the APIs that are described by OpenAPI, by the ARN of what answers."""
        routes: dict[str, list[Route]] = {}
        root = self.document.path.parent
        for name, (kind, resource) in self.resources.items():
            if kind in (_HTTP_API, _REST_API):
                which: Literal["http", "rest"] = "http" if kind == _HTTP_API else "rest"
                for route, target in described(
                    str(self._names[name]), which, resource.section("Properties"), root, self.warnings
                ):
                    routes.setdefault(":".join(target.split(":")[:7]), []).append(route)
        return routes

    def _with(self, routes: dict[str, list[Route]], owner: Owner) -> Owner:
        """Add routes to what answers them."""
        return replace(owner, routes=(*owner.routes, *routes.get(self._attributes[owner.logical_id, "Arn"], ())))

    def _apis(self, owners: Sequence[Function | StateMachine]) -> tuple[Api, ...]:
        used = {(route.api, route.payload) for owner in owners for route in owner.routes}
        explicit = {
            str(self._names[name]): (name, kind, resource.section("Properties"))
            for name, (kind, resource) in self.resources.items()
            if kind in (_HTTP_API, _REST_API)
        }
        apis = []
        for api, (name, kind, properties) in explicit.items():
            stage = properties.text("StageName", "$default") if kind == _HTTP_API else properties.text("StageName")
            apis.append(self._api(name, api, "http" if kind == _HTTP_API else "rest", stage, properties))
        for name, payload in sorted(used):
            if name not in explicit:  # the implicit ones, or one that another template makes
                http = payload == "2.0" or name == kebab(IMPLICIT_HTTP)
                none = self._section({}, "Resources", name)
                apis.append(
                    self._api(name, name, "http", "$default", none)
                    if http
                    else self._api(name, name, "rest", "Prod", none)
                )
        self._check_authorizers(owners, apis)
        return tuple(apis)

    def _api(self, logical_id: str, name: str, kind: Literal["http", "rest"], stage: str, properties: Section) -> Api:
        shared = self._section(self.document.values.get("Globals"), "Globals")
        common = shared.section("HttpApi" if kind == "http" else "Api")
        authorization = authorization_of(properties.section("Auth"), common.section("Auth"), kind, self.warnings)
        key = "CorsConfiguration" if kind == "http" else "Cors"
        having = properties if key in properties else common
        cors = http_cors(having, key, "http") if kind == "http" else rest_cors(having)
        return Api(logical_id, name, kind, stage, authorization, cors)

    def _check_authorizers(self, owners: Sequence[Function | StateMachine], apis: list[Api]) -> None:
        """Refuse a route whose authorizer its API does not have."""
        known = {api.name: api.authorization.authorizers for api in apis}
        for owner in owners:
            steps = ("Resources", owner.logical_id, "Properties", "Events")
            for route in owner.routes:
                names = known.get(route.api, {})
                if route.authorizer not in ("", NONE, *names):
                    has = f"it has {', '.join(names)}"
                    raise self.document.error(
                        steps, f"the API {route.api} has no authorizer '{route.authorizer}'; {has}: correct the name."
                    )

    def _check_names(
        self, made: Sequence[Function | Queue | Table | StateMachine | Topic | Bus | Bucket | Stream]
    ) -> None:
        seen: dict[tuple[type, str], str] = {}
        for one in made:
            first = seen.setdefault((type(one), one.name), one.logical_id)
            if first != one.logical_id:
                raise self.document.error(
                    ("Resources", one.logical_id), f"has the same name '{one.name}' as {first}; give it another."
                )

    def _check_visibility(self, functions: list[Function], queues: list[Queue]) -> None:
        """Refuse what AWS refuses: a queue that shows a message again while its function may still work on it."""
        visibility = {self.place.arn("sqs", queue.name): queue for queue in queues}
        for function in functions:
            for source in function.queues:
                queue = visibility.get(source.queue_arn)
                if queue is None:
                    raise self.document.error(
                        ("Resources", function.logical_id, "Properties", "Events"),
                        f"the queue {source.queue_arn} is not in this template; add an {_QUEUE} and use !GetAtt.",
                    )
                if queue.visibility_timeout < function.timeout:
                    raise self.document.error(
                        ("Resources", queue.logical_id, "Properties", "VisibilityTimeout"),
                        f"is {queue.visibility_timeout} s, less than the Timeout of {function.logical_id} "
                        f"({function.timeout} s); AWS refuses that: set it to {6 * function.timeout}.",
                    )


def _is_number(value: Value) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _pseudo_parameters(place: Place) -> dict[str, Value]:
    return {
        "AWS::Region": place.region,
        "AWS::AccountId": place.account,
        "AWS::StackName": place.stack,
        "AWS::StackId": place.arn("cloudformation", f"stack/{place.stack}/local"),
        "AWS::Partition": "aws",
        "AWS::URLSuffix": "amazonaws.com",
        "AWS::NotificationARNs": [],
    }
