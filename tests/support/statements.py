"""The statements that queries send to a store."""

from typing import Any

import pytest
from faasight_store import Store


def listen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which each statement is added that asks any store from now on."""
    asked: list[str] = []
    for name in ("query", "columns"):
        plain = getattr(Store, name)

        def spy(self: Store, sql: str, *rest: Any, plain: Any = plain, **options: Any) -> Any:
            asked.append(sql)
            return plain(self, sql, *rest, **options)

        monkeypatch.setattr(Store, name, spy)
    return asked
