"""A rule: which signal, over which window, against which limit, for how long."""

import hashlib
import json
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from faasight_alerts import units

SEVERITIES = ("critical", "warning", "info")  # the most severe first
GROUPS = ("function", "environment", "version", "region")
OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


class NoData(StrEnum):
    """What a group without data, or with fewer samples than `min_samples`, is taken for."""

    ZERO = "zero"  # the value 0: right for counts and rates of failures
    KEEP = "keep"  # nothing is known: the state stays as it is
    ALERT = "alert"  # a breach, for groups that were seen lately


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison with a limit, in the signal's own unit."""

    operator: str
    limit: float

    def holds(self, value: float) -> bool:
        """Tell whether the value is on the wrong side of the limit."""
        return OPERATORS[self.operator](value, self.limit)


@dataclass(frozen=True, slots=True)
class Rule:
    """One level of one rule; times in whole seconds. A rule file's rule with two levels makes two of these."""

    name: str
    severity: str
    signal: str
    breach: Condition
    recover_limit: float | None = None  # hysteresis: recovered only on the good side of this; None: of the limit itself
    group_by: tuple[str, ...] = ("function", "environment")
    match: Mapping[str, str] = field(default_factory=dict)  # label -> glob
    window_s: int = 300
    every_s: int = 60
    delay_s: int = 15
    late_s: tuple[int, ...] = (120, 960)  # each window is looked at again so much later; AWS ends all within 15 min
    needed: int = 1  # breaches ...
    of: int = 1  # ... among this many slots
    keep_firing_s: int = 300
    repeat_s: int = 0  # tell again while it fires; 0: never
    min_samples: int = 0
    max_samples: int | None = None
    no_data: NoData = NoData.ZERO
    forget_s: int = 6 * 3600  # a group unseen for so long has vanished
    summary: str = ""
    words: str = ""  # the condition in words, where those made of signal and limit would not do

    @property
    def id(self) -> str:
        """The name that state is kept under: it survives a change of limits."""
        return f"{self.name}/{self.severity}"

    @property
    def condition(self) -> str:
        """The condition in words, such as "error rate > 10 % over 5 min"."""
        if self.words:
            return self.words
        words = self.signal.removesuffix("_ms").removesuffix("_usd").replace("_", " ")
        limit = units.shown(self.breach.limit, self.signal)
        return f"{words} {self.breach.operator} {limit} over {units.span(self.window_s)}"

    @property
    def late_slots(self) -> tuple[int, ...]:
        """How many slots after the first look at a window the others come."""
        return tuple(-(-seconds // self.every_s) for seconds in self.late_s)

    def recovered(self, value: float) -> bool:
        """Tell whether the value is clear of the limit, and of the recovery limit where there is one."""
        if self.recover_limit is None:
            return not self.breach.holds(value)
        return not OPERATORS[self.breach.operator](value, self.recover_limit)

    def covers(self, labels: Mapping[str, str]) -> bool:
        """Tell whether the rule looks at this group."""
        return all(fnmatchcase(labels.get(label, ""), glob) for label, glob in self.match.items())

    def instance(self, labels: Mapping[str, str]) -> str:
        """Return the stable id of this rule for one group of labels."""
        return _instance(self.id, labels)

    def graver(self, labels: Mapping[str, str]) -> list[str]:
        """Return the ids that the more severe levels of this rule, where it has them, have for the same group."""
        severities = SEVERITIES[: SEVERITIES.index(self.severity)]
        return [_instance(f"{self.name}/{severity}", labels) for severity in severities]

    def describe(self, labels: Mapping[str, str], value: float) -> str:
        """Return the summary for people, with `{value}` and the labels filled in."""
        text = self.summary or f"{{{self.group_by[0]}}}: {self.condition}, now {{value}}"
        for label in self.group_by:
            text = text.replace(f"{{{label}}}", labels.get(label, "") or "(none)")
        return text.replace("{value}", units.shown(value, self.signal))


def _instance(rule_id: str, labels: Mapping[str, str]) -> str:
    key = json.dumps([rule_id, sorted(labels.items())])
    return hashlib.sha256(key.encode()).hexdigest()[:20]
