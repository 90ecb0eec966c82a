"""Who sends: the resource attributes, from the environment of the platform we run on."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Literal

    from faasight.settings import Settings

_ARCHITECTURES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}
MIB = 1_048_576
_NO_LIMIT = 1 << 50  # what cgroups of version 1 write where there is no limit is larger


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
    settings: Settings,
    version: str,
    account: str = "",
    environ: Mapping[str, str] | None = None,
    *,
    function: str = "",
) -> dict[str, Any]:
    """Return the resource attributes of wire.md.

    `account` comes with the first invocation on AWS, in the function's ARN; `function` names one of several in an
    application of Azure: `faas.name` is "application/function" then, as the conventions have it.
    """
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
    if function:
        pairs["faas.name"] = f"{pairs['faas.name'] or name}/{function}"
    if account:
        pairs["cloud.account.id"] = account
    pairs.update(settings.resource_attributes)
    if settings.service_name:
        pairs["service.name"] = settings.service_name  # OTEL_SERVICE_NAME wins, as the specification has it
    return {key: value for key, value in pairs.items() if value != ""}


def memory_limit() -> int:
    """Return the function's memory limit in bytes where its environment tells, else 0."""
    environ = os.environ
    return _bytes(environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE") or environ.get("FUNCTION_MEMORY_MB") or "") or 0


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
            "faas.instance": instance(),
            "faas.max_memory": _bytes(environ.get("FUNCTION_MEMORY_MB", "")) or _limit_of_container(),
            "cloud.provider": "gcp",
            # Both generations of functions have their target's name, a service of Cloud Run has none.
            "cloud.platform": "gcp_cloud_functions" if "FUNCTION_TARGET" in environ else "gcp_cloud_run",
            "cloud.region": _first(environ, "FUNCTION_REGION", "GOOGLE_CLOUD_REGION"),
            "cloud.account.id": _first(environ, "GOOGLE_CLOUD_PROJECT", "GCP_PROJECT", "GCLOUD_PROJECT"),
        }
    if "FUNCTIONS_WORKER_RUNTIME" in environ:
        return {
            "faas.name": environ.get("WEBSITE_SITE_NAME", ""),
            "faas.instance": _first(environ, "WEBSITE_INSTANCE_ID", "WEBSITE_POD_NAME", "CONTAINER_NAME") or instance(),
            "faas.max_memory": _bytes(environ.get("WEBSITE_MEMORY_LIMIT_MB", "")),
            "cloud.provider": "azure",
            "cloud.platform": "azure.functions",
            "cloud.region": environ.get("REGION_NAME", ""),
            "cloud.account.id": environ.get("WEBSITE_OWNER_NAME", "").partition("+")[0],  # subscription+region-webspace
            "cloud.resource_id": _resource_id(environ),
        }
    return {}


def _first(environ: Mapping[str, str], *names: str) -> str:
    return next((environ[name] for name in names if environ.get(name)), "")


def _resource_id(environ: Mapping[str, str]) -> str:
    """Return what Azure's portal calls the application, "" if the environment does not tell all of it."""
    subscription = environ.get("WEBSITE_OWNER_NAME", "").partition("+")[0]
    group, site = environ.get("WEBSITE_RESOURCE_GROUP", ""), environ.get("WEBSITE_SITE_NAME", "")
    if not (subscription and group and site):
        return ""
    return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Web/sites/{site}"


_instance = ""


def instance() -> str:
    """Return a name for this sandbox where its host tells none but by a request: the same in its forked workers."""
    global _instance
    _instance = _instance or os.urandom(8).hex()
    return _instance


def _limit_of_container() -> int | str:
    """Return the memory limit in bytes, of cgroups version 2 or 1; "" if there is none."""
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - pathlib would be imported for this line alone
                limit = int(file.read(32))
        except (OSError, ValueError):  # no such file, or the word "max"
            continue
        if limit < _NO_LIMIT:
            return limit
    return ""


def _bytes(megabytes: str) -> int | Literal[""]:
    return int(megabytes) * MIB if megabytes.isascii() and megabytes.isdigit() and len(megabytes) < 10 else ""


def _architecture() -> str:
    machine = os.uname().machine if hasattr(os, "uname") else os.environ.get("PROCESSOR_ARCHITECTURE", "")
    return _ARCHITECTURES.get(machine, machine)


def account_of(arn: object) -> str:
    """Account id of `arn:aws:lambda:region:account:function:name`, "" if it is none."""
    parts = arn.split(":") if isinstance(arn, str) else []
    return parts[4] if len(parts) > 4 else ""
