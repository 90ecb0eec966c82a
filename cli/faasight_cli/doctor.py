"""`faasight doctor`: looks at everything that FaaSight needs, and says what to type where something is wrong."""

import contextlib
import importlib.util
import os
import re
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from faasight_collector import AddressError, TlsError, TokenFileError
from faasight_collector.access import tokens
from faasight_collector.access.address import check_hosts
from faasight_collector.access.tls import Certificates
from faasight_store import LEAST_MEMORY_BYTES, DsnError, StoreError, StoreLockedError

from faasight_cli import logs, ports, services, settings, up
from faasight_cli.console import Console
from faasight_cli.errors import SettingError
from faasight_cli.ports import answers
from faasight_cli.settings import Settings

OK, NOTE, PROBLEM = "ok", "note", "problem"
_LEAST_DISK_MB = 1024
_OTHERS_MB = 512  # the collector and the dashboards
_LEAST_STORE_MB = LEAST_MEMORY_BYTES // 1024**2
_CGROUP_MEMORY = Path("/sys/fs/cgroup/memory.max")
_RENEW_DAYS = 14
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found; `advice` is what to type or do, for a problem always."""

    state: str  # ok, note or problem
    what: str
    advice: str = ""


def doctor(chosen: Namespace) -> int:
    """Look at everything; the exit status is 1 if there is a problem."""
    console = Console()
    logs.configure("error", "auto")
    worst = OK
    for finding in examine(os.environ, chosen.overrides):
        console.say(f"{finding.state:>8}  {finding.what}")
        if finding.advice:
            console.say(f"{'':>8}  -> {finding.advice}")
        worst = PROBLEM if PROBLEM in (worst, finding.state) else OK
    console.say("\nThere are problems; do what the arrows say." if worst == PROBLEM else "\nAll is well.")
    return 1 if worst == PROBLEM else 0


def examine(environ: Mapping[str, str], overrides: Mapping[str, str]) -> Iterator[Finding]:
    """Yield a finding for each thing looked at, the cheap ones first."""
    yield from _python()
    yield from _packages()
    yield from _wrapper()
    try:
        own = settings.load(environ, overrides)
        services.data_dir(own)
    except (SettingError, DsnError) as problem:
        yield Finding(PROBLEM, str(problem), "correct it; `faasight settings` lists what is allowed")
        return
    yield from _settings(environ)
    yield from _access(own)
    running = answers(f"{services.collector_url(own)}/healthz")
    yield from _ports(own, running)
    yield from _folder(own)
    yield from _store(own, running)
    yield from _collector(own, running)
    yield from _chromium()


def _python() -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:3]))
    least = metadata.metadata("faasight-platform")["Requires-Python"].removeprefix(">=")
    if sys.version_info < tuple(map(int, least.split("."))):
        yield Finding(PROBLEM, f"Python is {found}; {least} or newer is needed", f"make PYTHON=python{least} install")
    else:
        yield Finding(OK, f"Python {found}")


def _packages() -> Iterator[Finding]:
    """Look for each package that the platform's distribution requires."""
    missing = [name for name in _required() if not _installed(name)]
    if missing:
        yield Finding(PROBLEM, f"packages are missing: {', '.join(missing)}", f"pip install {' '.join(missing)}")
    else:
        yield Finding(OK, "all packages are installed")


def _required() -> Iterator[str]:
    for line in metadata.requires("faasight-platform") or ():
        requirement, _, marker = line.partition(";")
        if not marker:  # extras, and what some systems lack, are not looked for
            yield re.split(r"[^A-Za-z0-9._-]", requirement)[0]


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _wrapper() -> Iterator[Finding]:
    if importlib.util.find_spec("faasight") is None:
        yield Finding(PROBLEM, "the wrapper cannot be imported", "pip install faasight")
    else:
        yield Finding(OK, "the wrapper can be imported")


def _settings(environ: Mapping[str, str]) -> Iterator[Finding]:
    names = settings.unknown(environ)
    if names:
        yield Finding(NOTE, f"no such setting: {', '.join(names)}", "`faasight settings` lists them")
    else:
        yield Finding(OK, "settings are understood")


def _access(own: Settings) -> Iterator[Finding]:
    """Look at the files that say who may send."""
    if own.tokens:
        try:
            valid = [token for token in tokens.read(own.tokens) if not token.expired(datetime.now(UTC))]
        except TokenFileError as problem:
            yield Finding(PROBLEM, str(problem), f"FAASIGHT_TOKENS={own.tokens} faasight tokens create NAME")
        else:
            state = OK if valid else PROBLEM
            yield Finding(
                state, f"{own.tokens} has {len(valid)} valid tokens", "" if valid else "faasight tokens create NAME"
            )
    if files := services.tls_files(own):
        try:
            left = (Certificates(files).expires - datetime.now(UTC)).days
        except TlsError as problem:
            yield Finding(
                PROBLEM, str(problem), "correct FAASIGHT_TLS_CERTIFICATE, FAASIGHT_TLS_KEY or FAASIGHT_TLS_CLIENT_CA"
            )
        else:
            state = PROBLEM if left < 0 else NOTE if left < _RENEW_DAYS else OK
            advice = "" if state == OK else "renew it; a running collector reads it again by itself"
            yield Finding(state, f"the certificate {files.certificate} is valid for {left} more days", advice)
    try:
        check_hosts(services.collector_settings(own))
    except AddressError as problem:
        yield Finding(PROBLEM, str(problem), "faasight tokens create NAME")


