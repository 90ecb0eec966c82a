"""One rule at one slot: what each group shows."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from faasight_alerts.evaluate import Cache, Labels, evaluate, labels_of
from faasight_alerts.rule import Condition, NoData, Rule
from faasight_alerts.state import Look, Seen
from faasight_store.types import Measurement

SLOT = int(datetime(2026, 5, 4, 12, 0, tzinfo=UTC).timestamp())
RULE = Rule(
    "errors", "warning", "error_rate", Condition(">", 0.1), recover_limit=0.05, group_by=("function",), min_samples=20,
    window_s=60, every_s=60, delay_s=15, late_s=(120,), forget_s=3600,
)  # fmt: skip
NOW, LATE, LATELY = SLOT - 15, SLOT - 135, "lately"


class Recorded:
    """Measurements by the end of their window (or `LATELY` for the long look back); counts the questions."""

    def __init__(self, **by_function: dict[object, tuple[float, int]]) -> None:
        self._found = by_function
        self.asked: list[tuple[str, float]] = []

    def __call__(self, signal: str, start: datetime, end: datetime, group_by: Sequence[str]) -> list[Measurement]:
        """Answer as the store's `signals.measure` does."""
        assert tuple(group_by) == ("function",)
        self.asked.append((signal, (end - start).total_seconds()))
        key = LATELY if signal == "invocations" else end.timestamp()
        found = [(name, windows[key]) for name, windows in self._found.items() if key in windows]
        return [Measurement({"function": name}, value, samples) for name, (value, samples) in found]


def group(name: str) -> Labels:
    return labels_of({"function": name})


def look(rule: Rule, measure: Recorded, *awake: str) -> dict[str, Seen]:
    seen = evaluate(rule, SLOT, Cache(measure), [group(name) for name in awake])
    return {dict(labels)["function"]: found for labels, found in seen.items()}


def test_values_are_judged_against_the_limit_and_the_recovery_limit() -> None:
    seen = look(RULE, Recorded(bad={NOW: (0.2, 50)}, so_so={NOW: (0.07, 50)}, good={NOW: (0.05, 50)}))
    assert {name: found.look for name, found in seen.items()} == {
        "bad": Look.BREACH,
        "so_so": Look.BETWEEN,
        "good": Look.PASS,
    }
    assert seen["bad"].value == 0.2


def test_a_ratio_over_three_invocations_is_no_ratio() -> None:
    seen = look(RULE, Recorded(rare={NOW: (1.0, 3)}))
    assert seen["rare"].look is Look.PASS
    assert "3 samples" in seen["rare"].reason


def test_a_rule_for_low_traffic_leaves_busy_groups_alone() -> None:
    rule = replace(RULE, signal="errors", breach=Condition(">", 0), recover_limit=None, min_samples=0, max_samples=19)
    seen = look(rule, Recorded(rare={NOW: (1, 3)}, busy={NOW: (1, 900)}))
    assert (seen["rare"].look, seen["busy"].look) == (Look.BREACH, Look.PASS)


def test_a_breach_that_came_late_is_noticed() -> None:
    seen = look(RULE, Recorded(slow={NOW: (0.0, 50), LATE: (0.5, 50)}, gone={LATE: (0.5, 50)}))
    assert seen["slow"] == Seen(SLOT, Look.PASS, value=0.5, late=(2,))  # the value that is news
    assert seen["gone"].late == (2,)


def test_what_was_over_before_anybody_watched_is_no_news() -> None:
    late = Recorded(slow={NOW: (0.0, 50), LATE: (0.5, 50)})
    for begun, expected in ((SLOT, ()), (SLOT - 120, (2,))):
        assert evaluate(RULE, SLOT, Cache(late), [], begun)[group("slow")].late == expected


def test_no_data_by_policy() -> None:
    """What an awake group without data is taken for."""
    lately = Recorded(quiet={LATELY: (5, 5)})
    for policy, expected in ((NoData.ZERO, Look.PASS), (NoData.KEEP, Look.KEEP), (NoData.ALERT, Look.BREACH)):
        assert look(replace(RULE, no_data=policy), lately, "quiet")["quiet"].look is expected


def test_zero_can_itself_be_a_breach() -> None:
    rule = replace(RULE, signal="errors", breach=Condition("<", 1), recover_limit=None, min_samples=0)
    assert look(rule, Recorded(), "silent")["silent"].look is Look.BREACH


def test_silence_alerts_for_groups_seen_lately_even_if_nothing_is_remembered_of_them() -> None:
    seen = look(replace(RULE, no_data=NoData.ALERT), Recorded(dead={LATELY: (5, 5)}))
    assert seen["dead"].look is Look.BREACH
    assert seen["dead"].reason == "no data"


def test_a_group_that_vanished_is_gone() -> None:
    for policy in (NoData.KEEP, NoData.ALERT):
        seen = look(replace(RULE, no_data=policy), Recorded(), "removed")
        assert seen["removed"].look is Look.GONE
        assert seen["removed"].reason == "the group vanished"


def test_match_picks_groups() -> None:
    seen = look(replace(RULE, match={"function": "shop_*"}), Recorded(shop_pay={NOW: (1, 50)}, blog={NOW: (1, 50)}))
    assert list(seen) == ["shop_pay"]


def test_each_window_is_measured_once_a_tick() -> None:
    measure = Recorded(a={NOW: (0.2, 50)})
    cache = Cache(measure)
    evaluate(RULE, SLOT, cache, [])
    evaluate(replace(RULE, severity="critical", breach=Condition(">", 0.5)), SLOT, cache, [])
    assert measure.asked == [("error_rate", 60.0), ("error_rate", 60.0)]  # on time, and the late look
