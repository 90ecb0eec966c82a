"""The variables and the command of a sandbox: what AWS's Python runtime sets, and nothing of this machine's."""

import platform
import secrets
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from faasight_emulator.errors import UnknownFunctionError
from faasight_emulator.model import Function, Place

# AWS's own interpreter comes first there; here it is the one that runs the emulator.
_PATH = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
RUNTIME_VERSION = f"python:{platform.python_version()}.local"


def log_stream(version: str, now: datetime | None = None) -> str:
    """Return a new log stream's name, which is also the id of a sandbox: 2026/11/21/[$LATEST]<32 hex digits>."""
    return f"{now or datetime.now(UTC):%Y/%m/%d}/[{version}]{secrets.token_hex(16)}"


def with_variables(functions: Iterable[Function], given: Mapping[str, Mapping[str, str]]) -> tuple[Function, ...]:
    """Return functions with variables that win over the template's: by name or logical id, under "Parameters" for all.

    Raises UnknownFunctionError.
    """
    functions = tuple(functions)
    names = {name for one in functions for name in (one.name, one.logical_id)}
    unknown = sorted(given.keys() - names - {"Parameters"})
    if unknown:
        known = ", ".join(one.logical_id for one in functions)
        raise UnknownFunctionError(f"Variables are given for '{unknown[0]}', which is no function; there are {known}.")

    def of(function: Function) -> Function:
        parts = [given.get(name, {}) for name in ("Parameters", function.name, function.logical_id)]
        return replace(function, environment={**function.environment, **parts[0], **parts[1], **parts[2]})

    return tuple(of(one) for one in functions) if given else functions


def sandbox_environment(
    function: Function,
    place: Place,
    extra: Mapping[str, str],
    *,
    instance: str,
    runtime_api: str,
    init_type: str,
    temporary: Path,
) -> dict[str, str]:
    """Return all variables of a sandbox.

    Args:
        function: its template data; its own variables win over `extra`.
        place: region, account and the endpoints of AWS's stand-ins.
        extra: variables for every function (where the collector is, for one).
        instance: the log stream's name.
        runtime_api: host:port of its Runtime API.
        init_type: on-demand or provisioned-concurrency.
        temporary: a folder of its own, for TMPDIR and HOME.

    """
    return {
        "PATH": _PATH,
        "LANG": "C.UTF-8",
        "TZ": ":UTC",
        "HOME": str(temporary),  # or boto3 would read the host's ~/.aws
        "TMPDIR": str(temporary),
        "PYTHONDONTWRITEBYTECODE": "1",  # /var/task is read-only on AWS
        # Dummies that moto accepts; the endpoints below are the only AWS that there is.
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_SESSION_TOKEN": "testing",
        "AWS_ENDPOINT_URL": place.aws_endpoint,
        "AWS_ENDPOINT_URL_LAMBDA": place.gateway,
        "AWS_ENDPOINT_URL_SFN": place.gateway,
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",  # StartSyncExecution would go to sync-127.0.0.1
        "AWS_EC2_METADATA_DISABLED": "true",
        **extra,
        **function.environment,
        **_python_path(function),
        **_logging(function),
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{RUNTIME}",
        "AWS_REGION": place.region,
        "AWS_DEFAULT_REGION": place.region,
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": function.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
        "AWS_LAMBDA_INITIALIZATION_TYPE": init_type,
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": instance,
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "LAMBDA_TASK_ROOT": str(function.code),
        "LAMBDA_RUNTIME_DIR": str(Path(sys.executable).parent),
        "_HANDLER": function.handler,
    }


def _python_path(function: Function) -> dict[str, str]:
    """Return PYTHONPATH with the packages of the function's layers, which are /opt/python on AWS."""
    folders = [str(layer / "python") for layer in function.layers]
    own = function.environment.get("PYTHONPATH")
    return {"PYTHONPATH": ":".join([own, *folders] if own else folders)} if folders else {}


def _logging(function: Function) -> dict[str, str]:
    given = {"AWS_LAMBDA_LOG_FORMAT": function.log_format, "AWS_LAMBDA_LOG_LEVEL": function.log_level}
    return {name: value for name, value in given.items() if value}


def sandbox_command(function: Function, environment: Mapping[str, str], opt: Mapping[str, Path]) -> list[str]:
    """Return the runtime's command line, behind the user's wrapper if AWS_LAMBDA_EXEC_WRAPPER names one.

    There is no /opt here: a wrapper in it is looked for in `opt` (by its path below /opt), then in the layers.
    """
    # `-m` puts the working folder, which is the code's, first on the path, as LAMBDA_TASK_ROOT is on AWS.
    runtime = [sys.executable, "-m", "awslambdaric", function.handler]
    wrapper = environment.get("AWS_LAMBDA_EXEC_WRAPPER")
    return [str(_wrapper(Path(wrapper), function.layers, opt)), *runtime] if wrapper else runtime


def _wrapper(given: Path, layers: tuple[Path, ...], opt: Mapping[str, Path]) -> Path:
    if given.parts[:2] != ("/", "opt") or given.exists():
        return given
    inside = Path(*given.parts[2:])
    found = [opt[str(inside)]] if str(inside) in opt else [folder / inside for folder in layers]
    return next((path for path in found if path.is_file()), given)
