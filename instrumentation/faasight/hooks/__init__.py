"""Libraries that are instrumented when, and only when, the user's code imports them: one module here for each."""

from __future__ import annotations

from faasight.complain import complaints

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from faasight.agent import Agent
    from faasight.imports import Hook

# name in FAASIGHT_HOOKS -> the module whose import is waited for. `requests` needs none: it calls through urllib3.
WAITS_FOR = {
    "botocore": "botocore.client",
    "urllib3": "urllib3.connectionpool",
    "httpx": "httpx",
    "aiohttp": "aiohttp.client",
    "psycopg": "psycopg",
    "pymysql": "pymysql.cursors",
    "sqlite3": "sqlite3",
    "redis": "redis",
    "pymongo": "pymongo.monitoring",
    "futures": "concurrent.futures.thread",
    "structlog": "structlog",
    "orjson": "orjson",
    "opentelemetry": "opentelemetry.trace",
}


def register(agent: Agent) -> None:
    """Wait for the libraries that the settings name."""
    names = [name for word in agent.settings.hooks for name in (WAITS_FOR if word == "default" else (word,))]
    if any(name.startswith("otel:") for name in names):
        from faasight.hooks import official

        names = official.register(agent, names)
    for name in names:
        module = WAITS_FOR.get(name)
        if module is None:
            complaints.say(f"FAASIGHT_HOOKS: {name!r} is not one of default, {', '.join(WAITS_FOR)}, otel:NAME")
        else:
            agent.watcher.after(module, _installer(name, agent))


def _installer(name: str, agent: Agent) -> Hook:
    def install(module: ModuleType) -> None:
        from importlib import import_module

        import_module(f"faasight.hooks.{name}").install(module, agent)

    return install
