"""structlog, imported by the user's code: set up for our JSON lines, unless the user sets it up."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from faasight.agent import Agent


def install(module: ModuleType, agent: Agent) -> None:
    """Configure it; a later `structlog.configure` of the user's replaces this."""
    from faasight.logs import configure

    configure(module, agent)
