"""What docs/alerts.md shows works, and says what is so."""

import re
from pathlib import Path

import pytest
from faasight_alerts import rulefile
from faasight_store.queries import signals

PAGE = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def first_column(heading: str) -> set[str]:
    """Return the names in the first column of the table that follows a text."""
    after = PAGE[PAGE.index(heading) :]
    table = re.search(r"^\|---.*\n((?:\|.*\n)+)", after, re.MULTILINE)
    assert table
    return {name for row in table[1].splitlines() for name in re.findall(r"`([^`]+)`", row.split("|")[1])}


@pytest.mark.parametrize("text", EXAMPLES)
def test_each_example_is_a_rule_file(text: str) -> None:
    rules = rulefile.parse(text, "docs/alerts.md", signals.SIGNALS)
    assert {rule.name for rule in rules} == {"checkout-errors", "slow", "nightly-report-missing"}


def test_every_key_is_explained() -> None:
    assert first_column("| key | default") == set(rulefile.KEYS)


def test_every_signal_is_listed() -> None:
    assert first_column("| signal | unit") == set(signals.SIGNALS)


def test_every_built_in_rule_is_listed() -> None:
    assert first_column("| rule | fires when") == {rule.name for rule in rulefile.default_rules(signals.SIGNALS)}


def test_the_examples_own_rules_can_be_loaded() -> None:
    shop = Path(__file__).parents[2] / "examples" / "shop" / "alerts.yaml"
    assert rulefile.load(shop, signals.SIGNALS)
