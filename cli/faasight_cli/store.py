"""`faasight migrate`: brings the store's schema up to date."""

import os
from argparse import Namespace

from faasight_cli import logs, services, settings
from faasight_cli.console import Console


def migrate(chosen: Namespace) -> int:
    """Apply the migrations that are missing, and say which."""
    own = settings.load(os.environ, chosen.overrides)
    logs.configure(own.log_level, own.log_format)
    store = services.open_store(own)
    try:
        applied = store.migrate(chosen.cluster)
    finally:
        store.close()
    console = Console()
    for name in applied:
        console.say(f"applied {name}")
    console.say(f"{services.shown(own.store)} is up to date")
    return 0
