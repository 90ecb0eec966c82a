"""Reads rule files: YAML in, frozen rules out, and one clear sentence for what is wrong with a file."""

import re
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from faasight_alerts import units
from faasight_alerts.rule import GROUPS, OPERATORS, SEVERITIES, Condition, NoData, Rule

_BREACHES = re.compile(r"(\d+)\s+of\s+(\d+)")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_LIMIT = re.compile(r"(>=|<=|>|<)\s*(\S.*)")
_MOST_SLOTS = 1000  # a longer memory than this is a slip of the pen: 1 week every second


class RuleError(ValueError):
    """A rule file cannot be used; the text names the file, the rule, the key, the value and what is allowed."""


class _Loader(yaml.SafeLoader):
    """YAML in which a key given twice is an error, not a silent choice."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key, _ in node.value:
        name = str(key.value)
        if name in seen:
            raise yaml.MarkedYAMLError(problem=f"the key {name!r} stands here twice", problem_mark=key.start_mark)
        seen.add(name)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def default_rules(signals: Sequence[str]) -> tuple[Rule, ...]:
    """Return the rules that come with FaaSight."""
    text = resources.files("faasight_alerts").joinpath("default_rules.yaml").read_text(encoding="utf-8")
    return parse(text, "default_rules.yaml", signals)


def load(path: Path, signals: Sequence[str]) -> tuple[Rule, ...]:
    """Read one rule file. Raises RuleError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RuleError(f"{path}: the rule file cannot be read: {error}. Give an existing YAML file.") from error
    return parse(text, str(path), signals)


