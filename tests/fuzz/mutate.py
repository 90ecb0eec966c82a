"""Ways to spoil a good input, all from one seeded random generator, so that a finding can be had again."""

import base64
import gzip
import json
import random
import zlib
from collections.abc import Callable
from typing import Any

Mutator = Callable[[random.Random, bytes], bytes]

ODD_BYTES = (b"\x00", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xf0\x9f\x90\xa2", b'"', b"\\", b"{", b"[", b"\n", b"\r")
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 0.5, -0.0, 1e308, -1e308, 5e-324, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, -(1 << 63),
    1 << 64, 10**400, "", "x", "null", "NaN", "-1", "1e999", "9" * 400, "\x00", "\ud800", "żółw 🐢", "\u202e",
    "9999-12-31T23:59:59Z", "0000-00-00T00:00:00Z", "2026-11-21T08:00:00+99:99", "a" * 3000, [], {}, [[]], [{}],
    {"": ""}, [None], {"a": {"b": [1, {"c": None}]}}, float("nan"), float("inf"), "AAEC_w==", "Zg", "=",
)  # fmt: skip


def bytes_at_random(rng: random.Random, body: bytes) -> bytes:
    """Change, drop, repeat or move some bytes."""
    data = bytearray(body)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice((1, 1, 2, 8, 64)))
        match rng.randrange(6):
            case 0:
                data[at:end] = rng.randbytes(end - at)
            case 1:
                del data[at:end]
            case 2:
                data[at:at] = data[at:end] * rng.choice((1, 2, 50))
            case 3:
                data[at:at] = rng.choice(ODD_BYTES) * rng.choice((1, 2, 300))
            case 4:
                del data[at:]
            case _:
                if at < len(data):
                    data[at] ^= 1 << rng.randrange(8)
    return bytes(data)


