"""Functions in the emulator that carry the wrapper, as `faasight local start` gives it to them."""

from typing import Any

from faasight_cli.local import wrapper


def wrapped(endpoint: str) -> dict[str, Any]:
    """Return the emulator's settings: the wrapper where a layer has it, and the collector for it and the platform."""
    return {
        "collector": endpoint,
        "opt": {"faasight": wrapper()},
        "environment": {"FAASIGHT_ENDPOINT": endpoint, "AWS_LAMBDA_EXEC_WRAPPER": "/opt/faasight"},
    }
