"""`faasight up`, and its parts alone: `collector`, `dashboards`, `alerts`."""

import os
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog

from faasight_cli import logs, own_telemetry, ports, services, settings
from faasight_cli.console import Console, Steps, banner
from faasight_cli.platform import STOP_S, Platform
from faasight_cli.ports import Wanted
from faasight_cli.settings import Settings
from faasight_cli.signals import StopSignal

log = structlog.get_logger("faasight")


def up(chosen: Namespace) -> int:
    """Run everything until it is asked to stop."""
    return _serve(chosen, services.PARTS)


def part(chosen: Namespace) -> int:
    """Run the one part that the command names."""
    own = settings.load(os.environ, chosen.overrides)
    if chosen.command == "collector" and own.workers > 1:
        from faasight_cli import workers  # which needs this module

        return workers.supervise(own, chosen.overrides)
    return _serve(chosen, (chosen.command,))


def wanted(own: Settings, parts: Sequence[str] = services.PARTS) -> list[Wanted]:
    """Return the ports that the parts listen on."""
    found = []
    if "collector" in parts:
        found.append(Wanted("collector, HTTP", own.collector_http, "--collector-http"))
        if own.collector_grpc:
            found.append(Wanted("collector, gRPC", own.collector_grpc, "--collector-grpc"))
    if "dashboards" in parts:
        found.append(Wanted("dashboards", own.dashboards, "--dashboards"))
    if own.metrics and tuple(parts) != ("collector",):
        found.append(Wanted("metrics", own.metrics, "--metrics"))
    return found


def with_ports(own: Settings) -> Settings:
    """Return the settings with free ports in place of port 0: links and the other parts need to know them."""
    return replace(
        own,
        collector_http=ports.settled(own.collector_http),
        collector_grpc=ports.settled(own.collector_grpc) if own.collector_grpc else None,
        dashboards=ports.settled(own.dashboards),
        metrics=ports.settled(own.metrics) if own.metrics else None,
    )


def addresses(own: Settings, parts: Sequence[str] = services.PARTS) -> list[tuple[str, str]]:
    """Return what a banner says: where each part is reached."""
    rows = []
    if "dashboards" in parts:
        rows.append(("dashboards", services.dashboards_url(own)))
    if "collector" in parts:
        grpc = f", gRPC {own.collector_grpc}" if own.collector_grpc else ""
        asks = f", tokens: {own.tokens}" if own.tokens else ""
        rows.append(("collector", f"{services.collector_url(own)}{grpc}{asks}"))
    if "alerts" in parts:
        rows.append(
            ("alerts", f"rules: {own.rules or 'built-in'}; Slack: {'yes' if own.slack_webhook else 'not set up'}")
        )
    if own.metrics and tuple(parts) != ("collector",):
        rows.append(("metrics", f"{services.reached_at(own.metrics)}/metrics"))
    rows.append(("data", services.shown(own.store)))
    return rows


def _warn_of_unknown(environ: Mapping[str, str]) -> None:
    names = settings.unknown(environ)
    if names:
        log.warning("these are no settings; `faasight settings` lists them", names=names)


def _serve(chosen: Namespace, parts: Sequence[str]) -> int:
    own = settings.load(os.environ, chosen.overrides)
    logs.configure(own.log_level, own.log_format)
    console, stop = Console(), StopSignal()
    _warn_of_unknown(os.environ)
    own = with_ports(own)
    ports.check(wanted(own, parts))
    if "collector" in parts:
        services.check_access(own)
    end_telemetry = own_telemetry.start("faasight" if len(parts) > 1 else f"faasight-{parts[0]}")
    platform = Platform(own, parts)
    platform.start(Steps(console, len(parts) + 1).next)
    console.say(banner("FaaSight is running. Ctrl+C stops it.", addresses(own, parts)))
    stop.wait()
    console.say("stopping: what has been received is being stored ...")
    end_telemetry()
    platform.stop(STOP_S - own_telemetry.STOP_S)
    console.say("stopped")
    return platform.leave(0)
