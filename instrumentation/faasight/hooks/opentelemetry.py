"""OpenTelemetry's API, imported by the user's code: the SDK joins when the function is loaded and set up."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from faasight.agent import Agent


def install(_: ModuleType, agent: Agent) -> None:
    """Note that it is wanted; joining now would take the place of a provider that the user sets two lines later."""

    def join() -> None:
        from faasight import otel

        otel.join(agent)

    agent.when_loaded.append(join)
