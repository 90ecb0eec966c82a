"""`faasight layer build`: the wrapper as an AWS Lambda layer, one zip file or folder for x86_64 and arm64.

Everything in it is plain Python, so one file serves both architectures. What differs is the Python version: /opt cannot
be written to, so a module without a .pyc for the function's version would be compiled again at each cold start.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import faasight
from packaging.requirements import Requirement

from faasight_cli.console import Console
from faasight_cli.errors import CommandError

ARCHITECTURES = ("x86_64", "arm64")
OLDEST = (3, 10)
# Needed when a function's code uses OpenTelemetry's API or `faasight.get_logger`; nothing of it is imported before.
EXTRAS = ("opentelemetry-sdk", "structlog")
EXEC_WRAPPER = "faasight"
EXTENSION = PurePosixPath("extensions/faasight-telemetry")

_PACKAGES = PurePosixPath("python")  # /opt/python is on sys.path in every Python runtime
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold: equal input makes equal bytes
_UNWANTED = re.compile(
    r"(^|/)(__pycache__|tests?)/|\.(pyi|pyc|so)$|(^|/)(RECORD|INSTALLER|REQUESTED|direct_url\.json)$"
)
# Experimental names (500 KB) that the SDK does not use; code that does use them brings the package with it.
_EXPERIMENTAL = re.compile(r"^opentelemetry/semconv/_incubating/\w+/(?!otel_|__init__)")
_OTHER_CLOUDS = frozenset({"azure.py", "google.py", "zero"})  # of the wrapper: a layer is AWS's
_ASK = "import json, sys; print(json.dumps([sys.version_info[:2], sys.implementation.cache_tag]))"


@dataclass(frozen=True)
class Interpreter:
    """A Python to compile for; `version` is (major, minor)."""

    path: str
    version: tuple[int, int]

    @property
    def runtime(self) -> str:
        """AWS's name of it: python3.13."""
        return f"python{self.version[0]}.{self.version[1]}"


def build(chosen: Namespace) -> int:
    """Write the zip file or the folder, and say what to do with it. Raises CommandError."""
    interpreters = _interpreters(chosen.python or [sys.executable])
    output: Path = chosen.output
    with tempfile.TemporaryDirectory(prefix="faasight-layer-") as folder:
        stage = Path(folder)
        fill(stage, interpreters, lean=chosen.lean, extension=chosen.extension)
        try:
            if output.suffix == ".zip":
                pack(stage, output)
            else:
                _lay_down(stage, output)
        except OSError as problem:
            raise CommandError(f"{output} cannot be written: {problem.strerror}; choose another --output") from None
    Console().say(_what_next(output, interpreters, extension=chosen.extension))
    return 0


def fill(stage: Path, interpreters: Iterable[Interpreter], *, lean: bool = False, extension: bool = False) -> None:
    """Lay out what will be /opt. Raises CommandError if something to be put in is not installed."""
    interpreters = tuple(interpreters)
    packages = stage / _PACKAGES
    _copy(_own_files(), packages)
    for name in () if lean else _closure(EXTRAS, interpreters):
        _copy(_files(_installed(name)), packages)
    own = Path(faasight.__file__).parent
    _program(own / "faasight-exec", stage / EXEC_WRAPPER)
    if extension:
        _program(own / "faasight-extension", stage / EXTENSION)
    for interpreter in interpreters:
        _compile(interpreter, packages)


def pack(stage: Path, output: Path) -> None:
    """Write all files below `stage` into a zip, in order and without their times: the same files, the same bytes."""
    partial = output.with_name(f".{output.name}.part")
    try:
        with ZipFile(partial, "w", ZIP_DEFLATED, compresslevel=9) as layer:
            for file in sorted((path for path in stage.rglob("*") if path.is_file()), key=Path.as_posix):
                entry = ZipInfo(file.relative_to(stage).as_posix(), _EPOCH)
                entry.create_system = 3  # Unix, or Lambda would not see the mode
                entry.external_attr = (0o755 if os.access(file, os.X_OK) else 0o644) << 16
                layer.writestr(entry, file.read_bytes(), ZIP_DEFLATED, compresslevel=9)
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)


def _lay_down(stage: Path, output: Path) -> None:
    """Put all files into a folder; one that holds anything but an earlier layer is left alone."""
    if output.is_dir() and any(output.iterdir()):
        if not (output / EXEC_WRAPPER).is_file() or not (output / _PACKAGES / "faasight").is_dir():
            raise CommandError(f"{output} holds something else than a layer; choose another --output")
        shutil.rmtree(output)
    shutil.copytree(stage, output, dirs_exist_ok=True)


