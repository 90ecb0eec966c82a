"""Figures are plain data: what was counted stands in them, in the viewer's zone, and nothing is made up for gaps."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import unquote

import pytest
from faasight_dashboards.figures import base, heatmap, series
from faasight_dashboards.figures.spark import spark
from faasight_store.types import Heatmap, Series

START = datetime(2026, 11, 21, 8, tzinfo=UTC)
EAST = timezone(timedelta(hours=2))
TIMES = [START + timedelta(minutes=i) for i in range(4)]


def make(**columns: Any) -> Series:
    """Return a series of four minutes; what is left out is nought or unknown."""
    counts = {name: [0, 0, 0, 0] for name in ("ok", "errors", "timeouts", "throttles", "cold_starts", "cost_usd")}
    unknown = {name: [None] * 4 for name in ("p50_ms", "p90_ms", "p95_ms", "p99_ms", "memory_used_mb", "concurrency")}
    return Series(**{"t": TIMES, "step_s": 60.0, **counts, **unknown, **columns})


BUSY = make(
    ok=[10, 0, 8, 9], errors=[0, 0, 2, 1], throttles=[0, 3, 0, 0], cold_starts=[5, 0, 0, 1], p99_ms=[900, None, 80, 90]
)


def text_of(figure: base.Figure) -> str:
    return " ".join(note["text"] for note in figure["layout"].get("annotations", []))


def test_outcomes_stack_what_was_counted() -> None:
    bars = {trace["name"]: trace["y"] for trace in series.outcomes(BUSY)["data"]}
    assert bars == {"OK": [10, 0, 8, 9], "Errors": [0, 0, 2, 1], "Throttles": [0, 3, 0, 0]}


def test_times_are_in_the_viewers_zone_and_the_axis_spans_the_whole_range() -> None:
    figure = series.outcomes(BUSY, EAST)
    assert figure["data"][0]["x"][0] == "2026-11-21 10:00:00.000"
    assert figure["layout"]["xaxis"]["range"] == ["2026-11-21 10:00:00.000", "2026-11-21 10:04:00.000"]


def test_a_rate_of_no_invocations_is_a_gap_not_a_nought() -> None:
    assert series.error_rate(BUSY)["data"][0]["y"] == [0.0, None, 20.0, 10.0]
    assert series.cold_rate(BUSY)["data"][0]["y"] == [50.0, None, 0.0, 10.0]


def test_a_gap_is_not_filled_and_small_counts_have_no_halves() -> None:
    assert "fill" not in series.error_rate(BUSY)["data"][0]
    assert series.error_rate(make(ok=[1, 1, 1, 1]))["data"][0]["fill"] == "tozeroy"
    assert series.outcomes(make(ok=[1, 0, 2, 0]))["layout"]["yaxis"]["dtick"] == 1
    assert "dtick" not in series.outcomes(BUSY)["layout"]["yaxis"]


def test_a_lonely_value_is_marked_or_it_would_not_be_seen() -> None:
    lines = {trace["name"]: trace for trace in series.percentiles(BUSY)["data"]}
    assert lines["p99"]["mode"] == "lines+markers"
    assert lines["p99"]["y"] == [900, None, 80, 90]
    assert series.percentiles(make(p99_ms=[1, 2, 3, 4]))["data"][3]["mode"] == "lines"


@pytest.mark.parametrize(
    "figure", [series.outcomes, series.percentiles, series.error_rate, series.cold_rate, series.concurrency]
)
def test_nothing_is_said_in_words(figure: Any) -> None:
    assert text_of(figure(make())) == series.NOTHING


def test_concurrency_shows_throttles_on_an_axis_of_their_own() -> None:
    throttled, running = series.concurrency(make(concurrency=[1.5, 2, 0.2, 0], throttles=[0, 3, 0, 0]))["data"]
    assert (throttled["y"], throttled["yaxis"], running["y"]) == ([0, 3, 0, 0], "y2", [1.5, 2, 0.2, 0])


def test_memory_has_the_line_of_what_is_given_only_if_it_is_known() -> None:
    used = make(memory_used_mb=[100, 120, None, 90])
    assert [trace["name"] for trace in series.memory(used, 512)["data"]] == ["Used", "Given"]
    assert [trace["name"] for trace in series.memory(used, None)["data"]] == ["Used"]
    assert "No memory" in text_of(series.memory(make(), 512))


@pytest.mark.parametrize(
    ("top", "ticks"),
    [
        (0.8, ["0", "0.2 ms", "0.4 ms", "0.6 ms", "0.8 ms"]),
        (400, ["0", "100 ms", "200 ms", "300 ms", "400 ms"]),
        (3900, ["0", "1 s", "2 s", "3 s", "4 s"]),
    ],
)
def test_duration_axis_has_round_steps_in_a_unit_that_reads_well(top: float, ticks: list[str]) -> None:
    assert series.duration_axis(top)["ticktext"] == ticks


@pytest.mark.parametrize("top", [0.001, 1, 99, 1999, 2000, 61_000, 119_999, 10_000_000])
def test_duration_axis_has_few_ticks_whatever_the_top(top: float) -> None:
    ticks = series.duration_axis(top)["tickvals"]
    assert 3 <= len(ticks) <= 9
    assert ticks[-1] >= top


def test_heatmap_hides_empty_rows_and_says_raw_counts() -> None:
    counts = [[0, 0]] * 10 + [[4, 0], [1, 9]] + [[0, 0]] * 28
    figure = heatmap.latency(Heatmap(TIMES[:2], [1.2**i for i in range(41)], counts))
    trace = figure["data"][0]
    assert 8 <= len(trace["z"]) <= 10
    assert [value for row in trace["z"] for value in row if value is not None] == [2.0, 1.0, 3.0]
    assert any(text.startswith("9 \N{MULTIPLICATION SIGN} ") for row in trace["customdata"] for text in row)


def test_heatmap_of_nothing_says_so() -> None:
    assert "No invocations" in text_of(heatmap.latency(Heatmap(TIMES, [1, 2], [[0, 0, 0, 0]])))


def test_figures_are_json_and_new_with_each_call() -> None:
    first = series.outcomes(BUSY)
    json.dumps([first, series.percentiles(BUSY), heatmap.latency(Heatmap(TIMES, [1, 2], [[1, 2, 3, 4]]))])
    first["layout"]["xaxis"]["range"] = "changed"
    assert series.outcomes(BUSY)["layout"]["xaxis"]["range"] != "changed"


def test_revision_changes_with_the_range_alone() -> None:
    """A viewer's zoom must go when the range does."""
    later = [moment + timedelta(minutes=1) for moment in TIMES]
    assert base.revision(TIMES, 60) == base.revision(list(TIMES), 60) != base.revision(later, 60)


@pytest.mark.parametrize("values", [[], [3.0], [0, 0, 0], [1, None, 5], list(range(500))])
def test_spark_is_an_image_of_bounded_size(values: list[float | None]) -> None:
    image = unquote(spark(values, "#ff0000"))
    assert image.startswith("data:image/svg+xml,<svg")
    assert "nan" not in image
    assert len(image) < 3000


def test_what_an_error_quotes_becomes_no_link() -> None:
    (note,) = base.message('no <a href="https://evil.example">such</a> column & more')["layout"]["annotations"]
    assert note["text"] == 'no &lt;a href="https://evil.example"&gt;such&lt;/a&gt; column &amp; more'
