"""The row of figures that opens a page: how much ran, how well, and what it cost, against the period before."""

from dataclasses import dataclass, replace

from dash.development.base_component import Component
from faasight_store.types import Scope, Series, Totals

from faasight_dashboards import format as fmt
from faasight_dashboards.theme import BRAND, COLD, ERROR, OK, WARN
from faasight_dashboards.views.cards import Kpi, change, comparable, kpi
from faasight_dashboards.views.health import share


@dataclass(frozen=True, slots=True)
class Notes:
    """The small text beside each figure."""

    errors: str
    p95: str
    cold_starts: str
    cost: str


def figures(now: Totals, before: Totals, series: Series, scope: Scope, notes: Notes, own: Kpi) -> list[Component]:
    """Return six cards: invocations, errors, duration, cold starts, the page's `own`, cost."""
    cards = (
        _invocations(now, before, series, scope),
        _error_rate(now, before, series, notes.errors),
        _duration(now, before, series, notes.p95),
        _cold_starts(now, before, series, notes.cold_starts),
        own,
        _cost(now, before, series, notes.cost),
    )
    known = comparable(now, before)
    return [kpi(card if known else replace(card, change=None)) for card in cards]


def _invocations(now: Totals, before: Totals, series: Series, scope: Scope) -> Kpi:
    ran = [ok + failed for ok, failed in zip(series.ok, series.errors, strict=True)]
    rate = fmt.rate(now.invocations, scope.seconds)
    risen = change(now.invocations, before.invocations)
    return Kpi("Invocations", fmt.number(now.invocations), rate, "activity", OK, risen, "", ran)


def _error_rate(now: Totals, before: Totals, series: Series, note: str) -> Kpi:
    errors = share(now.errors, now)
    risen = change(errors, share(before.errors, before))
    return Kpi("Error rate", fmt.percent(errors), note, "circle-x", ERROR, risen, "bad", series.errors)


def _duration(now: Totals, before: Totals, series: Series, note: str) -> Kpi:
    risen = change(now.p95_ms, before.p95_ms)
    return Kpi("p95 duration", fmt.ms(now.p95_ms), note, "timer", BRAND, risen, "bad", series.p95_ms)


def _cold_starts(now: Totals, before: Totals, series: Series, note: str) -> Kpi:
    cold = share(now.cold_starts, now)
    risen = change(cold, share(before.cold_starts, before))
    return Kpi("Cold starts", fmt.percent(cold), note, "snowflake", COLD, risen, "bad", series.cold_starts)


def _cost(now: Totals, before: Totals, series: Series, note: str) -> Kpi:
    risen = change(now.cost_usd, before.cost_usd)
    usd = fmt.usd(now.cost_usd)
    return Kpi("Est. cost", usd, note, "coins", WARN, risen, "bad", series.cost_usd, about=fmt.ABOUT_COST)
