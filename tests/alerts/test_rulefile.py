"""Rule files: what they mean, and that each mistake gets one clear sentence."""

from pathlib import Path

import pytest
from faasight_alerts.rule import Condition, NoData
from faasight_alerts.rulefile import RuleError, default_rules, load, parse

SIGNALS = ("invocations", "errors", "error_rate", "duration_p90_ms", "cost_usd", "memory_used_ratio")
BASE = "rules: [{{name: a, signal: {signal}, levels: {{warning: '{limit}'}}{more}}}]"


TWO_ALIKE = """
rules:
  - {name: a, signal: errors, levels: {info: "> 1"}}
  - {name: a, signal: errors, levels: {info: "> 2"}}
"""


def one(signal: str = "errors", limit: str = "> 1", more: str = "") -> str:
    return BASE.format(signal=signal, limit=limit, more=f", {more}" if more else "")


def test_every_key_is_read() -> None:
    text = """
    rules:
      - name: slow-checkout
        signal: duration_p90_ms
        levels: {warning: "> 1.5 s", critical: "> 4 s"}
        recover: 1 s
        group_by: [function, version]
        match: {function: "checkout*"}
        window: 2m
        every: 30s
        delay: 20s
        late: [16m, 5m]
        breaches: 3 of 5
        keep_firing_for: 10m
        repeat: 1d
        min_samples: 100
        max_samples: 1000000
        no_data: keep
        forget_after: 12h
        summary: "{function}@{version} takes {value}"
    """
    critical, warning = parse(text, "f.yaml", SIGNALS)
    assert (critical.severity, warning.severity) == ("critical", "warning")
    assert critical.id == "slow-checkout/critical"
    assert (critical.breach, critical.recover_limit) == (Condition(">", 4000.0), 1000.0)
    assert (warning.window_s, warning.every_s, warning.delay_s) == (120, 30, 20)
    assert (warning.late_s, warning.late_slots) == ((300, 960), (10, 32))
    assert (warning.needed, warning.of, warning.keep_firing_s, warning.repeat_s) == (3, 5, 600, 86400)
    assert (warning.min_samples, warning.max_samples) == (100, 1_000_000)
    assert (warning.no_data, warning.forget_s) == (NoData.KEEP, 43200)
    assert warning.condition == "duration p90 > 1.5 s over 2 min"
    assert warning.describe({"function": "checkout", "version": "7"}, 1734.0) == "checkout@7 takes 1.73 s"
    assert warning.covers({"function": "checkout-eu"})
    assert not warning.covers({"function": "payment"})


def test_for_means_every_slot_from_the_first_breach_on() -> None:
    """`for: 5m` a minute apart is six slots: the first, and five minutes of others."""
    (rule,) = parse(one(more="for: 5m, every: 60s"), "f.yaml", SIGNALS)
    assert (rule.needed, rule.of) == (6, 6)


def test_a_limit_may_have_the_units_of_its_signal() -> None:
    cases = {("error_rate", "> 2.5 %"): 0.025, ("duration_p90_ms", ">= 3 s"): 3000.0, ("cost_usd", "> 5 usd"): 5.0}
    for (signal, limit), worth in cases.items():
        (rule,) = parse(one(signal, limit), "f.yaml", SIGNALS)
        assert rule.breach.limit == pytest.approx(worth)


def test_a_paused_rule_is_checked_and_left_out() -> None:
    assert parse(one(more="enabled: false"), "f.yaml", SIGNALS) == ()
    with pytest.raises(RuleError, match="windw"):
        parse(one(more="enabled: false, windw: 5m"), "f.yaml", SIGNALS)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a: [", ["line 1, column"]),
        ("- a", ["one key `rules:`"]),
        ("rules: []\nrule: []", ["one key `rules:`"]),
        ("rules: [5]", ["rule number 1", "must be a mapping"]),
        ("rules: [{signal: errors}]", ["rule number 1", "name", "lower-case"]),
        ("rules: [{name: Big, signal: errors}]", ["name: 'Big'"]),
        ("rules: [{name: a, name: b}]", ["line 1, column 19", "twice"]),
        (one("latency"), ["rule 'a'", "signal: 'latency'", "error_rate"]),
        (one(limit="1"), ["levels", "'1'", ">="]),
        (one(limit="> 1 %"), ["levels", "errors", "no unit"]),
        (one("error_rate", "> 5"), ["levels", "> 10 %"]),
        (one("duration_p90_ms", "> 5 h"), ["levels", "ms, s, m"]),
        ("rules: [{name: a, signal: errors, levels: {fatal: '> 1'}}]", ["levels", "critical, warning, info"]),
        ("rules: [{name: a, signal: errors}]", ["levels", "None"]),
        (one(more="window: 5x"), ["rule 'a': window: '5x'", "30s, 5m, 2h or 1d"]),
        (one(more="window: 0s"), ["window", "longer than 0"]),
        (one(more="windw: 5m"), ["windw", "known ones", "window"]),
        (one(more="for: 5m, breaches: 3 of 5"), ["breaches", "`for`"]),
        (one(more="breaches: 6 of 5"), ["breaches", "'3 of 5'"]),
        (one(more="for: 30d, every: 1s"), ["for", "1000 slots"]),
        (one(more="group_by: [tenant]"), ["group_by", "function, environment, version, region"]),
        (one(more="match: {tenant: a}"), ["match", "function"]),
        (one(more="min_samples: -1"), ["min_samples: -1", "whole number"]),
        (one(more="no_data: ok"), ["no_data: 'ok'", "zero, keep, alert"]),
        (one(more="enabled: maybe"), ["enabled: 'maybe'", "true or false"]),
        (TWO_ALIKE, ["'a'", "same name"]),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place_and_what_is_allowed(text: str, parts: list[str]) -> None:
    with pytest.raises(RuleError) as caught:
        parse(text, "team.yaml", SIGNALS)
    message = str(caught.value)
    assert message.startswith("team.yaml: ")
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=r"none\.yaml: the rule file cannot be read"):
        load(tmp_path / "none.yaml", SIGNALS)


def test_the_built_in_rules_only_use_signals_that_the_store_measures() -> None:
    from faasight_store.queries import signals

    rules = default_rules(tuple(signals.SIGNALS))
    names = {rule.name for rule in rules}
    assert {"errors", "throttles", "timeouts", "out-of-memory", "memory", "cold-starts"} <= names
    assert {rule.severity for rule in rules if rule.name == "errors"} == {"warning", "critical"}
