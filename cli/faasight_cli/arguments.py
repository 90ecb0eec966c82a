"""The command line: each command with its help, its options, and the function that runs it."""

import argparse
import re
from collections.abc import Container
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from faasight_cli.settings import TABLE

# A secret on a command line can be read by every user of the machine.
_BY_ENVIRONMENT_ONLY = ("slack_webhook",)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; it sets `entry`, the "module:function" of the command, and `overrides` of settings."""
    parser = argparse.ArgumentParser(
        prog="faasight",
        description="See what your serverless functions do: logs, metrics, traces, cold starts, throttles, alerts.",
        epilog="Settings come from the environment (`faasight settings` lists them); options of the same name win.",
    )
    parser.set_defaults(overrides={})
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    _command(commands, "up", "up:up", "run the whole platform in this process", with_settings=True)
    _demo(_command(commands, "demo", "demo:demo", "run the platform with live example functions", with_settings=True))
    for part in ("collector", "dashboards", "alerts"):
        _command(commands, part, "up:part", f"run the {part} alone, against a ClickHouse server", with_settings=True)
    _dead_letters(_command(commands, "dead-letters", "dead_letters:show_list", "look at what the store did not take"))
    _migrate(_command(commands, "migrate", "store:migrate", "bring the store's schema up to date", with_settings=True))
    _tokens(_command(commands, "tokens", "tokens:show", "say who may send telemetry to the collector"))
    _store(commands.add_parser("store", help="back up, restore, export, and see what the store holds"))
    _command(commands, "doctor", "doctor:doctor", "find out what is wrong, and what to type", with_settings=True)
    _command(commands, "settings", "tables:settings_table", "list all settings, their types, defaults and meaning")
    _command(commands, "version", "tables:version", "tell the versions of FaaSight and of what it stands on")
    _layer(commands.add_parser("layer", help="make an AWS Lambda layer of the wrapper"))
    _local(_command(commands, "local", "local:start", "run the functions of an AWS SAM template on this machine"))
    return parser


class _Override(argparse.Action):
    """Collects options that are settings into `overrides`."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        chosen: argparse.Namespace,
        values: Any,  # noqa: ANN401 - argparse has it so
        _option: str | None = None,
    ) -> None:
        chosen.overrides = {**getattr(chosen, "overrides", {}), self.dest: values}


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    entry: str,
    purpose: str,
    *,
    with_settings: bool = False,
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}."
    )
    command.set_defaults(entry=entry)
    if with_settings:
        _settings(command)
    return command


def _settings(command: argparse.ArgumentParser, names: Container[str] | None = None) -> None:
    group = command.add_argument_group("settings, which may also come from the environment")
    for row in TABLE:
        if row.name not in _BY_ENVIRONMENT_ONLY and (names is None or row.name in names):
            group.add_argument(
                f"--{row.name.replace('_', '-')}",
                dest=row.name,
                action=_Override,
                default=argparse.SUPPRESS,
                metavar=row.kind.name.upper().replace(" ", "_"),
                help=f"{row.meaning} [{row.env}, default {row.default or 'empty'}]".replace("%", "%%"),
            )


def _demo(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--gateway-port", type=_port, default=3000, metavar="PORT", help="where the shop answers (3000)"
    )
    command.add_argument(
        "--provider-port", type=_port, default=4010, metavar="PORT", help="the payment provider (4010)"
    )
    command.add_argument("--carrier-port", type=_port, default=4011, metavar="PORT", help="the parcel carrier (4011)")
    command.add_argument("--rate", type=_positive, default=1.5, help="customers a second, in the mean (1.5)")
    command.add_argument("--seconds", type=_positive, default=8 * 3600.0, help="how long customers come (8 hours)")
    command.add_argument(
        "--shop", type=Path, metavar="FOLDER", help="the example's folder, if it is not examples/shop here"
    )


