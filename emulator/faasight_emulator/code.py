"""Where a function's code lies on this machine: a folder, a zip file that is unpacked, or text in the template."""

import contextlib
import hashlib
import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from faasight_emulator.section import Section

_INLINE_MODULE = "index.py"  # what CloudFormation names the file of inline code


def code_folder(properties: Section, shared: Section, root: Path, asset: str | None = None) -> Path:
    """Return the folder of a function's code.

    Args:
        properties: of an AWS::Serverless::Function (CodeUri, InlineCode) or an AWS::Lambda::Function (Code.ZipFile).
        shared: Globals.Function, for a CodeUri that all share.
        root: the folder that paths are relative to.
        asset: the folder or zip file that the CDK notes where it will put the code on S3.

    Raises:
        TemplateError: there is no such folder or zip file, or the code lies on S3.

    """
    plain = properties.section("Code") if "Code" in properties else None
    if plain is not None and "ZipFile" not in plain and asset is not None:
        return local_folder(properties, "Code", root, asset)
    if plain is not None and "ZipFile" not in plain:
        raise plain.error("", "lies on S3; give the code's folder on this machine as CodeUri of a SAM function.")
    inline = plain.optional_text("ZipFile") if plain is not None else properties.optional_text("InlineCode")
    if inline is not None:
        text = inline.encode()
        return _kept(text, lambda folder: _write(folder / _INLINE_MODULE, text))
    section = properties if "CodeUri" in properties else shared
    return local_folder(section, "CodeUri", root)


def local_folder(section: Section, key: str, root: Path, instead: str | None = None) -> Path:
    """Return the folder that a property names, or that the zip file which it names unpacks to. Raises TemplateError.

    `instead` is a path to take in place of the property's value.
    """
    given = section.text(key, ".") if instead is None else instead
    if given.startswith("s3://"):
        raise section.error(key, f"'{given}' is on S3; give the folder of the code on this machine.")
    path = (root / given).resolve()
    if path.is_file() and zipfile.is_zipfile(path):
        return _kept(path.read_bytes(), lambda folder: _unpack(path, folder))
    if not path.is_dir():
        raise section.error(
            key, f"the folder '{given}' is not there; correct the path (it is relative to the template)."
        )
    return path


def _kept(content: bytes, fill: Callable[[Path], None]) -> Path:
    """Return the folder for this content, made once: the same content has the same folder in every run."""
    home = Path(tempfile.gettempdir()) / f"faasight-code-{os.getuid()}"
    home.mkdir(mode=0o700, exist_ok=True)
    if home.stat().st_uid != os.getuid():  # somebody else's, who could put code into it
        home = Path(tempfile.mkdtemp(prefix="faasight-code-"))
    target = home / hashlib.sha256(content).hexdigest()[:32]
    if not target.is_dir():
        partial = Path(tempfile.mkdtemp(dir=home))
        fill(partial)
        with contextlib.suppress(OSError):  # another process was first: its folder has the same content
            partial.rename(target)
    return target


def _write(file: Path, text: bytes) -> None:
    file.write_bytes(text)


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack with the modes that Lambda would see: a layer's programs are to be run."""
    with zipfile.ZipFile(archive) as packed:
        for entry in packed.infolist():
            place = Path(packed.extract(entry, folder))
            mode = entry.external_attr >> 16 & 0o777
            if mode and place.is_file():
                place.chmod(mode | 0o400)