def json_value(rng: random.Random, body: bytes) -> bytes:
    """Put an odd value, a deep nest or a repetition in some place of a JSON document; other bytes as above."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        lines = body.split(b"\n")
        if len(lines) > 1 and lines != [body]:
            at = rng.randrange(len(lines))
            lines[at] = json_value(rng, lines[at]) if lines[at] else lines[at]
            return b"\n".join(lines)
        return bytes_at_random(rng, body)
    for _ in range(rng.choice((1, 1, 2, 5))):
        document = _changed(rng, document)
    try:
        return json.dumps(document, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    except RecursionError:  # deeper than Python itself can write
        return b"[" * rng.choice((900, 2_000)) + body


def _changed(rng: random.Random, value: Any) -> Any:
    """Return a JSON value with one place of it changed."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        match rng.randrange(12):
            case 0:
                return {name: item for name, item in value.items() if name != key}
            case 1:
                return {(rng.choice(("", key.upper(), "x" * 500, "_aws", "data")) if name == key else name): item
                        for name, item in value.items()}  # fmt: skip
            case _:
                return {**value, key: _changed(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.9:
        at = rng.randrange(len(value))
        match rng.randrange(12):
            case 0:
                return value[:at] + value[at + 1 :]
            case 1:
                return value + [value[at]] * rng.choice((1, 10, 200))
            case _:
                return [*value[:at], _changed(rng, value[at]), *value[at + 1 :]]
    if isinstance(value, str) and rng.random() < 0.4:
        return _text(rng, value)
    if rng.random() < 0.1:
        return _nest(rng)
    return rng.choice(ODD_VALUES)


def _text(rng: random.Random, value: str) -> str:
    """Spoil a text: often there is JSON or base64 in it."""
    if value[:1] in {"{", "["}:
        return json_value(rng, value.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")
    at = rng.randrange(len(value) + 1)
    piece = rng.choice(("", "\t", "\n", " ", "9" * 30, "\x00", "RequestId: ", "Duration: ", "é", "%", value))
    return value[:at] + piece + value[at + rng.choice((0, 1, 5)) :]


def _nest(rng: random.Random) -> Any:
    value: Any = rng.choice(ODD_VALUES)
    for _ in range(rng.choice((3, 60, 120, 300, 900))):
        value = rng.choice(([value], {"a": value}, {"arrayValue": {"values": [value]}}))
    return value


def protobuf_fields(rng: random.Random, body: bytes) -> bytes:
    """Change messages with their structure kept: lengths around a change are right again, most of the time."""
    fields = _fields(body)
    if not fields or rng.random() < 0.15:
        return bytes_at_random(rng, body)
    at = rng.randrange(len(fields))
    number, wire, content = fields[at]
    match rng.randrange(8):
        case 0:
            del fields[at]
        case 1:
            fields += [fields[at]] * rng.choice((1, 20))
        case 2:
            fields[at] = (rng.choice((1, 2, 3, 5, 7, 15, 100, 536870911)), wire, content)
        case 3:
            fields[at] = (number, rng.choice((0, 1, 2, 5)), rng.choice((content, rng.randbytes(8))))
        case 4:
            fields[at] = (number, wire, _scalar(rng, wire))
        case _:
            fields[at] = (number, wire, protobuf_fields(rng, content) if wire == 2 else _scalar(rng, wire))
    return b"".join(_encoded(*field) for field in fields)


def _scalar(rng: random.Random, wire: int) -> bytes:
    if wire == 0:
        return _varint(rng.choice((0, 1, 127, 1 << 31, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)))
    if wire == 2:
        return rng.choice((b"", b"\xff", b"\xed\xa0\x80", rng.randbytes(15), rng.randbytes(16), b"a" * 5000))
    return rng.choice((bytes(8), b"\xff" * 8, rng.randbytes(8), b"\x00\x00\x00\x00\x00\x00\xf8\x7f"))


def _fields(body: bytes) -> list[tuple[int, int, bytes]]:
    """Return the fields of a message, or nothing if it is none."""
    found, at = [], 0
    while at < len(body):
        tag, at = _read_varint(body, at)
        wire, start = tag & 7, at
        if wire == 0:
            _, at = _read_varint(body, at)
        elif wire == 2:
            length, start = _read_varint(body, at)
            at = start + length
        else:
            at += {1: 8, 5: 4}.get(wire, len(body) + 1)
        if at > len(body) or tag >> 3 == 0:
            return []
        found.append((tag >> 3, wire, body[start:at]))
    return found


def _encoded(number: int, wire: int, content: bytes) -> bytes:
    head = _varint(number << 3 | wire)
    return head + (_varint(len(content)) + content if wire == 2 else content)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _read_varint(body: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while at < len(body) and shift < 70:
        number |= (body[at] & 0x7F) << shift
        at += 1
        if not body[at - 1] & 0x80:
            return number, at
        shift += 7
    return number, len(body) + 1


def bomb(rng: random.Random, body: bytes) -> bytes:  # the shape of all mutators
    """Return a small body that is large when it is unpacked, or large when it is parsed."""
    piece = rng.choice((b" ", b"{},", b"[", b'{"a":', b"0,", b"\x0a\x00", b'{"key":"a"},', b"\n", b'"",', b"\x00"))
    return piece * rng.choice((1_000, 100_000, 8_000_000))


def packed(rng: random.Random, body: bytes) -> tuple[str, bytes]:
    """Return a content encoding with the body in it, now and then spoilt."""
    encoding = rng.choice(("gzip", "deflate", *[""] * 20, "zstd", "br"))
    data = body
    if encoding == "gzip":
        data = gzip.compress(body, 1)
    elif encoding == "deflate":
        data = zlib.compress(body, 1)
    return encoding, bytes_at_random(rng, data) if encoding and rng.random() < 0.2 else data


def base64_inside(rng: random.Random, content: bytes) -> str:
    """Return content as Firehose and CloudWatch wrap it."""
    data = gzip.compress(content, 1) if rng.random() < 0.7 else content
    if rng.random() < 0.1:
        data = bytes_at_random(rng, data)
    return base64.b64encode(data).decode()
