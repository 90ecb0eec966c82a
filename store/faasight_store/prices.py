"""What an invocation costs: list prices of AWS, Google Cloud and Azure, from one data file (prices.json)."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

PROVISIONED = "provisioned-concurrency"
MANAGED = "lambda-managed-instances"


@cache
def table() -> Mapping[str, Any]:
    """Return the data file: a price table for each provider, in USD, with source and date."""
    data: Mapping[str, Any] = json.loads((files("faasight_store") / "prices.json").read_text("utf-8"))
    return data


def gb_second(architecture: str, init_type: str = "") -> float:
    """Return what AWS takes for a GB-second, first tier; `architecture` is arm64 or anything else."""
    aws = table()["aws"]
    prices = aws["provisioned"]["gb_second"] if init_type == PROVISIONED else aws["gb_second"]
    return float(prices["arm64" if architecture == "arm64" else "x86_64"])


@cache
def sql() -> str:
    """Return SQL for the USD that an invocation cost, 0 where its memory is not known.

    It reads the columns provider, architecture, init_type, memory_mb, memory_used_mb, duration_ms, init_ms, billed_ms.
    A provider that nobody named is taken for AWS: platform events come from there.
    """
    return f"multiIf(provider = 'gcp', {_gcp()}, provider = 'azure', {_azure()}, provider IN ('aws', ''), {_aws()}, 0)"


@cache
def gb_seconds(memory_mb: str = "memory_mb") -> str:
    """Return SQL for the GB-seconds of an invocation, of the memory and the time that its platform bills.

    It reads the columns that `sql` reads; `memory_mb` names that one where an alias would stand before it.
    """
    given = f"ifNull({memory_mb}, 0) / 1024"
    return (
        f"multiIf(provider = 'gcp', {_gcp_seconds()} * {given}, provider = 'azure', {_azure_seconds()} * {_azure_gb()},"
        f" {_AWS_SECONDS} * {given})"
    )


# Without the platform's word: what ran, with its init, in whole ms.
_AWS_SECONDS = "ifNull(coalesce(billed_ms, ceil(duration_ms + ifNull(init_ms, 0))), 0) / 1000"


def _aws() -> str:
    request = table()["aws"]["request"]
    provisioned, on_demand = _by_architecture(PROVISIONED), _by_architecture("")
    price = f"multiIf(init_type = '{MANAGED}', 0, init_type = '{PROVISIONED}', {provisioned}, {on_demand})"
    return f"if(memory_mb IS NULL, 0, {request:.10f} + {_AWS_SECONDS} * ifNull(memory_mb, 0) / 1024 * {price})"


def _by_architecture(init_type: str) -> str:
    arm, x86 = gb_second("arm64", init_type), gb_second("x86_64", init_type)
    return f"if(architecture = 'arm64', {arm:.10f}, {x86:.10f})"


def _gcp_seconds() -> str:
    gcp = table()["gcp"]
    return f"ceil(ifNull(duration_ms, 0) / {gcp['round_ms']}) * {gcp['round_ms']} / 1000"


def _gcp() -> str:
    gcp = table()["gcp"]
    sizes = ", ".join(f"({size}, {ghz})" for size, ghz, _ in gcp["cpu"])
    # Above the largest size arrayFirst finds nothing: 0 GHz, so the last one stands in.
    ghz = f"arrayFirst(size -> size.1 >= least(ifNull(memory_mb, 0), {gcp['cpu'][-1][0]}), [{sizes}]).2"
    per_second = f"(ifNull(memory_mb, 0) / 1024 * {gcp['gb_second']:.10f} + {ghz} * {gcp['ghz_second']:.10f})"
    return f"if(memory_mb IS NULL, 0, {gcp['request']:.10f} + {_gcp_seconds()} * {per_second})"


def _azure_seconds() -> str:
    return f"greatest(ceil(ifNull(duration_ms, 0)), {table()['azure']['least_ms']}) / 1000"


def _azure_gb() -> str:
    step, most = table()["azure"]["round_mb"], table()["azure"]["most_mb"]
    return f"least(greatest(ceil(ifNull(memory_used_mb, 0) / {step}) * {step}, {step}), {most}) / 1024"


def _azure() -> str:
    azure = table()["azure"]
    return f"{azure['request']:.10f} + {_azure_seconds()} * {_azure_gb()} * {azure['gb_second']:.10f}"
