"""IAM policies as Lambda authorizers answer them, and what they say of invoking a method."""

import re
from typing import Any, Literal

Decision = Literal["allow", "deny", "none"]
_ACTION = "execute-api:Invoke"


def decide(policy: Any, arn: str) -> Decision:  # noqa: ANN401 -- any JSON value: it is the function's answer
    """Return what a policy document says of invoking `arn`: an explicit deny wins; `none` says nothing of it.

    Conditions are not looked at. Raises ValueError if it is no policy document.
    """
    if not isinstance(policy, dict):
        raise ValueError("the policy document is no object")
    decision: Decision = "none"
    for statement in _many(policy.get("Statement")):
        if not isinstance(statement, dict) or statement.get("Effect") not in ("Allow", "Deny"):
            raise ValueError("a statement has no Effect of Allow or Deny")
        if not _matches(statement.get("Action"), _ACTION, re.IGNORECASE) or not _matches(
            statement.get("Resource"), arn
        ):
            continue
        if statement["Effect"] == "Deny":
            return "deny"
        decision = "allow"
    return decision


def _matches(patterns: object, text: str, flags: int = 0) -> bool:
    return any(_pattern(str(one), flags).fullmatch(text) for one in _many(patterns))


def _pattern(glob: str, flags: int) -> re.Pattern[str]:
    parts = (".*" if one == "*" else "." if one == "?" else re.escape(one) for one in re.split(r"([*?])", glob))
    return re.compile("".join(parts), re.DOTALL | flags)


def _many(value: object) -> list[object]:
    return value if isinstance(value, list) else [] if value is None else [value]
