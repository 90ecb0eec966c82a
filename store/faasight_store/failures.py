"""What an engine's failure means: try again, split the data, or tell the user."""

import re

from clickhouse_connect.driver.exceptions import Error as DriverError

from faasight_store.errors import BadDataError, QueryError, StoreError, StoreUnavailableError

# Numbers: ErrorCodes.cpp of ClickHouse. The data itself cannot be read; the same bytes will fail again.
BAD_DATA = {
    6: "CANNOT_PARSE_TEXT",
    26: "CANNOT_PARSE_QUOTED_STRING",
    27: "CANNOT_PARSE_INPUT_ASSERTION_FAILED",
    32: "ATTEMPT_TO_READ_AFTER_EOF",
    33: "CANNOT_READ_ALL_DATA",
    72: "CANNOT_PARSE_NUMBER",
    117: "INCORRECT_DATA",
    131: "TOO_LARGE_STRING_SIZE",
    436: "PROTOBUF_BAD_CAST",
    437: "PROTOBUF_FIELD_NOT_REPEATED",
    444: "UNKNOWN_PROTOBUF_FORMAT",
}
# The user's own words: a pattern that is no regular expression.
BAD_QUERY = {427: "CANNOT_COMPILE_REGEXP"}
# The engine is alive and says no for now.
BUSY = {
    159: "TIMEOUT_EXCEEDED",
    160: "TOO_SLOW",
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    209: "SOCKET_TIMEOUT",
    210: "NETWORK_ERROR",
    225: "NO_ZOOKEEPER",
    241: "MEMORY_LIMIT_EXCEEDED",
    242: "TABLE_IS_READ_ONLY",
    243: "NOT_ENOUGH_SPACE",
    252: "TOO_MANY_PARTS",
    279: "ALL_CONNECTION_TRIES_FAILED",
    285: "TOO_FEW_LIVE_REPLICAS",
    286: "UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE",
    319: "UNKNOWN_STATUS_OF_INSERT",
    369: "ALL_REPLICAS_ARE_STALE",
    999: "KEEPER_EXCEPTION",
}
# A message that gives two members of a `oneof` is valid protobuf (the last one counts), and the engine's BAD_ARGUMENTS.
_BAD_PROTOBUF = "Invalid protobuf data"
_WHOLE_ENGINE = "(total) memory limit"
_IN_A_VIEW = "while pushing to view"
# Another node of the cluster died while it was told of the insert: 32 then speaks of its connection, not of the data.
_OF_A_NODE = re.compile(r"while (receiving packet from|reading from socket|writing to socket)", re.IGNORECASE)
_MEMORY = 241  # a segment that needs too much will need it again
_CODE = re.compile(r"\bCode: (\d+)\.")
_TRAILER = re.compile(r"\s*\(version [^)]*\)+\s*$")


def code_of(error: BaseException) -> int | None:
    """Return ClickHouse's number for the error, None where the request never got an answer."""
    code = getattr(error, "code", None)
    if isinstance(code, int) and code > 1:
        return code
    match = _CODE.search(str(error))
    return int(match.group(1)) if match else None


def of_query(error: DriverError, timeout_s: float) -> StoreError:
    """Return what a failed read means."""
    code = code_of(error)
    if code in (159, 160):
        return StoreUnavailableError(
            f"The query took longer than {timeout_s:g} s and was stopped; choose a shorter time range."
        )
    if code == 241 and _WHOLE_ENGINE in str(error):
        return StoreUnavailableError(
            "The store has no memory left for the query just now; try again, choose a shorter time range, "
            "or give it more (FAASIGHT_STORE_MEMORY_MB for the embedded one)."
        )
    if code == 241:
        return StoreUnavailableError(
            "The query needed more memory than one query may take; choose a shorter time range."
        )
    if code in BAD_QUERY:
        return QueryError(_text(error))
    if code is None or code in BUSY or _OF_A_NODE.search(str(error)):
        return StoreUnavailableError(f"The store did not answer the query; it may work later. {_text(error)}")
    return StoreError(f"The store refused the query. {_text(error)}")


def of_insert(error: DriverError, what: str) -> StoreError:
    """Return what a failed insert means.

    Whatever is not plainly the data's fault can be tried again: a missing table comes with the next migration, a full
    disk gets room. To retry is safe, to drop is not. To split is safe only if nothing was stored: what cannot be
    decoded reaches no table, but when a view fails, the tables of other views may have the whole segment already.
    """
    code, text = code_of(error), str(error)
    of_a_node = _OF_A_NODE.search(text) is not None
    if (code in BAD_DATA or _BAD_PROTOBUF in text) and _IN_A_VIEW not in text and not of_a_node:
        return BadDataError(f"The store cannot read the data of {what}. {_text(error)}")
    refused = StoreUnavailableError(f"The store could not take {what}; it may work later. {_text(error)}")
    refused.answered = code is not None and not of_a_node and (code not in BUSY or code == _MEMORY)
    return refused


def _text(error: BaseException) -> str:
    """Shorten an engine's message: its version is no use to the reader, and its text may hold the whole row."""
    text = _TRAILER.sub("", str(error)).strip()
    return text if len(text) <= 600 else text[:600] + "..."
