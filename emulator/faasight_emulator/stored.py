"""Parameters of Systems Manager and secrets: of the template, made in moto, and referred to by text."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from faasight_emulator.aws import Clients, making
from faasight_emulator.model import Place
from faasight_emulator.section import Section

PARAMETER = "AWS::SSM::Parameter"
SECRET = "AWS::SecretsManager::Secret"  # noqa: S105 -- a kind of resource
NAME_PROPERTY = {PARAMETER: "Name", SECRET: "Name"}
_REFERENCE = re.compile(r"\{\{resolve:(ssm|ssm-secure|secretsmanager):([^}]+)\}\}")
_GENERATED = "made-up-by-the-emulator"


@dataclass(frozen=True, slots=True)
class Stored:
    """One parameter or secret, with its value as text."""

    logical_id: str
    kind: str
    name: str
    value: str
    type: str = "String"


def stored_from(kind: str, logical_id: str, name: str, properties: Section) -> Stored:
    """Return what a resource stores; a secret that is to be generated is made up. Raises TemplateError."""
    if kind == PARAMETER:
        return Stored(logical_id, kind, name, properties.text("Value"), properties.text("Type", "String"))
    if "SecretString" in properties:
        return Stored(logical_id, kind, name, properties.text("SecretString"))
    wanted = properties.section("GenerateSecretString")
    template = wanted.json_text("SecretStringTemplate")
    if template is None or "GenerateStringKey" not in wanted:
        return Stored(logical_id, kind, name, _GENERATED)
    values = json.loads(template)
    if not isinstance(values, dict):
        raise wanted.error("SecretStringTemplate", "must be a JSON object.")
    return Stored(logical_id, kind, name, json.dumps({**values, wanted.text("GenerateStringKey"): _GENERATED}))


def references(kind: str, name: str, place: Place) -> tuple[str, dict[str, str]]:
    """Return what !Ref gives, and the attributes for !GetAtt but for the value."""
    if kind == PARAMETER:
        return name, {"Type": "String"}
    arn = place.arn("secretsmanager", f"secret:{name}")
    return arn, {"Id": arn}


def resolved(text: str, stored: Mapping[str, str], unknown: Callable[[str], None]) -> str:
    """Replace dynamic references by values: `{{resolve:ssm:NAME:VERSION}}`, `{{resolve:secretsmanager:NAME:...:KEY}}`.

    `stored` are the values by name; `unknown` is told of a name that is not there, whose reference stays as it is.
    """

    def value(found: re.Match[str]) -> str:
        service, rest = found.groups()
        name, _, more = rest.partition(":")
        if name == "arn":  # of a secret: its name is the seventh part
            parts = rest.split(":")
            name, more = ":".join(parts[6:7]), ":".join(parts[7:])
        if name not in stored:
            unknown(name)
            return found.group()
        if service != "secretsmanager":
            return stored[name]
        return _of_secret(stored[name], more.split(":"))

    return _REFERENCE.sub(value, text)


def _of_secret(value: str, how: list[str]) -> str:
    """Return a secret, or one value of its JSON: `how` is [SecretString, key, ...]."""
    key = how[1] if len(how) > 1 else ""
    try:
        return str(json.loads(value)[key]) if key else value
    except (ValueError, KeyError, TypeError):
        return value


def create_stored(clients: Clients, place: Place, stored: Iterable[Stored]) -> None:
    """Make them at moto; one that is there stays. Raises StartError."""
    for one in stored:
        with making(f"The {'parameter' if one.kind == PARAMETER else 'secret'} '{one.name}'", place):
            if one.kind == PARAMETER:
                clients.get("ssm").put_parameter(Name=one.name, Value=one.value, Type=one.type, Overwrite=True)
                continue
            secrets = clients.get("secretsmanager")
            try:
                secrets.create_secret(Name=one.name, SecretString=one.value)
            except secrets.exceptions.ResourceExistsException:
                secrets.put_secret_value(SecretId=one.name, SecretString=one.value)