def _interpreters(given: Iterable[str]) -> tuple[Interpreter, ...]:
    """Return the interpreters in order of their versions, each version once."""
    found = {each.version: each for each in map(_interpreter, given)}
    return tuple(found[version] for version in sorted(found))


def _interpreter(given: str) -> Interpreter:
    path = shutil.which(given) or shutil.which(f"python{given}")
    if path is None:
        raise CommandError(
            f"there is no Python {given!r} here; give the path of one, such as --python /usr/bin/python3.13"
        )
    asked = subprocess.run(  # noqa: S603 - the user named it
        [path, "-I", "-c", _ASK], capture_output=True, text=True, check=False
    )
    if asked.returncode:
        told = " ".join(asked.stderr.split())[:200] or "it said nothing"
        raise CommandError(f"{path} is no Python that runs: {told}")
    version, tag = json.loads(asked.stdout)
    if not str(tag).startswith("cpython") or tuple(version) < OLDEST:
        raise CommandError(f"{path} is {tag}; AWS's runtimes are CPython, and the wrapper needs 3.10 or newer")
    return Interpreter(path, (version[0], version[1]))


def _own_files() -> Iterator[tuple[Path, Path]]:
    """Yield the wrapper's own modules: from its folder, because an editable install lists no files."""
    folder = Path(faasight.__file__).parent
    for file in sorted(folder.rglob("*.py")):
        place = file.relative_to(folder)
        if place.parts[0] not in _OTHER_CLOUDS:
            yield file, file.relative_to(folder.parent)


def _closure(names: Iterable[str], interpreters: Iterable[Interpreter]) -> list[str]:
    """Return the distributions and all that they require under any of the interpreters."""
    versions = [{"python_version": "{}.{}".format(*each.version), "extra": ""} for each in interpreters]
    waiting, found = list(names), list[str]()
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.append(name)
        for requirement in map(Requirement, _installed(name).requires or ()):
            marker = requirement.marker
            if marker is None or any(marker.evaluate(version) for version in versions):
                waiting.append(requirement.name)
    return sorted(found)


def _installed(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError:
        raise CommandError(
            f"{name} is not installed here; `pip install {name}` first, or build with --lean to leave it out"
        ) from None


def _files(package: Distribution) -> Iterator[tuple[Path, Path]]:
    """Yield what a distribution runs on, with its entry points and licences."""
    for file in package.files or ():
        path = file.as_posix()
        if ".." not in file.parts and not _UNWANTED.search(path) and not _EXPERIMENTAL.match(path):
            yield Path(str(file.locate())), Path(file)


def _copy(files: Iterable[tuple[Path, Path]], target: Path) -> None:
    for source, place in files:
        (target / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target / place)


def _program(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755)


def _compile(interpreter: Interpreter, packages: Path) -> None:
    """Compile all modules, under the paths that they will have.

    Unchecked hashes: a zip rounds times, so a .pyc with a time in it would look stale and be made anew at each cold
    start; an unchecked one is not even compared with its source.
    """
    command = [interpreter.path, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(packages), "-p", f"/opt/{_PACKAGES}", str(packages)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}  # or the order of frozen sets would differ between builds
    done = subprocess.run(  # noqa: S603 - the same
        command, capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        raise CommandError(f"{interpreter.path} cannot compile the layer: {(done.stdout + done.stderr).strip()[-400:]}")


def _what_next(output: Path, interpreters: Iterable[Interpreter], *, extension: bool) -> str:
    runtimes = " ".join(each.runtime for each in interpreters)
    also = "\n  (its extension needs no setting of its own)" if extension else ""
    size = f"{output.stat().st_size / 1e6:.2f} MB" if output.is_file() else "a folder"
    publish = (
        f"  aws lambda publish-layer-version --layer-name faasight --zip-file fileb://{output} \\\n"
        f"    --compatible-runtimes {runtimes} --compatible-architectures {' '.join(ARCHITECTURES)}\n"
        if output.is_file()
        else "  name the folder in your template (docs/aws-lambda.md)\n"
    )
    return (
        f"{output}: {size}, for {runtimes.replace(' ', ', ')} on x86_64 and arm64\n\n"
        f"Publish it:\n{publish}\n"
        "Then give each function the layer and two variables:\n"
        f"  AWS_LAMBDA_EXEC_WRAPPER=/opt/{EXEC_WRAPPER}\n"
        f"  FAASIGHT_ENDPOINT=https://your-collector:4318{also}"
    )
