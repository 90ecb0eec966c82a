"""Which page a path shows. Pages stand in one visible list (app.py); the address is read here and nowhere else."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from dash import Dash, Input, Output
from dash.development.base_component import Component

from faasight_dashboards.components import empty, failure, link
from faasight_dashboards.live import clientside, explain


def nothing(_app: Dash) -> None:
    """Register no callbacks: for pages that have none."""


@dataclass(frozen=True)
class Page:
    """A page: `/functions/<name>` gives its layout `name`, and the address's query parameters beside it."""

    path: str
    title: str
    layout: Callable[..., Component]  # cheap and instant: data comes by callbacks
    register: Callable[[Dash], None] = nothing

    def match(self, pathname: str) -> dict[str, str] | None:
        """Return the variables of a path that is this page's, None of another's."""
        pattern = re.sub(r"<(\w+)>", r"(?P<\1>[^/]+)", self.path)
        found = re.fullmatch(pattern, pathname.rstrip("/") or "/")
        return {name: unquote(value) for name, value in found.groupdict().items()} if found else None


def show(pages: Sequence[Page], pathname: str, search: str) -> tuple[Component, str]:
    """Return the content and title of an address."""
    for page in pages:
        variables = page.match(pathname)
        if variables is not None:
            query = dict(parse_qsl(search.removeprefix("?")))
            try:
                return page.layout(**{**query, **variables}), next(iter(variables.values()), page.title)
            except Exception as error:  # noqa: BLE001  # a page's border: the shell stays usable
                return failure(explain(error)), page.title
    hint = link("Go to the overview", "/", className="more")
    return empty("There is no such page", hint, "search"), "Not found"


def register(app: Dash, pages: Sequence[Page]) -> None:
    """Connect the address with the page, and each page's own callbacks."""

    def navigate(pathname: str | None, search: str | None) -> tuple[Any, str]:
        return show(pages, pathname or "/", search or "")

    app.callback(
        Output("page", "children"), Output("page-title", "data"), Input("url", "pathname"), Input("url", "search")
    )(navigate)
    clientside(app, "shell", "title", Output("page-title", "id"), Input("page-title", "data"), Input("url", "pathname"))
    for page in pages:
        page.register(app)
