"""One of several collectors that share their ports: `python -m faasight_cli.worker NUMBER`, started by `workers`."""

import os
import sys

from faasight_cli import logs, own_telemetry, settings
from faasight_cli.main import foreseen
from faasight_cli.platform import STOP_S, Platform
from faasight_cli.signals import StopSignal
from faasight_cli.workers import READY


def main(number: int) -> int:
    """Run until SIGTERM; return the exit status."""
    own = settings.load(os.environ)
    logs.configure(own.log_level, own.log_format)
    stop = StopSignal()
    end_telemetry = own_telemetry.start("faasight-collector")
    platform = Platform(own, ("collector",), worker=number)
    platform.start()
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    stop.wait()
    end_telemetry()
    platform.stop(STOP_S - own_telemetry.STOP_S)
    return platform.leave(0)


if __name__ == "__main__":
    sys.exit(foreseen(lambda: main(int(sys.argv[1]))))