def _ports(own: Settings, running: bool) -> Iterator[Finding]:
    for wanted in up.wanted(own):
        try:
            taken = ports.in_use(wanted.address)
        except OSError as problem:
            yield Finding(PROBLEM, f"{wanted.address} ({wanted.what}): {problem}", "choose an address of this machine")
            continue
        if not taken:
            yield Finding(OK, f"{wanted.address} ({wanted.what}) is free")
        elif running:
            yield Finding(OK, f"{wanted.address} ({wanted.what}) is in use; FaaSight is running")
        else:
            advice = f"stop the program that has it, or choose another: faasight up {wanted.instead}"
            yield Finding(PROBLEM, f"{wanted.address} ({wanted.what}) is in use by another program", advice)


def _folder(own: Settings) -> Iterator[Finding]:
    for name, folder in (("data", services.data_dir(own)), ("journal", services.journal_dir(own))):
        if folder is None:
            continue
        there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        free_mb = shutil.disk_usage(there).free // (1024 * 1024)
        if not os.access(there, os.W_OK | os.X_OK) or not there.is_dir():
            yield Finding(PROBLEM, f"{name} folder {folder}: {there} cannot be written", f"sudo chown $USER {there}")
        elif free_mb < _LEAST_DISK_MB + own.disk_reserve_mb:
            advice = "make room, or choose another disk with FAASIGHT_STORE and FAASIGHT_JOURNAL"
            yield Finding(PROBLEM, f"{name} folder {folder}: only {free_mb:,} MB of disk are free", advice)
        else:
            yield Finding(OK, f"{name} folder {folder} can be written; {free_mb:,} MB are free")


def _store(own: Settings, running: bool) -> Iterator[Finding]:
    folder, name = services.data_dir(own), services.shown(own.store)
    if folder and not folder.exists():
        yield Finding(OK, f"{name} is new; the first start makes it")
        return
    try:
        pending = _pending(own)
    except StoreLockedError as problem:
        if running:
            yield Finding(OK, f"{name} is in use by the FaaSight that is running")
        else:
            yield Finding(PROBLEM, str(problem), "stop the process that has it, or choose another with --store")
    except StoreError as problem:
        yield Finding(PROBLEM, str(problem), "correct FAASIGHT_STORE, or see that the server is up")
    else:
        yield Finding(OK, f"{name} can be opened")
        yield from _memory(own)
        if pending:
            yield Finding(NOTE, f"its schema lacks {', '.join(pending)}", "faasight migrate; faasight up does it too")


def _memory(own: Settings) -> Iterator[Finding]:
    """Compare the embedded engine's bound with what the machine, or the container, has."""
    if services.data_dir(own) is None:
        return
    machine_mb = _memory_mb()
    asked_mb = own.store_memory_mb
    if not asked_mb:
        yield Finding(OK, f"the embedded store may take nine tenths of {machine_mb:,} MiB of memory")
    elif asked_mb > machine_mb - _OTHERS_MB:
        advice = f"FAASIGHT_STORE_MEMORY_MB={max(machine_mb - _OTHERS_MB, _LEAST_STORE_MB)}, or a larger machine"
        what = f"the embedded store may take {asked_mb:,} MiB, and {machine_mb:,} MiB are all there is, for everything"
        yield Finding(PROBLEM, what, advice)
    else:
        yield Finding(OK, f"the embedded store may take {asked_mb:,} of {machine_mb:,} MiB of memory")


def _memory_mb() -> int:
    """Return the memory of this machine, or of the control group that it is bounded by, in MiB."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):  # no control group of version 2, or "max"
        found = min(found, int(_CGROUP_MEMORY.read_text("ascii")))
    return found // 1024**2


def _pending(own: Settings) -> list[str]:
    store = services.open_store(own)
    try:
        return store.pending_migrations()
    finally:
        store.close()


def _collector(own: Settings, running: bool) -> Iterator[Finding]:
    url = services.collector_url(own)
    if not running and own.tls_client_ca:
        yield Finding(NOTE, f"the collector at {url} asks for a client certificate, and was not looked at")
    elif not running:
        yield Finding(NOTE, f"no collector answers at {url}", "faasight up")
    elif answers(f"{url}/readyz"):
        yield Finding(OK, f"the collector at {url} is ready")
    else:
        yield Finding(PROBLEM, f"the collector at {url} answers, but is not ready", f"curl {url}/readyz")


def _chromium() -> Iterator[Finding]:
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found:
        yield Finding(OK, f"{found} is there for the browser tests")
    else:
        yield Finding(NOTE, "no Chromium: only the browser tests need it", "sudo apt-get install chromium")
