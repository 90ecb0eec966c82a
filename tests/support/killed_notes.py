"""What the notes of killed processes tell the next one."""

from faasight.spans import Span
from faasight.witness import Witness


def killed(name: str, began: int = 2**63) -> list[Span]:
    """Return the spans that a process of the function `name`, begun then (ns), finds; its file is closed again."""
    witness = Witness(name)
    try:
        return witness.open(began)
    finally:
        witness.reset()
