"""The alerts about the alerting itself: rules that cannot be evaluated, destinations that refuse."""

from collections.abc import Mapping

from faasight_alerts.rule import Condition, Rule

MOST_FAILURES = 3  # in a row, before people hear of it

RULE_FAILING = Rule(
    name="rule-evaluation-failing",
    severity="critical",
    signal="failed_evaluations",
    breach=Condition(">=", MOST_FAILURES),
    group_by=("rule",),
    every_s=1,
    late_s=(),
    keep_firing_s=0,
    summary="The rule {rule} cannot be evaluated: its alerts stay as they were. The service's log says why.",
    words=f"{MOST_FAILURES} failed evaluations in a row",
)

CHANNEL_FAILING = Rule(
    name="alert-channel-failing",
    severity="critical",
    signal="failed_sendings",
    breach=Condition(">=", MOST_FAILURES),
    group_by=("channel",),
    every_s=1,
    late_s=(),
    keep_firing_s=0,
    summary="The channel {channel} takes no messages; they are queued. The service's log says what it answers.",
    words=f"refused, or {MOST_FAILURES} failed sendings in a row",
)

OWN_RULES: Mapping[str, Rule] = {rule.id: rule for rule in (RULE_FAILING, CHANNEL_FAILING)}
