"""Versions and aliases of functions: what a template publishes, and which version an invocation runs.

All versions have the same code here: this machine has one copy of it. They differ in their number, in their sandboxes,
and so in what every span, log line and report says.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from faasight_emulator.document import Value
from faasight_emulator.errors import UnknownFunctionError
from faasight_emulator.model import Function, Place
from faasight_emulator.section import Section

VERSION = "AWS::Lambda::Version"
ALIAS = "AWS::Lambda::Alias"
LATEST = "$LATEST"
Resources = Mapping[str, tuple[str, Section]]


@dataclass(frozen=True, slots=True)
class Alias:
    """A name for versions of a function. `weights` add up to 1; the first version takes what the others leave."""

    function: str
    name: str
    weights: tuple[tuple[str, float], ...]
    provisioned: int = 0


@dataclass(frozen=True, slots=True)
class Published:
    """The versions of each function, by its name and without $LATEST, and all aliases."""

    versions: Mapping[str, tuple[str, ...]]
    aliases: tuple[Alias, ...] = ()


class Versions:
    """Finds the version that an invocation runs."""

    def __init__(
        self, functions: Iterable[Function], published: Published, chance: Callable[[], float] = random.random
    ) -> None:
        self._all = tuple(functions)
        self._functions = {name: one for one in self._all for name in (one.logical_id, one.name)}
        self._published = published
        self._aliases = {(one.function, one.name): one for one in published.aliases}
        self._chance = chance

    def find(self, name: str) -> Function:
        """Return the function of a name, a logical id or an ARN, each with a qualifier or without.

        Without a qualifier it is $LATEST, as for Lambda's Invoke. Raises UnknownFunctionError.
        """
        parts = name.split(":")[6:] if name.startswith("arn:") else name.split(":")
        function = self._functions.get(parts[0]) if parts else None
        if function is None:
            known = ", ".join(one.name for one in self._all)
            raise UnknownFunctionError(f"There is no function '{name}'; there are {known}.")
        qualifier = parts[1] if len(parts) > 1 else LATEST
        if (function.name, qualifier) in self._aliases:
            return replace(function, alias=qualifier)
        if qualifier not in (LATEST, *self._published.versions.get(function.name, ())):
            known = ", ".join([LATEST, *self._of(function)])
            raise UnknownFunctionError(f"'{function.name}' has no version or alias '{qualifier}'; it has {known}.")
        return replace(function, alias=None, version=qualifier)

    def pick(self, function: Function) -> Function:
        """Return the function with the version that this invocation runs: that of its alias, by weight."""
        alias = self._aliases.get((function.name, function.alias or ""))
        if alias is None:
            return function
        at = self._chance()
        for version, weight in reversed(alias.weights):
            if at < weight:
                return replace(function, version=version)
            at -= weight
        return replace(function, version=alias.weights[0][0])

    def all(self) -> list[tuple[Function, int]]:
        """Return every version of every function, with how many sandboxes of it are started ahead."""
        return [
            (replace(one, version=version), self._provisioned(one, version))
            for one in self._all
            for version in (LATEST, *self._published.versions.get(one.name, ()))
        ]

    def _provisioned(self, function: Function, version: str) -> int:
        own = function.provisioned if function.alias is None and version == LATEST else 0
        shares = (
            round(alias.provisioned * dict(alias.weights).get(version, 0.0))
            for alias in self._published.aliases
            if alias.function == function.name
        )
        return own + sum(shares)

    def _of(self, function: Function) -> list[str]:
        versions = self._published.versions.get(function.name, ())
        return [*versions, *(one.name for one in self._published.aliases if one.function == function.name)]


def number_versions(
    resources: Resources,
    aliases: Mapping[str, str],
    names: dict[str, Value],
    attributes: dict[tuple[str, str], str],
    place: Place,
) -> dict[str, list[str]]:
    """Give the versions of all functions their numbers, in the template's order, and let !Ref and !GetAtt find them.

    Args:
        resources: type and section of each resource, by its logical id.
        aliases: AutoPublishAlias of each function that has one, by its logical id; it publishes version 1.
        names: what !Ref gives; added to.
        attributes: what !GetAtt gives; added to.
        place: for the ARNs.

    Returns the numbers by the function's name. Raises TemplateError.

    """
    numbers: dict[str, list[str]] = {}
    for logical_id, alias in aliases.items():
        function = str(names[logical_id])
        numbers[function] = ["1"]
        names[f"{logical_id}.Version"] = place.arn("lambda", f"function:{function}:1")
        names[f"{logical_id}.Alias"] = place.arn("lambda", f"function:{function}:{alias}")
    for logical_id, (kind, resource) in resources.items():
        if kind == VERSION:
            function = plain_name(resource.section("Properties").text("FunctionName"))
            of_function = numbers.setdefault(function, [])
            of_function.append(str(len(of_function) + 1))
            names[logical_id] = place.arn("lambda", f"function:{function}:{of_function[-1]}")
            attributes[logical_id, "Version"] = of_function[-1]
    for logical_id, (kind, resource) in resources.items():
        if kind == ALIAS:
            properties = resource.section("Properties")
            function = plain_name(properties.text("FunctionName"))
            names[logical_id] = place.arn("lambda", f"function:{function}:{properties.text('Name')}")
    return numbers


def alias_from(properties: Section, numbers: Mapping[str, list[str]]) -> Alias:
    """Return the alias of an AWS::Lambda::Alias. Raises TemplateError."""
    function = plain_name(properties.text("FunctionName"))
    known = (LATEST, *numbers.get(function, ()))
    others: list[tuple[str, float]] = []
    for one in properties.section("RoutingConfig").items("AdditionalVersionWeights"):
        weight = one.get("FunctionWeight") if isinstance(one, dict) else None
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 1:
            raise properties.error("RoutingConfig", f"has the weight {weight!r}; must be a number from 0 to 1.")
        others.append((str(one.get("FunctionVersion")), float(weight)))
    first = properties.text("FunctionVersion")
    for version in (first, *(version for version, _ in others)):
        if version not in known:
            has = ", ".join(known)
            raise properties.error("", f"points to version '{version}', which '{function}' has not; it has {has}.")
    left = 1.0 - sum(weight for _, weight in others)
    if left < 0 or first in dict(others):
        raise properties.error("RoutingConfig", "must name other versions, with weights of at most 1 together.")
    ahead = properties.section("ProvisionedConcurrencyConfig")
    provisioned = ahead.integer("ProvisionedConcurrentExecutions", 0, 0, 1000)
    return Alias(function, properties.text("Name"), ((first, left), *others), provisioned)


def plain_name(name: str) -> str:
    """Return the function's name of a name or an ARN, with a qualifier or without."""
    parts = name.split(":")
    return parts[6] if name.startswith("arn:") and len(parts) > 6 else parts[0]
