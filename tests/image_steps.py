"""Runs the Dockerfile's steps where there is no Docker engine: copies files, runs RUN lines, starts the entry point.

    python tests/image_steps.py FOLDER    as root, for it becomes the image's user; a minute or more, nearly all pip

What stands for the image is FOLDER: absolute paths of the file lie below it. Not tried so are the base image, and users
and groups by name (their ids are).
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
MADE = ("/opt/faasight", "/var/lib/faasight", "/wheels")
BASE = "/usr/bin/python3"
START_S = 300
PORTS = {"FAASIGHT_COLLECTOR_HTTP": 24318, "FAASIGHT_COLLECTOR_GRPC": 24317, "FAASIGHT_DASHBOARDS": 28050}


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions with their arguments, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines) if name]


def build(folder: Path) -> dict[str, str]:
    """Run the steps below a folder; return the image's environment."""
    source, environ = folder / "src", {"PATH": os.environ["PATH"], "HOME": str(folder)}
    source.mkdir(parents=True)
    python = folder / "base"
    subprocess.run([BASE, "-m", "venv", str(python)], check=True)  # one that the image's user may run too
    environ["PATH"] = f"{python / 'bin'}:{environ['PATH']}"
    # pip's own settings say where packages come from.
    environ |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    last = False
    for name, rest in instructions():
        if name == "FROM":
            last = " AS " not in rest
        elif name == "COPY" and not rest.startswith("--from"):
            *names, target = rest.split()
            for one in names:
                copy(ROOT / one, source / target / ("" if one.endswith("/") else one))
        elif name == "ENV":
            pairs = dict(re.findall(r"(\w+)=(\S+)", rest))
            environ |= {key: below(value, folder).replace("$PATH", environ["PATH"]) for key, value in pairs.items()}
        elif name == "RUN":
            command = below(rest, folder)
            if last:  # the ids, without the names
                command = re.sub(r"^groupadd .*?&& (?=install )", "", command)
                command = command.replace("--owner=faasight --group=faasight", "--owner=10001 --group=10001")
            say(f"RUN {command}")
            subprocess.run(command, shell=True, check=True, cwd=source, env=environ)
    return environ


def below(text: str, folder: Path) -> str:
    """Return text with the image's paths below the folder."""
    for path in MADE:
        text = re.sub(rf"(?<![\w/]){path}\b|(?<=://){path}\b", f"{folder}{path}", text)
    return text


def copy(what: Path, where: Path) -> None:
    """Copy as .dockerignore lets through: no caches."""
    if what.is_dir():
        shutil.copytree(what, where, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    else:
        shutil.copy(what, where)


def start(folder: Path, environ: dict[str, str]) -> None:
    """Run the entry point as the image's user until its health check is content, then stop it as Docker does."""
    found = dict(instructions())
    user, group = (int(number) for number in found["USER"].split(":"))
    own = environ | {name: f"127.0.0.1:{port}" for name, port in PORTS.items()}
    # Docker would name the machine's user: nobody has written below the folder but root and this one.
    command = json.loads(found["ENTRYPOINT"]) + json.loads(found["CMD"])
    check = json.loads(found["HEALTHCHECK"].partition("CMD ")[2])
    ran = {"env": own, "cwd": f"{folder}{found['WORKDIR']}", "user": user, "group": group, "extra_groups": []}
    process = subprocess.Popen(command, **ran)
    try:
        until = time.monotonic() + START_S
        while subprocess.run(check, **ran, check=False, capture_output=True).returncode:
            if process.poll() is not None or time.monotonic() > until:
                sys.exit(f"{command} is not healthy")
            time.sleep(1)
        with urllib.request.urlopen(f"http://127.0.0.1:{PORTS['FAASIGHT_DASHBOARDS']}/", timeout=60) as page:
            say(f"healthy; the dashboards answer {page.status}")
    finally:
        process.terminate()
    say(f"stopped with {process.wait(180)}")


def say(text: str) -> None:
    """Tell whoever runs this."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Build and start."""
    folder = Path(sys.argv[1]).resolve()
    start(folder, build(folder))


if __name__ == "__main__":
    main()
