"""How much memory a JSON text may ask for: parsed, 20 MB of `{},` are 1.5 GB of objects."""

from faasight_collector.errors import Refusal

_SPARE = 4096
_BYTES_A_BRACKET = 16  # telemetry has 20 to 50; beyond it parsing takes up to 30 times the text


def check_brackets(text: bytes, what: str, most: int = 1 << 62) -> None:
    """Refuse a text with more objects and arrays than one in 16 bytes, or than `most`. Raises Refusal (413)."""
    if len(text) > _SPARE:
        found = text.count(b"{") + text.count(b"[")
        if found > _SPARE + min(len(text) // _BYTES_A_BRACKET, most):
            raise Refusal("too_complex", f"{what} has more objects and arrays than its size allows", http=413)
