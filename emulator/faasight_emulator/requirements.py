"""What a function's requirements.txt asks for and this Python does not have: functions see its packages, no others."""

import re
from pathlib import Path

from faasight_emulator.model import Function

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def missing_packages(functions: tuple[Function, ...]) -> list[str]:
    """Return a sentence for each requirements.txt of which something is neither installed nor beside the code."""
    said = []
    files = {function.code / "requirements.txt" for function in functions}
    for file in sorted(file for file in files if file.is_file()):
        missing = [name for name in _names(file) if not _installed(name) and not _beside(name, file.parent)]
        if missing:
            said.append(
                f"{file} asks for {', '.join(missing)}, which the Python of the emulator does not have; "
                f"run `pip install -r {file}` in its environment, or `sam build` and start .aws-sam/build/template.yaml"
            )
    return said


def _names(file: Path) -> list[str]:
    """Return the distributions of a file; not those for certain systems only, nor options and addresses."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    plain = [line.split("#")[0].strip() for line in lines]
    found = [_NAME.match(line) for line in plain if ";" not in line and "://" not in line and "/" not in line]
    return [one.group() for one in found if one is not None]


def _installed(name: str) -> bool:
    from importlib import metadata  # takes a while, and many functions need no packages

    try:
        metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        return False
    return True


def _beside(name: str, folder: Path) -> bool:
    """Whether the package lies in the function's folder, as `pip install -t` and `sam build` put it."""
    wanted = re.sub(r"[-_.]+", "_", name).lower()
    return any(one.name.lower().startswith(f"{wanted}-") for one in folder.glob("*.dist-info"))
