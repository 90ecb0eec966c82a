"""What an invocation costs: AWS Lambda's prices, from one small data file."""

import json
from functools import cache
from importlib.resources import files


@cache
def parameters() -> dict[str, float]:
    """Return the prices in USD as query parameters."""
    data = json.loads((files("faasight_store") / "prices.json").read_text("utf-8"))
    return {
        "usd_request": data["request_usd"],
        "usd_gb_second_x86": data["gb_second_usd"]["x86_64"],
        "usd_gb_second_arm": data["gb_second_usd"]["arm64"],
    }
