"""Counts of invocations in memory, fine enough that the cells of any question can be made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from faasight_store.queries.blocks import Shape
from faasight_store.queries.cells import COUNTS, MAXIMA, SLOT_NS, SUMS, Array, Cells
from faasight_store.queries.figures import factorized
from faasight_store.times import SECOND

NAMES = ("environment", "function", "init_type")
_KEYS = ("began", "slot", "bucket", "init_bucket")  # half minutes (s), and buckets of durations
_SLOT_S = SLOT_NS // SECOND
_AT = f"toUnixTimestamp(toStartOfInterval(toDateTime(%s, 'UTC'), INTERVAL {_SLOT_S} SECOND))"
# Of a cell as steps.spread has it: the SQL of each number, and its type.
_NUMBERS = {
    "began": (_AT % "start", "UInt32"), "slot": (_AT % "cell.slot", "UInt32"), "bucket": ("bucket", "Int16"),
    "init_bucket": ("init_bucket", "Int16"),
    **{name: (name, "UInt32" if name in COUNTS else "Float64") for name in SUMS},
    **{name: (f"ifNull({name}, -1)", "Float64") for name in MAXIMA},
}  # fmt: skip
SELECTED = ", ".join([*NAMES, *(f"to{kind}({sql}) AS of_{name}" for name, (sql, kind) in _NUMBERS.items())])
Name = tuple[str, str, str]  # as NAMES


@dataclass(frozen=True, slots=True)
class Counts:
    """What began in some time, by names, durations, and the half minutes in which it `began` and ran (`slot`).

    Where it began all but its busy time counts, and each half minute has as much of that as it ran there.
    """

    names: Sequence[Name]
    of: Array  # the place of each row's names
    numbers: Mapping[str, Array]  # of _KEYS, SUMS and MAXIMA

    @classmethod
    def of_rows(cls, columns: Mapping[str, Array]) -> "Counts":
        """Return the rows of an answer to SELECTED, those of the same names, durations and times in one."""
        texts = [factorized(columns[name]) for name in NAMES]
        numbers = {name: columns[f"of_{name}"] for name in _NUMBERS}
        _, some, of = np.unique(_code([of for _, of in texts]), return_index=True, return_inverse=True)
        names = tuple(zip(*([told[code[row]] for row in some] for told, code in texts), strict=True))
        groups = _Groups.of([of, *(numbers[name] for name in _KEYS)])
        keys = {name: groups.firsts(numbers[name]) for name in _KEYS}
        sums = {name: groups.summed(name, numbers[name]) for name in (*SUMS, *MAXIMA)}
        return cls(names, groups.firsts(of).astype(np.int32), keys | sums)

    @classmethod
    def together(cls, parts: Sequence["Counts"]) -> "Counts":
        """Return all rows of several."""
        places: dict[Name, int] = {}
        own = [np.array([places.setdefault(name, len(places)) for name in part.names], np.int64) for part in parts]
        of = np.concatenate([mine[part.of] for mine, part in zip(own, parts, strict=True)])
        numbers = {name: np.concatenate([part.numbers[name] for part in parts]) for name in _NUMBERS}
        return cls(tuple(places), of, numbers)

    @property
    def nbytes(self) -> int:
        """How many bytes its columns take; texts are shared."""
        return self.of.nbytes + sum(column.nbytes for column in self.numbers.values())

    def where(self, chosen: Array) -> "Counts":
        """Return the rows for which a mask holds."""
        return Counts(self.names, self.of[chosen], {name: column[chosen] for name, column in self.numbers.items()})

    def cells(self, shape: Shape) -> Cells:
        """Return them grouped by a shape, whatever its function and environment."""
        keys: dict[str, tuple[Array, Array | None]] = {}
        for name in shape.by:
            if name in NAMES:
                told, code = factorized(np.array([some[NAMES.index(name)] for some in self.names], object))
                keys[name] = code[self.of], np.array(told, object)
            elif name == "i":
                keys["slot"] = self.numbers["slot"].astype(np.int64) // shape.unit_s * shape.unit_s, None
            else:
                keys[name] = self.numbers[name].astype(np.int64), None
        groups = _Groups.of([code for code, _ in keys.values()])
        columns: dict[str, Array] = {}
        for name, (code, texts) in keys.items():
            column = groups.firsts(code)
            columns[name] = column if texts is None else texts[column]
        return Cells(columns | {name: groups.summed(name, self.numbers[name]) for name in shape.measures})


NOTHING = Counts((), np.empty(0, np.int32), {name: np.empty(0, kind.lower()) for name, (_, kind) in _NUMBERS.items()})


@dataclass(frozen=True, slots=True)
class _Groups:
    """Rows with equal keys."""

    order: Array  # of the rows, in which equal ones stand together
    begins: Array  # where each group begins in it

    @classmethod
    def of(cls, keys: Sequence[Array]) -> "_Groups":
        """Group rows by the values of some columns."""
        code = _code(keys)
        order = np.argsort(code)
        in_order = code[order]
        begins = np.ones(len(code), bool)
        begins[1:] = in_order[1:] != in_order[:-1]
        return cls(order, np.flatnonzero(begins))

    def firsts(self, column: Array) -> Array:
        """Return a column's value in each group's first row."""
        return column[self.order[self.begins]]

    def summed(self, name: str, column: Array) -> Array:
        """Return a measure of each group: its sum, of MAXIMA the largest."""
        add = np.maximum if name in MAXIMA else np.add
        return add.reduceat(column[self.order], self.begins) if len(self.order) else column


def _code(columns: Sequence[Array]) -> Array:
    """Return one number for the values of several columns in each row."""
    code = np.zeros(len(columns[0]), np.int64)
    for column in columns if len(code) else ():
        low = int(column.min())
        code = code * (int(column.max()) - low + 1) + (column.astype(np.int64) - low)
    return code
