"""`faasight demo`: the platform in this process, and around it the example shop: functions, providers, customers."""

import os
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from faasight_store.queries import invocations

from faasight_cli import children, local, logs, ports, services, settings, up
from faasight_cli.children import Child
from faasight_cli.console import Console, Steps, banner
from faasight_cli.errors import ChildError, CommandError
from faasight_cli.platform import STOP_S, Platform
from faasight_cli.ports import Wanted
from faasight_cli.settings import Address, Settings
from faasight_cli.signals import StopSignal
from faasight_cli.slack import SlackStandIn

_DATA = Path("faasight-data") / "demo"  # apart from what `faasight up` keeps
_GUARDS = frozenset({"tokens", "tls_certificate", "tls_key", "tls_client_ca"})
_STEPS = 6
_START_S = 120.0  # patience with one process; a slow machine imports for long
_FIRST_EVENT_S = 30.0
_CHILDREN_STOP_S = 2.2  # the emulator gives running functions one second, and their last telemetry another


def demo(chosen: Namespace) -> int:
    """Run until it is asked to stop; the customers stop by themselves before."""
    shop = _shop(chosen.shop)
    own = up.with_ports(_settings(chosen.overrides, shop, os.environ))
    logs.configure("warning" if own.log_level == "info" else own.log_level, own.log_format)
    console = Console()
    for name in ("gateway_port", "provider_port", "carrier_port"):
        setattr(chosen, name, ports.settled(Address("127.0.0.1", getattr(chosen, name))).port)
    ports.check(up.wanted(own) + _wanted(chosen))
    running = _Demo(chosen, own, shop, console)
    stop = StopSignal(hard=running.kill)
    try:
        running.start(stop)
        while not stop.wait(1.0):
            running.check()
    finally:
        console.say("stopping: what has been received is being stored ...")
        running.stop()
    console.say("stopped")
    return Platform.leave(0)


def _shop(given: Path | None) -> Path:
    """Return the example's folder: the given one, that of the current folder, or that of the sources."""
    sources = Path(__file__).resolve().parents[2]
    tried = [given] if given else [Path("examples/shop"), sources / "examples" / "shop"]
    for folder in tried:
        if (folder / "template.yaml").is_file():
            return folder
    raise CommandError(f"there is no template.yaml in {' or '.join(map(str, tried))}; give the folder with --shop")


def _settings(overrides: Mapping[str, str], shop: Path, environ: Mapping[str, str]) -> Settings:
    """Return the settings with the demo's own defaults: data of its own, rules that fire soon, pages that refresh."""
    own = {"store": f"chdb://./{_DATA}", "rules": str(shop / "alerts.yaml"), "refresh_s": "5", "range": "now-15m"}
    named = {row.name for row in settings.TABLE if row.env in environ}
    loaded = settings.load(environ, {**{name: value for name, value in own.items() if name not in named}, **overrides})
    if guarded := [row.env for row in settings.TABLE if row.name in _GUARDS and getattr(loaded, row.name)]:
        without = " ".join(f"-u {name}" for name in guarded)
        raise CommandError(
            "the demo's functions carry no token and trust no certificate of yours, and its collector would refuse"
            f" them: run it without {', '.join(guarded)}, as by `env {without} faasight demo`"
        )
    return loaded


def _wanted(chosen: Namespace) -> list[Wanted]:
    rows = [
        ("gateway of the functions", chosen.gateway_port, "--gateway-port"),
        ("payment provider", chosen.provider_port, "--provider-port"),
        ("parcel carrier", chosen.carrier_port, "--carrier-port"),
    ]
    return [Wanted(what, Address("127.0.0.1", port), option, with_host=False) for what, port, option in rows]


