"""Filter criteria of event source mappings: which records a function gets to see at all.

A pattern for a body or for data that is a mapping asks for JSON; one that is a list asks for the text as it stands.
What is no JSON does not match the first kind, as on AWS.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence

from faasight_emulator.invocation import Json
from faasight_emulator.sources.patterns import matches

Patterns = Sequence[Mapping[str, Json]]


def passes(patterns: Patterns, record: Mapping[str, Json], field: str = "") -> bool:
    """Return whether one of the patterns matches, or there is none. `field` holds text that may be JSON."""
    return not patterns or any(matches(one, _seen(one, record, field)) for one in patterns)


def kinesis_view(record: Mapping[str, Json]) -> dict[str, Json]:
    """Return what patterns see of a Kinesis record: its metadata, and the data as text."""
    inner = record["kinesis"]
    try:
        data = base64.b64decode(inner["data"]).decode()
    except (UnicodeDecodeError, binascii.Error):
        data = None
    return {**inner, "data": data}


def _seen(pattern: Mapping[str, Json], record: Mapping[str, Json], field: str) -> Mapping[str, Json]:
    if not field or not isinstance(pattern.get(field), Mapping):
        return record
    try:
        return {**record, field: json.loads(record[field])}
    except (TypeError, ValueError):
        return {**record, field: None}
