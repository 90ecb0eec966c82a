"""Views turn rows into components: verdicts, warnings, links, and empty states that say the next step."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dash.development.base_component import Component
from faasight_dashboards.views import cards, function, grid, kpis, overview
from faasight_dashboards.views.health import health
from faasight_store.types import (
    AlertInstance,
    ColdStarts,
    ErrorGroup,
    FunctionRow,
    ImportCost,
    Invocation,
    Scope,
    Series,
    TelemetryHealth,
    Totals,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SCOPE = Scope(NOW - timedelta(hours=1), NOW)


def totals(**changes: Any) -> Totals:
    return Totals(
        **{
            "invocations": 1000,
            "errors": 0,
            "timeouts": 0,
            "throttles": 0,
            "cold_starts": 10,
            "p50_ms": 40.0,
            "p90_ms": 70.0,
            "p95_ms": 90.0,
            "p99_ms": 140.0,
            "cost_usd": 0.5,
            **changes,
        }
    )


def row(name: str = "checkout", of: Totals | None = None, **changes: Any) -> FunctionRow:
    values = {
        "runtime": "python3.11",
        "version": "7",
        "architecture": "arm64",
        "region": "eu-west-1",
        "account": "1",
        "memory_mb": 512.0,
        "memory_used_mb": 200.0,
        "timeout_ms": 3000.0,
        "max_ms": 300.0,
        "init_p95_ms": 400.0,
        "last_seen": NOW,
    }
    return FunctionRow(name, totals=of or totals(), **{**values, **changes})


def words(component: Any) -> str:
    """Return all text of a component."""
    if isinstance(component, Component):
        return words(getattr(component, "children", None))
    if isinstance(component, (list, tuple)):
        return " ".join(words(child) for child in component)
    return "" if component is None else str(component)


def links(component: Any) -> list[str]:
    """Return where its links lead."""
    if isinstance(component, (list, tuple)):
        return [href for child in component for href in links(child)]
    if not isinstance(component, Component):
        return []
    return [
        *([component.href] if getattr(component, "href", None) else []),
        *links(getattr(component, "children", None)),
    ]


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({}, "ok", ""),
        ({"of": totals(errors=50)}, "error", "5.00% of invocations fail"),
        ({"of": totals(errors=10)}, "warn", "1.00% of invocations fail"),
        ({"of": totals(errors=9)}, "ok", ""),
        ({"of": totals(throttles=3)}, "warn", "3 throttled"),
        ({"of": totals(errors=1, timeouts=1)}, "warn", "1 timed out"),
        ({"memory_used_mb": 500.0}, "warn", "memory 98% used"),
        ({"max_ms": 2950.0}, "warn", "longest took 98% of the time-out"),
        ({"memory_mb": None, "timeout_ms": None}, "ok", ""),
    ],
)
def test_health_names_the_reason(changes: dict[str, Any], status: str, reason: str) -> None:
    verdict = health(row(**changes))
    assert verdict.status == status
    assert list(verdict.reasons) == ([reason] if reason else [])


def test_a_function_that_was_only_throttled_has_no_rate_of_errors() -> None:
    assert health(row(of=totals(invocations=0, throttles=5))).status == "warn"


def test_change_needs_a_past() -> None:
    assert cards.change(12, 10) == pytest.approx(0.2)
    assert cards.change(12, 0) is None
    assert cards.change(None, 3) is None


@pytest.mark.parametrize(
    ("change", "more_is", "kind"),
    [(0.5, "bad", "bad"), (-0.5, "bad", "good"), (0.5, "good", "good"), (0.5, "", "flat"), (0.0, "bad", "flat")],
)
def test_a_change_is_coloured_by_what_it_means(change: float, more_is: str, kind: str) -> None:
    mark = cards.delta(change, more_is)
    assert mark is not None
    assert mark.className == f"delta {kind}"


def test_attention_puts_the_failing_first() -> None:
    rows = [row("fine"), row("throttled", totals(throttles=9)), row("failing", totals(errors=80))]
    text = words(overview.attention(rows, SCOPE))
    assert text.index("failing") < text.index("throttled") < text.index("fine")


def test_tiles_are_bounded_and_lead_to_the_rest() -> None:
    tiles = overview.tiles([row(f"f{i}") for i in range(40)])
    assert len(tiles.children) == overview.MOST_TILES + 1
    assert links(tiles)[-1] == "/functions"


def test_names_are_quoted_in_links() -> None:
    assert "/functions/a%2Fb%20%3F" in links(overview.tiles([row("a/b ?")]))


def test_firing_alerts_stand_before_pending_ones() -> None:
    def alert(name: str, state: str, severity: str) -> AlertInstance:
        return AlertInstance(
            name, name, severity, state, {"function": "pay"}, NOW - timedelta(minutes=5), 1.0, "x > 1", ""
        )

    text = words(
        overview.alerts(
            [
                alert("late", "pending", "critical"),
                alert("mild", "firing", "warning"),
                alert("bad", "firing", "critical"),
            ],
            NOW,
            UTC,
        )
    )
    assert text.index("bad") < text.index("mild") < text.index("late")
    assert "firing 5m" in text


@pytest.mark.parametrize(
    ("rejected", "dead", "state"), [(0, 0, "all stored"), (3, 0, "rejecting some"), (0, 1, "losing data")]
)
def test_telemetry_says_whether_data_is_lost(rejected: int, dead: int, state: str) -> None:
    figures = TelemetryHealth(100, rejected, dead, 2_000_000, 0.3, 1.5, 0, None)
    text = words(overview.telemetry(figures, SCOPE, NOW, UTC))
    assert state in text
    assert "never" in text
    assert "300 ms" in text


def test_telemetry_names_why_requests_are_refused() -> None:
    reasons = {"too_large": 3, "corrupt_json": 5, "method": 1, "not_found": 1}
    figures = TelemetryHealth(100, 10, 0, 2_000_000, 0.3, 1.5, 0, None, reasons)
    assert "corrupt json 5, too large 3, method 1, ..." in words(overview.telemetry(figures, SCOPE, NOW, UTC))


def test_grid_rows_are_worst_first_with_exact_shares() -> None:
    rows = grid.rows([row("fine"), row("failing", totals(errors=80))], SCOPE)
    assert [one["function"] for one in rows] == ["failing", "fine"]
    assert rows[0]["errors"] == pytest.approx(0.08)
    assert rows[0]["rate"] == pytest.approx(1000 / 3600)
    assert rows[0]["time_left"] == pytest.approx(0.9)


def test_every_column_of_the_grid_has_its_field() -> None:
    assert {column["field"] for column in grid.COLUMNS} <= set(grid.rows([row()], SCOPE)[0])


def test_where_a_cost_is_shown_it_says_what_it_leaves_out() -> None:
    empty = Series(**{name: [] for name in Series.__slots__})
    shown = kpis.figures(totals(), totals(), empty, SCOPE, kpis.Notes("", "", "", ""), cards.Kpi("Own", "1"))
    assert [str(card).count("no free tier") for card in shown] == [0, 0, 0, 0, 0, 1]
    assert {c["field"] for c in grid.COLUMNS if "no free tier" in c.get("headerTooltip", "")} == {"cost"}


def test_anatomy_ranks_imports_by_their_time_with_what_they_pull_in() -> None:
    cold = ColdStarts(
        5,
        0.1,
        300.0,
        700.0,
        {"on-demand": 4, "snap-start": 1},
        [ImportCost("numpy", 5, 180.0, 170.0), ImportCost("pandas", 5, 900.0, 3.0)],
        4.2,
    )
    text = words(function.anatomy(cold))
    assert text.index("pandas") < text.index("numpy")
    assert "On demand · 4" in text
    assert "4.2 ms" in text


def test_anatomy_of_sandboxes_that_nobody_waited_for() -> None:
    """Started ahead of need: no cold start, and yet its imports are told; so are pings that keep sandboxes warm."""
    ahead = ColdStarts(0, 0.0, None, None, {}, [ImportCost("pandas", 1, 900.0, 3.0)], 4.2, pings=7)
    text = words(function.anatomy(ahead))
    assert "pandas" in text
    assert "Keep-warm pings 7" in text
    pinged = words(function.anatomy(ColdStarts(0, 0.0, None, None, {}, [], None, pings=1_200)))
    assert "Keep-warm pings 1,200" in pinged
    assert "No cold starts in this range" in pinged


def test_errors_lead_to_an_example_and_to_their_lines() -> None:
    group = ErrorGroup("pay all", "CardDeclined", "no", 3, NOW, NOW, "ab" * 16)
    assert links(function.errors([group], NOW, UTC)) == [
        "/logs?q=function%3A%22pay%20all%22%20level%3Aerror",
        f"/traces/{'ab' * 16}",
    ]


def test_invocations_without_a_trace_have_no_link() -> None:
    one = Invocation(
        "pay",
        "7",
        "r-1",
        "",
        NOW,
        None,
        None,
        True,
        "timeout",
        "",
        "pubsub",
        "queue",
        "orders",
        2,
        12.0,
        None,
        None,
        None,
        0.0,
    )
    shown = function.invocations([one], UTC)
    assert links(shown) == []
    assert "Timed out" in words(shown)
    assert "queue orders" in words(shown)


@pytest.mark.parametrize(
    "shown",
    [
        overview.attention([], SCOPE),
        overview.alerts([], NOW, UTC),
        overview.tiles([]),
        overview.costs([row(of=totals(cost_usd=0.0))]),
        overview.slowest([row(of=totals(p95_ms=None))]),
        function.errors([], NOW, UTC),
        function.invocations([], UTC),
        function.anatomy(ColdStarts(0, 0.0, None, None, {}, [], None)),
    ],
)
def test_nothing_is_an_empty_state(shown: Component) -> None:
    assert shown.className == "empty"
    assert words(shown).strip()


def test_a_functions_cloud_and_the_way_to_its_console() -> None:
    """A link only where all of it is known; names are quoted."""
    from faasight_dashboards.views.clouds import cloud, console

    assert console(row(provider="aws")) == (
        "https://eu-west-1.console.aws.amazon.com/lambda/home?region=eu-west-1#/functions/checkout"
    )
    assert console(row("a/b?c", provider="gcp", account="shop project")) == (
        "https://console.cloud.google.com/run/detail/eu-west-1/a%2Fb%3Fc/observability/metrics?project=shop%20project"
    )
    assert [console(row(provider=name, region="")) for name in ("aws", "gcp", "azure", "")] == [""] * 4
    assert cloud(row()) is None
    shown: Any = cloud(row(provider="azure"))
    assert shown.className.startswith("badge")
