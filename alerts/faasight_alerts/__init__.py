"""Rules over the store, their state, and the messages they send."""

from faasight_alerts.rule import Rule
from faasight_alerts.rulefile import RuleError, default_rules, load
from faasight_alerts.service import Alerts, Settings

__all__ = ["Alerts", "Rule", "RuleError", "Settings", "default_rules", "load"]
