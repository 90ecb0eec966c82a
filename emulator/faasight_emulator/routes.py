"""Who answers a path: literal segments win, then {parameters}, then {greedy+}, then $default, as in API Gateway."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from faasight_emulator.authorization import Authorizer
from faasight_emulator.model import Api, Function, Route
from faasight_emulator.states.definition import StateMachine

_EVERY = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
_PARAMETER = re.compile(r"\{([^}+]+)(\+?)\}")


@dataclass(frozen=True, slots=True)
class Match:
    """A route that answers a request, with its path parameters (decoded)."""

    api: Api
    route: Route
    target: Function | StateMachine
    parameters: Mapping[str, str]

    @property
    def authorizer(self) -> Authorizer | None:
        """Who decides over it: the route's own authorizer, else the API's default, None if it is open."""
        authorization = self.api.authorization
        return authorization.authorizers.get(self.route.authorizer or authorization.default)


class Router:
    """All routes of all APIs on one port."""

    def __init__(self, apis: Iterable[Api], targets: Iterable[Function | StateMachine]) -> None:
        by_name = {api.name: api for api in apis}
        entries = [
            (by_name[route.api], route, target, _pattern(route.path, by_name[route.api].kind == "rest"))
            for target in targets
            for route in target.routes
            if route.api in by_name
        ]
        # A stable sort: of equal routes in two APIs the first of the template wins.
        self._entries = sorted(entries, key=lambda entry: _rank(entry[1]))

    def match(self, method: str, raw_path: str) -> Match | None:
        """Return the route of a request, None if there is none."""
        for api, route, target, pattern in self._entries:
            found = pattern.fullmatch(raw_path) if route.method in (method, "ANY") else None
            if found:
                names = [name for name, _ in _PARAMETER.findall(route.path)]
                values = [unquote(value) for value in found.groups()]
                return Match(api, route, target, dict(zip(names, values, strict=True)))
        return None

    def methods(self, raw_path: str) -> tuple[str, ...]:
        """Return the methods of the routes of a path, in order; for ANY those that there are."""
        found = {route.method for _, route, _, pattern in self._entries if pattern.fullmatch(raw_path)}
        return tuple(sorted(found - {"ANY"} | (set(_EVERY) if "ANY" in found else set())))

    def rest_only(self) -> bool:
        """Whether there is no HTTP API, so that an unknown path is answered in the words of a REST API."""
        return bool(self._entries) and all(api.kind == "rest" for api, *_ in self._entries)


def _pattern(path: str, rest: bool) -> re.Pattern[str]:
    if path == "$default":
        return re.compile(".*", re.DOTALL)
    parts: list[str] = []
    end = 0
    for found in _PARAMETER.finditer(path):
        parts += [re.escape(path[end : found.start()]), "(.+?)" if found.group(2) else "([^/]+)"]
        end = found.end()
    # A REST API takes a trailing slash for nothing, an HTTP API for another path.
    return re.compile("".join([*parts, re.escape(path[end:]), "/?" if rest else ""]), re.DOTALL)


def _rank(route: Route) -> tuple[bool, list[int], bool]:
    def of(segment: str) -> int:
        return 2 if "+}" in segment else 1 if "{" in segment else 0

    return (route.path == "$default", [of(segment) for segment in route.path.split("/")], route.method == "ANY")