def parse(text: str, file: str, signals: Sequence[str]) -> tuple[Rule, ...]:
    """Return the rules of a file's text; `signals` are the names that the store can measure. Raises RuleError."""
    try:
        # A SafeLoader underneath: it builds plain data only.
        content = yaml.load(text, Loader=_Loader)  # noqa: S506 - see above
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
        raise RuleError(f"{file}: {where}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise RuleError(f"{file}: no YAML: {error}") from error
    entries = content.get("rules") if isinstance(content, dict) else None
    if not isinstance(entries, list) or set(content) != {"rules"}:
        raise RuleError(f"{file}: the file must be one key `rules:` with a list of rules")
    rules: list[Rule] = []
    for number, entry in enumerate(entries, 1):
        rules += _Entry(file, number, entry, signals).rules()
    _unique(rules, file)
    return tuple(rules)


def _unique(rules: Sequence[Rule], file: str) -> None:
    """Refuse two rules that would share their state."""
    seen: set[str] = set()
    for rule in rules:
        if rule.id in seen:
            raise RuleError(f"{file}: rule {rule.name!r}: another rule has the same name and severity; rename one")
        seen.add(rule.id)


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("is no text")
    return str(value)


def _seconds(value: object) -> int:
    return units.duration(_text(value))


def _positive(value: object) -> int:
    seconds = _seconds(value)
    if not seconds:
        raise ValueError(f"must be longer than 0; {units.DURATION_HELP}")
    return seconds


def _lates(value: object) -> tuple[int, ...]:
    """Read one duration, a list of them, or 0 for no second look."""
    seconds = [_seconds(item) for item in (value if isinstance(value, list) else [value])]
    return tuple(sorted({item for item in seconds if item}))


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("is no whole number from 0 up")
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError("is no name; use lower-case letters, digits and hyphens")
    return value


def _group_by(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or any(label not in GROUPS for label in value):
        raise ValueError(f"must be a list of some of: {', '.join(GROUPS)}")
    return tuple(dict.fromkeys(value))


def _match(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or any(label not in GROUPS for label in value):
        raise ValueError(f"must map some of {', '.join(GROUPS)} to a name with * and ?")
    return {label: _text(glob) for label, glob in value.items()}


def _no_data(value: object) -> NoData:
    for choice in NoData:
        if value == choice:
            return choice
    raise ValueError(f"is unknown; choose one of: {', '.join(NoData)}")


# Each key of a rule: the field of Rule that it fills, and how its value is read.
_PLAIN: Mapping[str, tuple[str, Callable[[object], Any]]] = {
    "group_by": ("group_by", _group_by),
    "match": ("match", _match),
    "window": ("window_s", _positive),
    "every": ("every_s", _positive),
    "delay": ("delay_s", _seconds),
    "late": ("late_s", _lates),
    "keep_firing_for": ("keep_firing_s", _seconds),
    "repeat": ("repeat_s", _seconds),
    "min_samples": ("min_samples", _count),
    "max_samples": ("max_samples", _count),
    "no_data": ("no_data", _no_data),
    "forget_after": ("forget_s", _positive),
    "summary": ("summary", _text),
}
KEYS = ("name", "signal", "levels", "for", "breaches", "recover", "enabled", *_PLAIN)


class _Entry:
    """One entry of a rule file, on its way to rules."""

    def __init__(self, file: str, number: int, entry: object, signals: Sequence[str]) -> None:
        self._file = file
        self._label = f"number {number}"
        if not isinstance(entry, dict):
            raise RuleError(f"{file}: rule {self._label}: must be a mapping with keys such as {', '.join(KEYS[:3])}")
        self._entry = entry
        self._name = self._read("name", _name)
        self._label = repr(self._name)
        self._signals = signals

    def rules(self) -> list[Rule]:
        """Return one rule for each level; none if the rule is paused by `enabled: false`."""
        unknown = [str(key) for key in self._entry if key not in KEYS]
        if unknown:
            raise self._fault(unknown[0], f"is an unknown key; known ones: {', '.join(KEYS)}")
        signal = self._read("signal", self._signal)
        fields = {field: self._read(key, read) for key, (field, read) in _PLAIN.items() if key in self._entry}
        fields.setdefault("every_s", min(60, fields.get("window_s", 300)))
        needed, of = self._held(fields["every_s"])
        if "recover" in self._entry:
            fields["recover_limit"] = self._read("recover", lambda value: units.quantity(_text(value), signal))
        levels = self._read("levels", lambda value: self._levels(value, signal))
        made = [
            Rule(self._name, severity, signal, breach, needed=needed, of=of, **fields)
            for severity, breach in levels.items()
        ]
        return made if self._read("enabled", self._enabled) else []

    def _read(self, key: str, read: Callable[[object], Any]) -> Any:  # noqa: ANN401 - what comes is what `read` makes
        try:
            return read(self._entry.get(key))
        except ValueError as error:
            raise self._fault(key, f"{self._entry.get(key)!r} {error}") from error

    def _fault(self, key: str, text: str) -> RuleError:
        return RuleError(f"{self._file}: rule {self._label}: {key}: {text}")

    def _signal(self, value: object) -> str:
        if value not in self._signals:
            raise ValueError(f"is no signal; choose one of: {', '.join(sorted(self._signals))}")
        return str(value)

    @staticmethod
    def _enabled(value: object) -> bool:
        if value not in (None, True, False):
            raise ValueError("must be true or false")
        return value is not False

    @staticmethod
    def _levels(value: object, signal: str) -> dict[str, Condition]:
        if not isinstance(value, dict) or not value or any(severity not in SEVERITIES for severity in value):
            raise ValueError(f"must map some of {', '.join(SEVERITIES)} to a limit such as '> 10 %'")
        return {severity: _condition(value[severity], signal) for severity in SEVERITIES if severity in value}

    def _held(self, every_s: int) -> tuple[int, int]:
        """Return M and N: `for: 5m` is all the slots from a first breach to one five minutes later."""
        if "for" in self._entry and "breaches" in self._entry:
            raise self._fault("breaches", "stands beside `for`; keep one of the two")
        if "breaches" in self._entry:
            needed, of = self._read("breaches", _m_of_n)
            return needed, of
        held = self._read("for", _seconds) if "for" in self._entry else 0
        slots = -(-held // every_s) + 1
        if slots > _MOST_SLOTS:
            raise self._fault(
                "for", f"{self._entry['for']!r} is over {_MOST_SLOTS} slots; raise `every` or lower `for`"
            )
        return slots, slots


def _m_of_n(value: object) -> tuple[int, int]:
    match = _BREACHES.fullmatch(_text(value).strip())
    if not match or not 1 <= int(match[1]) <= int(match[2]) <= _MOST_SLOTS:
        raise ValueError("must read like '3 of 5'")
    return int(match[1]), int(match[2])


def _condition(value: object, signal: str) -> Condition:
    match = _LIMIT.fullmatch(_text(value).strip())
    if not match:
        raise ValueError(f"holds {value!r}, which is no condition; write one of {', '.join(OPERATORS)} and a limit")
    limit = units.quantity(match[2], signal)
    if units.is_ratio(signal) and not 0 <= limit <= 1:
        raise ValueError(f"holds {value!r}, which is outside 0 to 100 %; {signal} is a share, so write '> 10 %'")
    return Condition(match[1], limit)
