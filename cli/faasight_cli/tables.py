"""`faasight settings` and `faasight version`: what is known without starting anything."""

import platform
from argparse import Namespace
from importlib import metadata

from faasight_cli import settings
from faasight_cli.console import Console

_STANDS_ON = (
    "faasight-platform",
    "faasight",
    "chdb",
    "clickhouse-connect",
    "dash",
    "plotly",
    "opentelemetry-sdk",
    "awslambdaric",
    "moto",
)


def settings_table(_chosen: Namespace) -> int:
    """Print each setting in a paragraph of its own."""
    console = Console()
    for row in settings.TABLE:
        console.say(f"{row.env}  (default: {row.default or 'empty'})")
        console.say(f"    {row.meaning}")
        console.say(f"    {row.kind.name}: {row.kind.allowed}")
    return 0


def version(_chosen: Namespace) -> int:
    """Print versions, ours first."""
    console = Console()
    for name in _STANDS_ON:
        console.say(f"{name:<20} {_version(name)}")
    console.say(f"{'python':<20} {platform.python_version()} on {platform.system()} {platform.machine()}")
    return 0


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
