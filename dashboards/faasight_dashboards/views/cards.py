"""Small cards of one figure, and ranked lists."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dash import html
from dash.development.base_component import Component
from faasight_store.types import Totals

from faasight_dashboards.components import Item, function_link, icon
from faasight_dashboards.figures.spark import spark
from faasight_dashboards.theme import MUTE

_COMPARABLE = 0.1


@dataclass(frozen=True, slots=True)
class Kpi:
    """A figure with its past: `change` is relative to the period before (0.1 is 10 % more), None if that had none."""

    label: str
    value: str
    note: str = ""
    symbol: str = ""
    colour: str = MUTE
    change: float | None = None
    more_is: str = ""  # good or bad, "" if neither
    values: Sequence[float | None] = field(default_factory=tuple)
    href: str = ""
    about: str = ""  # what the figure leaves out, for whoever points at its name


def kpi(card: Kpi) -> Component:
    """Return the card."""
    head: list[Item] = [
        icon(card.symbol, 13) if card.symbol else None,
        html.Span(card.label, title=card.about) if card.about else html.Span(card.label),
        delta(card.change, card.more_is),
    ]
    body: list[Item] = [
        html.Div(head, className="l"),
        html.Div([card.value, html.Small(card.note, title=card.note)], className="v"),
    ]
    if card.values:
        body.append(html.Img(src=spark(card.values, card.colour), alt="", className="sp"))
    return html.Div(body, className="card kpi" + ("" if card.values else " plain"))


def delta(change: float | None, more_is: str) -> Component | None:
    """Return the change against the period before, as a coloured mark; None if there is nothing to compare with."""
    if change is None:
        return None
    if abs(change) < 0.0005:
        return html.Span("0.0%", className="delta flat", title="as in the period before")
    risen = change > 0
    kind = "flat" if not more_is else "good" if risen == (more_is == "good") else "bad"
    text = f"{abs(change) * 100:.1f}%" if abs(change) < 10 else f"{abs(change):.0f}\N{MULTIPLICATION SIGN}"
    symbol = icon("arrow-up-right" if risen else "arrow-down-right", 11)
    return html.Span([symbol, text], className=f"delta {kind}", title="against the period before")


def change(now: float | None, before: float | None) -> float | None:
    """Return the relative change, None if there is nothing to compare with."""
    return None if now is None or not before else now / before - 1


def comparable(now: Totals, before: Totals) -> bool:
    """Whether the period before saw enough to be compared with: it may reach back to when nothing was recorded yet."""
    return before.invocations >= _COMPARABLE * now.invocations


def ranking(
    rows: Sequence[tuple[str, float]],
    text: Callable[[float], str],
    colour: str,
    scale: Callable[[float], float] = lambda value: value,
) -> Component:
    """Return functions with bars; `scale` makes lengths of values."""
    most = max((scale(value) for _, value in rows), default=0.0) or 1.0
    return html.Div(
        [_bar(name, text(value), max(0.02, scale(value) / most), colour) for name, value in rows], className="bl"
    )


def _bar(name: str, text: str, length: float, colour: str) -> Component:
    bar = html.U(html.I(style={"width": f"{100 * length:.0f}%", "background": colour}))
    return function_link(name, [html.Span(name, title=name), bar, html.Span(text, className="r")])
