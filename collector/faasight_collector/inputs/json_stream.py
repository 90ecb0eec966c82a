"""JSON values one after the other, with or without line ends between them, as Firehose glues records together."""

import json
import re
from collections.abc import Iterator

import orjson

from faasight_collector.brackets import check_brackets
from faasight_collector.errors import Refusal
from faasight_collector.inputs.lines import MAX_BRACKETS, document

_SPACE = re.compile(r"\s*")
_decoder = json.JSONDecoder()


def values(content: bytes, limit: int) -> Iterator[object]:
    """Yield each value of `content`, at most `limit` bytes. Raises Refusal: 400 for what is no JSON, 413 beyond."""
    if b"\n" in content and (lines := _lines(content)) is not None:
        for line in lines:
            yield document(line, "a line", limit)
        return
    try:
        yield document(content, "the content", limit)
    except Refusal as refusal:
        if refusal.reason != "corrupt_json":
            raise
        yield from _glued(content, refusal)


def _lines(content: bytes) -> list[bytes] | None:
    """Return the lines of `content` if each looks like a value of its own."""
    found = [line for line in content.split(b"\n") if line.strip()]
    whole = all(line.strip()[:1] == b"{" and line.strip()[-1:] == b"}" for line in found)
    return found if whole and len(found) > 1 else None


def _glued(content: bytes, whole: Refusal) -> Iterator[object]:
    check_brackets(content, "the content", MAX_BRACKETS)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise whole from None
    position = _end_of_space(text, 0)
    while position < len(text):
        try:
            _, end = _decoder.raw_decode(text, position)
            yield orjson.loads(text[position:end])  # the stricter of the two: no NaN, no lone surrogates
        except (ValueError, RecursionError) as error:
            raise Refusal("corrupt_json", f"at character {position} there is no valid JSON: {error}") from error
        position = _end_of_space(text, end)


def _end_of_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position