class _Demo:
    """All that the demo runs, started in order and stopped in the opposite one."""

    def __init__(self, chosen: Namespace, own: Settings, shop: Path, console: Console) -> None:
        self._chosen, self._own, self._shop, self._console = chosen, own, shop, console
        self._logs = (services.data_dir(own) or _DATA) / "logs"
        self._platform: Platform | None = None
        self._slack: SlackStandIn | None = None
        self._children: list[Child] = []
        self._told: set[str] = set()

    def start(self, stop: StopSignal) -> None:
        """Bring everything up, saying what is being waited for; ends early when somebody asks to stop."""
        steps = Steps(self._console, _STEPS)
        work: list[tuple[str, Callable[[StopSignal], None]]] = [
            ("starting the payment provider and the parcel carrier", self._start_providers),
            ("starting the example functions (in the background)", self._start_functions),
            (f"starting the platform on {services.shown(self._own.store)}", self._start_platform),
            ("waiting for the example functions", self._await_functions),
            ("letting customers into the shop", self._start_customers),
            ("waiting for the first event", self._await_event),
        ]
        for text, action in work:
            if stop.asked:
                return
            steps.next(text)
            action(stop)
        if not stop.asked:
            self._console.say(banner("FaaSight is watching the shop. Ctrl+C stops it.", self._addresses()))

    def check(self) -> None:
        """Tell of a process that ended; raises ChildError if the demo cannot go on without it."""
        for child in self._children:
            status = child.ended()
            if status is None or child.name in self._told:
                continue
            self._told.add(child.name)
            if child.name != "customers" or status != 0:
                raise ChildError(f"the {child.name} ended with status {status}:\n{child.last_lines()}")
            self._console.say("the customers have gone home; the dashboards stay. Ctrl+C stops them.")

    def stop(self) -> None:
        """Stop customers and functions first, so that the platform receives their last words."""
        children.stop(self._children[::-1], within_s=_CHILDREN_STOP_S)
        if self._platform:
            self._platform.stop(within_s=STOP_S - _CHILDREN_STOP_S)
        if self._slack:
            self._slack.stop()

    def kill(self) -> None:
        """End the processes at once."""
        for child in self._children:
            child.kill()

    def _addresses(self) -> list[tuple[str, str]]:
        slack = "shown here, as Slack would" if self._slack else "sent to your Slack webhook"
        rows = [row for row in up.addresses(self._own) if row[0] != "alerts"]
        gateway = f"http://127.0.0.1:{self._chosen.gateway_port}/products"
        return [*rows, ("alerts", slack), ("the shop", gateway), ("logs", str(self._logs))]

    def _start_providers(self, stop: StopSignal) -> None:
        arguments = ["--port", str(self._chosen.provider_port), "--carrier-port", str(self._chosen.carrier_port)]
        child = self._spawn("providers", [str(self._shop / "provider.py"), *arguments])
        both = [Address("127.0.0.1", port) for port in (self._chosen.provider_port, self._chosen.carrier_port)]
        child.wait_until(lambda: all(map(ports.in_use, both)), _START_S, lambda: stop.asked)

    def _start_functions(self, _stop: StopSignal) -> None:
        provider, carrier = (f"127.0.0.1:{port}" for port in (self._chosen.provider_port, self._chosen.carrier_port))
        arguments = [
            *("--port", str(self._chosen.gateway_port), "--quiet"),
            *("--collector", services.collector_url(self._own)),
            *("--parameter", f"PaymentProviderUrl=http://{provider}", "--parameter", f"CarrierUrl=http://{carrier}"),
            *("--env", f"FAASIGHT_PEER_SERVICES={provider}=payment-provider,{carrier}=carrier"),
            *("--env", "FAASIGHT_ENVIRONMENT=demo"),
        ]
        template = str(self._shop / "template.yaml")
        self._spawn("functions", ["-m", "faasight_cli", "local", "start", template, *arguments])

    def _start_platform(self, _stop: StopSignal) -> None:
        if not self._own.slack_webhook:
            self._slack = SlackStandIn(self._show_message)
            self._slack.start()
            self._own = replace(self._own, slack_webhook=self._slack.url)
        self._platform = Platform(self._own)
        self._platform.start()

    def _await_functions(self, stop: StopSignal) -> None:
        functions = next(child for child in self._children if child.name == "functions")
        functions.wait_until(lambda: local.READY in functions.log.read_text(), _START_S, lambda: stop.asked)

    def _start_customers(self, _stop: StopSignal) -> None:
        arguments = ["--gateway", f"http://127.0.0.1:{self._chosen.gateway_port}"]
        arguments += ["--seconds", str(self._chosen.seconds), "--rate", str(self._chosen.rate)]
        self._spawn("customers", [str(self._shop / "load.py"), *arguments])

    def _await_event(self, stop: StopSignal) -> None:
        platform, began = self._platform, time.time()
        end = time.monotonic() + _FIRST_EVENT_S
        while platform and not stop.wait(0.2) and time.monotonic() < end:
            last = invocations.last_event(platform.store)
            if last and last.timestamp() > began - 1:
                return
            self.check()
        if not stop.asked:
            self._console.say("      nothing has come yet; the dashboards show it as soon as it does")

    def _spawn(self, name: str, arguments: list[str]) -> Child:
        # The functions' environment is the template's: settings of this platform are not theirs.
        environ = {
            key: value for key, value in os.environ.items() if not key.startswith(("FAASIGHT_", "OTEL_", "AWS_"))
        }
        environ["PYTHONUNBUFFERED"] = "1"
        child = Child(name, [sys.executable, *arguments], self._logs / f"{name}.log", environ)
        self._children.append(child)
        return child

    def _show_message(self, text: str) -> None:
        lines = "\n".join(f"  | {line}" for line in text.splitlines())
        self._console.say(f"{time.strftime('%H:%M:%S')} Slack would show:\n{lines}")
