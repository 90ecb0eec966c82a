"""Who sends: the resource attributes, from the environment of the platform we run on."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from faasight.settings import Settings

_ARCHITECTURES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}
MIB = 1_048_576


def service_name(settings: Settings, environ: Mapping[str, str] | None = None) -> str:
    """Return `service.name`: what the user says, else the function's name."""
    environ = os.environ if environ is None else environ
    return (
        settings.service_name
        or settings.resource_attributes.get("service.name", "")
        or environ.get("AWS_LAMBDA_FUNCTION_NAME", "")
        or environ.get("K_SERVICE", "")
        or environ.get("WEBSITE_SITE_NAME", "")
        or "unknown_service:python"
    )


def attributes(
    settings: Settings, version: str, account: str = "", environ: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the resource attributes of wire.md; `account` comes with the first invocation, in the function's ARN."""
    environ = os.environ if environ is None else environ
    name = service_name(settings, environ)
    pairs: dict[str, Any] = {
        "service.name": name,
        "faas.name": name,
        **_platform(environ),
        "deployment.environment.name": settings.environment,
        "process.runtime.name": sys.implementation.name,
        "process.runtime.version": "{}.{}.{}".format(*sys.version_info[:3]),
        "host.arch": _architecture(),
        "telemetry.sdk.name": "faasight",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": version,
    }
    if account:
        pairs["cloud.account.id"] = account
    pairs.update(settings.resource_attributes)
    if settings.service_name:
        pairs["service.name"] = settings.service_name  # OTEL_SERVICE_NAME wins, as the specification has it
    return {key: value for key, value in pairs.items() if value != ""}


def _platform(environ: Mapping[str, str]) -> dict[str, Any]:
    if "AWS_LAMBDA_FUNCTION_NAME" in environ:
        return {
            "faas.name": environ["AWS_LAMBDA_FUNCTION_NAME"],
            "faas.version": environ.get("AWS_LAMBDA_FUNCTION_VERSION", ""),
            "faas.instance": environ.get("AWS_LAMBDA_LOG_STREAM_NAME", ""),
            "faas.max_memory": _bytes(environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")),
            "cloud.provider": "aws",
            "cloud.platform": "aws_lambda",
            "cloud.region": environ.get("AWS_REGION", ""),
        }
    if "K_SERVICE" in environ:
        return {
            "faas.name": environ["K_SERVICE"],
            "faas.version": environ.get("K_REVISION", ""),
            "cloud.provider": "gcp",
            "cloud.platform": "gcp_cloud_functions",
        }
    if "FUNCTIONS_WORKER_RUNTIME" in environ:
        return {
            "faas.name": environ.get("WEBSITE_SITE_NAME", ""),
            "faas.instance": environ.get("WEBSITE_INSTANCE_ID", ""),
            "cloud.provider": "azure",
            "cloud.platform": "azure.functions",
            "cloud.region": environ.get("REGION_NAME", ""),
        }
    return {}


def _bytes(megabytes: str) -> int | str:
    return int(megabytes) * MIB if megabytes.isdigit() else ""


def _architecture() -> str:
    machine = os.uname().machine if hasattr(os, "uname") else os.environ.get("PROCESSOR_ARCHITECTURE", "")
    return _ARCHITECTURES.get(machine, machine)


def account_of(arn: object) -> str:
    """Account id of `arn:aws:lambda:region:account:function:name`, "" if it is none."""
    parts = arn.split(":") if isinstance(arn, str) else []
    return parts[4] if len(parts) > 4 else ""
