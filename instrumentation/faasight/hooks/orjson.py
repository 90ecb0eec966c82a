"""orjson, imported by the user's code: our log lines are encoded by it too. To import it for them alone costs 10 ms."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from faasight.agent import Agent


def install(module: ModuleType, agent: Agent) -> None:
    """Use it from now on."""
    if agent.settings.logs != "off" or agent.settings.print != "off":
        from faasight.logs import use_orjson

        use_orjson(module)