def _tokens(command: argparse.ArgumentParser) -> None:
    ways = command.add_subparsers(dest="way", metavar="create|list|revoke", required=True)
    create = ways.add_parser("create", help="make a token, and print it this once")
    create.set_defaults(entry="tokens:create")
    create.add_argument("name", help="what to call it: the function or the team that sends with it")
    create.add_argument("--expires", type=_duration, metavar="TIME", help="after 90d, 12h...; else it does not")
    create.add_argument(
        "--for", dest="use", choices=("ingest", "metrics"), default="ingest", help="send telemetry, or read /metrics"
    )
    create.add_argument("--requests-per-s", type=_positive, metavar="NUMBER", help="its own limit of requests")
    create.add_argument("--mb-per-s", type=_positive, metavar="NUMBER", help="its own limit of MB, decompressed")
    shown = ways.add_parser("list", help="show names, dates and limits; never the tokens")
    shown.set_defaults(entry="tokens:show")
    revoke = ways.add_parser("revoke", help="take a token away; collectors follow within a second")
    revoke.set_defaults(entry="tokens:revoke")
    revoke.add_argument("name", help="its name")
    for way in (create, shown, revoke):
        _settings(way, ("tokens", "store", "journal"))


def _dead_letters(command: argparse.ArgumentParser) -> None:
    ways = command.add_subparsers(dest="way", metavar="list|show|retry|delete", required=True)
    told = ways.add_parser("list", help="list them: name, signal, size, time, reason")
    told.set_defaults(entry="dead_letters:show_list")
    told.add_argument("--json", action="store_true", help="one JSON object a line")
    show = ways.add_parser("show", help="show one with its reason and what is in it, secrets hidden")
    show.set_defaults(entry="dead_letters:show")
    show.add_argument("name", help="as `list` tells it")
    show.add_argument("--raw", action="store_true", help="write its bytes to stdout, as they came, secrets and all")
    retry = ways.add_parser("retry", help="hand them in again: stored once, or back here with a new reason")
    retry.set_defaults(entry="dead_letters:retry")
    delete = ways.add_parser("delete", help="delete them for good")
    delete.set_defaults(entry="dead_letters:delete")
    for way in (retry, delete):
        which = way.add_mutually_exclusive_group(required=True)
        which.add_argument("names", nargs="*", default=[], metavar="NAME", help="as `list` tells them")
        which.add_argument("--all", action="store_true", help="all that there are")
    for way in (told, show, retry, delete):
        _settings(way)


def _local(command: argparse.ArgumentParser) -> None:
    ways = command.add_subparsers(dest="way", metavar="start|invoke", required=True)
    start = ways.add_parser("start", help="run all of them, with gateway, queues and schedules, until Ctrl+C")
    start.set_defaults(entry="local:start")
    start.add_argument("--port", "-p", type=_port, default=3000, help="of the HTTP gateway (3000)")
    start.add_argument("--quiet", action="store_true", help="do not print what the functions print")
    invoke = ways.add_parser("invoke", help="invoke one function, or run one state machine, and print its answer")
    invoke.set_defaults(entry="local:invoke", port=0, no_reload=True, named=None)
    start.add_argument("--no-reload", action="store_true", help="run on as before when the code of a function changes")
    start.add_argument(
        "template",
        type=Path,
        nargs="?",
        default=Path("template.yaml"),
        help="an AWS SAM template, YAML or JSON (template.yaml)",
    )
    start.add_argument("--template", "-t", type=Path, dest="named", metavar="FILE", help="the same, as SAM has it")
    invoke.add_argument("function", help="name or logical id of a function or a state machine")
    invoke.add_argument(
        "--template",
        "-t",
        type=Path,
        default=Path("template.yaml"),
        metavar="FILE",
        help="an AWS SAM template, YAML or JSON (template.yaml)",
    )
    for way in (start, invoke):
        way.add_argument(
            "--aws-endpoint", metavar="URL", help="a stand-in for AWS that runs already; else moto is started"
        )
        way.add_argument(
            "--parameter",
            action="append",
            default=[],
            type=_pair,
            metavar="NAME=VALUE",
            help="a parameter of the template",
        )
        way.add_argument(
            "--parameter-overrides",
            action="extend",
            nargs="+",
            dest="parameter",
            type=_parameter,
            metavar="NAME=VALUE",
            help="several of them, as SAM has it",
        )
        way.add_argument("--region", default="us-east-1", metavar="NAME", help="that the functions see (us-east-1)")
        way.add_argument(
            "--env", action="append", default=[], type=_pair, metavar="NAME=VALUE", help="a variable for every function"
        )
        way.add_argument(
            "--env-vars",
            "-n",
            type=Path,
            metavar="FILE",
            help='variables of each function, JSON as SAM has it: {"MyFunction": {"NAME": "value"}}',
        )
        way.add_argument(
            "--collector",
            metavar="URL",
            default="http://127.0.0.1:4318",
            help="where telemetry goes (http://127.0.0.1:4318)",
        )
        way.add_argument(
            "--jwks", type=Path, metavar="FILE", help="keys for JWT authorizers; without them their issuer is asked"
        )
        way.add_argument("--no-wrapper", action="store_true", help="run the functions without FaaSight's wrapper")
    invoke.add_argument(
        "--event", "-e", type=Path, metavar="FILE", help="the event, JSON; - is stdin; without it the event is {}"
    )


