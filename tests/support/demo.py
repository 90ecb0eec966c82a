"""`faasight demo` in a process of its own, and a Slack for it."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from polling import wait_until
from ports import free_ports

SHOP = Path(__file__).resolve().parents[2] / "examples" / "shop"


@dataclass
class Demo:
    """A running `faasight demo`."""

    folder: Path  # it runs in here
    dashboards: str
    collector: str
    gateway: str
    command: list[str]
    environ: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when its pages answer."""
        with (self.folder / "demo.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.folder, env=self.environ, stdout=log, stderr=subprocess.STDOUT
            )
        wait_until(self._banner, "the demo says that it is watching")

    def _banner(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            pytest.fail(f"the demo ended with status {self.process.returncode}:\n{self.said()[-3000:]}")
        return "FaaSight is watching" in self.said()

    def said(self) -> str:
        """Return all that it wrote."""
        return (self.folder / "demo.log").read_text(errors="replace")

    def end(self, how: signal.Signals = signal.SIGINT, patience_s: float = 30.0) -> int:
        """Send a signal and return the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(patience_s)


def make_demo(folder: Path, slack_url: str, *options: str) -> Demo:
    """Return a demo on free ports with its data in `folder`, not started yet."""
    dashboards, http, grpc, gateway, provider, carrier = free_ports(6)
    command = [sys.executable, "-m", "faasight_cli", "demo", "--shop", str(SHOP)]
    command += ["--dashboards", f"127.0.0.1:{dashboards}"]
    command += ["--collector-http", f"127.0.0.1:{http}", "--collector-grpc", f"127.0.0.1:{grpc}"]
    command += ["--gateway-port", str(gateway)]
    command += ["--provider-port", str(provider), "--carrier-port", str(carrier)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("FAASIGHT_", "AWS_", "OTEL_"))}
    return Demo(
        folder,
        f"http://127.0.0.1:{dashboards}",
        f"http://127.0.0.1:{http}",
        f"http://127.0.0.1:{gateway}",
        [*command, "--seconds", "1800", *options],
        environ | {"FAASIGHT_SLACK_WEBHOOK": slack_url, "FAASIGHT_URL": f"http://127.0.0.1:{dashboards}"},
    )
