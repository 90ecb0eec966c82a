"""What an emulator is told when it is made."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from faasight_emulator.asynchronous import RETRY_DELAYS


@dataclass(frozen=True, slots=True)
class Settings:
    """What an emulator is told.

    Attributes:
        template: the SAM template.
        gateway_port: port of the HTTP gateway on 127.0.0.1; 0 takes a free one.
        collector: where the platform events go.
        environment: variables for every function; the template's own win.
        variables: more of them by function (name or logical id), which win over the template's; "Parameters": for all.
        parameters: values for the template's Parameters.
        opt: files that a layer would put under /opt, by their path there: {"faasight": Path(".../faasight-exec")}.
        aws_endpoint: an AWS stand-in that runs already; None starts moto_server.
        region: the region that functions see.
        account_concurrency: invocations that may run at once in all (AWS: 1,000; here each one is a process).
        idle_limit: seconds until an idle sandbox is ended.
        init_limit: seconds that an init may take, not counting those in which it waits for a CPU.
        parallel_inits: processes that may start at the same time; one a CPU, so that they do not slow each other.
        jwks: a file of keys for the JWT authorizers; None asks their issuers.
        reload: whether functions whose code changes get new sandboxes.
        retry_delays: seconds before the second and the third try of an asynchronous invocation.

    """

    template: Path
    gateway_port: int = 3000
    collector: str = "http://127.0.0.1:4318"
    environment: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    opt: Mapping[str, Path] = field(default_factory=dict)
    aws_endpoint: str | None = None
    region: str = "us-east-1"
    account_concurrency: int = 50
    idle_limit: float = 300.0
    init_limit: float = 10.0
    parallel_inits: int = field(default_factory=lambda: os.cpu_count() or 1)
    jwks: Path | None = None
    reload: bool = False
    retry_delays: tuple[float, ...] = RETRY_DELAYS