def _layer(layer: argparse.ArgumentParser) -> None:
    layer.description = "Make an AWS Lambda layer of the wrapper (docs/aws-lambda.md)."
    ways = layer.add_subparsers(dest="way", metavar="build", required=True)
    build = _command(ways, "build", "layer:build", "write the layer, for x86_64 and arm64")
    build.add_argument(
        "--python",
        action="append",
        metavar="INTERPRETER",
        help="compile for this one's version: a path, or 3.13; may be given several times (the running one)",
    )
    build.add_argument(
        "--output",
        type=Path,
        default=Path("faasight-layer.zip"),
        metavar="PATH",
        help="a .zip file, or a folder for tools that zip themselves (faasight-layer.zip)",
    )
    build.add_argument(
        "--lean", action="store_true", help="leave out the OpenTelemetry SDK and structlog: your functions bring theirs"
    )
    build.add_argument(
        "--extension", action="store_true", help="put in the extension that sends AWS's own telemetry of each sandbox"
    )


def _migrate(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--cluster",
        default="",
        metavar="NAME",
        help="spread a new store over this cluster of remote_servers; again when nodes were added (docs/cluster.md)",
    )


def _store(store: argparse.ArgumentParser) -> None:
    store.description = "Look after what is stored. An embedded store is open in one process: stop `faasight up` first."
    ways = store.add_subparsers(dest="way", metavar="WHAT", required=True)
    place = "a folder, disk:NAME/PATH of the server, or an http(s) address of S3 (keys: AWS_ACCESS_KEY_ID, ...)"
    status = _command(
        ways, "status", "lifetime:status", "tell what takes how much room, and what was dropped", with_settings=True
    )
    status.add_argument("--dropped", type=int, default=10, metavar="N", help="how many dropped partitions to list (10)")
    backup = _command(ways, "backup", "lifetime:backup", "copy the whole store to a place", with_settings=True)
    backup.add_argument("to", metavar="TO", help=place)
    restore = _command(ways, "restore", "lifetime:restore", "bring a back-up into an empty store", with_settings=True)
    restore.add_argument("origin", metavar="FROM", help=place)
    restore.add_argument(
        "--database", default="", metavar="NAME", help="its name in the back-up, if it was another one"
    )
    restore.add_argument("--cluster", default="", metavar="NAME", help="the cluster that it was spread over")
    export = _command(ways, "export", "lifetime:export", "write Parquet files, one a table and day", with_settings=True)
    export.add_argument(
        "folder", type=Path, metavar="FOLDER", help="where to; files are FOLDER/TABLE/YYYY-MM-DD.parquet"
    )
    export.add_argument("--table", action="append", metavar="NAME", help="may be given several times; else all tables")
    export.add_argument(
        "--from", dest="first", type=_day, required=True, metavar="YYYY-MM-DD", help="the first day, UTC"
    )
    export.add_argument(
        "--to", dest="last", type=_day, required=True, metavar="YYYY-MM-DD", help="the last day, included"
    )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day; write YYYY-MM-DD") from None


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; allowed are 0 to 65535")
    return int(text)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number above 0")
    return number


def _duration(text: str) -> timedelta:
    found = re.fullmatch(r"([1-9]\d{0,4})([hd])", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} must be hours or days, such as 12h or 90d")
    return timedelta(hours=int(found[1]) * (24 if found[2] == "d" else 1))


def _parameter(text: str) -> tuple[str, str]:
    """Read NAME=VALUE, or ParameterKey=NAME,ParameterValue=VALUE as CloudFormation has it."""
    key, mark, value = text.partition(",ParameterValue=")
    return _pair(f"{key.removeprefix('ParameterKey=')}={value}" if mark else text)


def _pair(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not mark or not name:
        raise argparse.ArgumentTypeError(f"{text!r} must read NAME=VALUE")
    return name, value
