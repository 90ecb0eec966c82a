"""OTLP in a line of a function's log: what the wrapper writes to stdout while it cannot reach a collector.

The line holds the bytes of the request that could not be sent: should they have come by the network too, they are
known, and kept once.
"""

import binascii
from collections.abc import Mapping
from typing import Any

from faasight_collector import admit
from faasight_collector.decompress import decompress
from faasight_collector.errors import Refusal
from faasight_collector.inputs.batch import Batch
from faasight_collector.inputs.json_line import log_line
from faasight_collector.inputs.lines import Line
from faasight_collector.parts import Part

KEY = "faasight.otlp"  # its value is the signal; `z` is base64 of zlib of the OTLP request
_MAX_BYTES = 4 * 1024 * 1024  # of one request; the wrapper keeps 1 MiB at most


def take(batch: Batch, _owner: Line, document: Mapping[str, Any], ts: int) -> Line | None:
    """Add the request to the batch; what is none stays a log line."""
    signal, packed = document.get(KEY), document.get("z")
    if not isinstance(signal, str) or signal not in admit.REQUESTS or not isinstance(packed, str):
        return log_line(document, ts)
    try:
        body = decompress("deflate", binascii.a2b_base64(packed, strict_mode=True), _MAX_BYTES)
        batch.give(Part(signal, admit.protobuf(signal, body)))
    except (ValueError, Refusal):
        return log_line(document, ts)
    return None
