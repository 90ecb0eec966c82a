"""OpenTelemetry's own instrumentations, by name: `otel:psycopg2` in FAASIGHT_HOOKS, when the user's code imports it."""

from __future__ import annotations

from faasight.complain import complaints
from faasight.hooks import WAITS_FOR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from faasight.agent import Agent
    from faasight.imports import Hook

PREFIX = "otel:"
GROUP = "opentelemetry_instrumentor"  # the entry points that every instrumentation package declares
# Names of entry points that are not those of the module whose import is waited for.
_MODULES = {
    "aiohttp-client": "aiohttp",
    "aiohttp-server": "aiohttp",
    "grpc_aio_client": "grpc",
    "grpc_aio_server": "grpc",
    "grpc_client": "grpc",
    "grpc_server": "grpc",
    "tortoiseorm": "tortoise",
}


def register(agent: Agent, names: list[str]) -> list[str]:
    """Wait for the named libraries; return the names left to our own hooks: a library is never seen twice."""
    wanted = [name[len(PREFIX) :] for name in names if name.startswith(PREFIX)]
    modules = {name: _MODULES.get(name, name) for name in wanted}
    for name in wanted:
        agent.watcher.after(modules[name], _installer(name))
    taken = {module.partition(".")[0] for module in modules.values()}
    ours = [
        name
        for name in names
        if not name.startswith(PREFIX) and WAITS_FOR.get(name, name).partition(".")[0] not in taken
    ]
    return ours if "opentelemetry" in ours else [*ours, "opentelemetry"]  # the SDK is to join, or nobody has its spans


def _installer(name: str) -> Hook:
    def install(_: ModuleType) -> None:
        from importlib.metadata import entry_points

        found = list(entry_points(group=GROUP, name=name))
        if found:
            found[0].load()().instrument()
        else:
            complaints.say(f"FAASIGHT_HOOKS: no OpenTelemetry instrumentation {name!r} is installed")

    return install
