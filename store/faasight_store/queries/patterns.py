"""Log patterns, and the attributes that spans and log lines have."""

from faasight_store.connection import Store
from faasight_store.errors import QueryError
from faasight_store.migrate import macro
from faasight_store.pattern_types import AttributeKey, LogPattern
from faasight_store.times import MINUTE, day, from_ns, to_ns, within
from faasight_store.types import Scope

SLOT_NS = 5 * MINUTE  # of the rollup
_SIGNALS = ("spans", "logs")
_WHERE = """({function:String} = '' OR function = {function:String}) AND ({level:String} = '' OR level = {level:String})
    AND ({environment:String} = '' OR environment = {environment:String})"""
_EDGE = f"""SELECT function, level, pattern, count() AS lines, min(ts) AS first, max(ts) AS last,
        anyLast(substringUTF8(message, 1, 1000)) AS sample
    FROM logs WHERE ({{edges}}) AND {_WHERE} GROUP BY function, level, pattern"""
_SLOTS = f"""SELECT function, level, pattern, lines, first, last, sample
    FROM log_patterns WHERE {within("slot", "slots_from", "slots_to")} AND {_WHERE}"""


def patterns(
    store: Store,
    scope: Scope,
    *,
    function: str = "",
    level: str = "",
    search: str = "",
    rare: bool = False,
    limit: int = 50,
) -> list[LogPattern]:
    """Return the patterns of the scope's log lines, the most frequent first (with `rare` the least).

    `search` is looked for in the samples. Whole slots of five minutes come from the rollup, their rest from the lines.
    """
    start, end = to_ns(scope.start), to_ns(scope.end)
    first, last = -(-start // SLOT_NS) * SLOT_NS, end // SLOT_NS * SLOT_NS
    first, last = (first, last) if first < last else (end, end)
    edges = f"{within('ts', 'start', 'slots_from')} OR {within('ts', 'slots_to', 'end')}"
    rows = store.query(
        f"""SELECT pattern, sum(part.lines) AS total, arraySort(groupUniqArray(toString(level))),
            arraySort(groupUniqArray(toString(function))), toUnixTimestamp64Nano(min(first)),
            toUnixTimestamp64Nano(max(last)), anyLast(part.sample) AS sample,
            {macro("log_pattern", "sample")}
        FROM ({_EDGE.replace("{edges}", edges)} UNION ALL {_SLOTS}) AS part
        GROUP BY pattern
        HAVING {{search:String}} = '' OR positionCaseInsensitiveUTF8(sample, {{search:String}}) > 0
        ORDER BY total {"ASC" if rare else "DESC"}, pattern LIMIT {{limit:UInt32}}""",
        {
            "start": start, "end": end, "slots_from": first, "slots_to": last, "function": function, "level": level,
            "environment": scope.environment, "search": search, "limit": limit,
        },
    )  # fmt: skip
    return [
        LogPattern(pattern, template, lines, levels, functions, from_ns(since), from_ns(until), sample)
        for pattern, lines, levels, functions, since, until, sample, template in rows
    ]


def attribute_keys(store: Store, scope: Scope, signal: str, prefix: str = "", limit: int = 100) -> list[AttributeKey]:
    """Return the attributes of a signal (`spans` or `logs`) on the scope's days, the most frequent first.

    Raises QueryError for another signal.
    """
    if signal not in _SIGNALS:
        raise QueryError(f"there are no attribute keys of {signal!r}; choose one of {', '.join(_SIGNALS)}")
    rows = store.query(
        """SELECT key, sum(told.count) AS total, arraySort(groupUniqArrayArray(20)(some)) FROM attribute_keys AS told
        WHERE signal = {signal:String} AND day >= toDate({first:String}) AND day <= toDate({last:String})
          AND startsWith(key, {prefix:String})
        GROUP BY key ORDER BY total DESC, key LIMIT {limit:UInt32}""",
        {
            "signal": signal, "prefix": prefix, "first": day(scope.start), "last": day(scope.end), "limit": limit,
        },
    )  # fmt: skip
    return [AttributeKey(key, count, some) for key, count, some in rows]
