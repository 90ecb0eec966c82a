"""Looks into Dash components without a browser."""

from collections.abc import Iterator

from dash.development.base_component import Component


def texts(component: object) -> list[str]:
    """Return every text in a component, in reading order."""
    return list(_texts(component))


def count(component: object) -> int:
    """Return how many components there are: a page stays below 500."""
    if isinstance(component, (list, tuple)):
        return sum(count(child) for child in component)
    if not isinstance(component, Component):
        return 0
    return 1 + count(getattr(component, "children", None))


def links(component: object) -> list[str]:
    """Return where the links lead."""
    if isinstance(component, (list, tuple)):
        return [href for child in component for href in links(child)]
    if not isinstance(component, Component):
        return []
    own = [component.href] if getattr(component, "href", None) else []
    return own + links(getattr(component, "children", None))


def _texts(component: object) -> Iterator[str]:
    if isinstance(component, str):
        yield component
    elif isinstance(component, (int, float)):
        yield str(component)
    elif isinstance(component, (list, tuple)):
        for child in component:
            yield from _texts(child)
    elif isinstance(component, Component):
        yield from _texts(getattr(component, "children", None))
