"""How each signal of the journal lands: its table, its format, and the schema that the engine decodes it by."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Protocol


class Pieces(Protocol):
    """A segment that is read once, whole or piece by piece."""

    def __len__(self) -> int:
        """Return its bytes."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield them."""

    def __bytes__(self) -> bytes:
        """Return them all."""


@dataclass(frozen=True, slots=True)
class Landing:
    """Where the bytes of a signal go."""

    table: str
    format: str
    schema: str = ""  # the file of the protobuf message `Row`: a resource with its telemetry


LANDINGS = {
    "traces": Landing("otlp_traces", "Protobuf", "traces.proto"),
    "logs": Landing("otlp_logs", "Protobuf", "logs.proto"),
    "metrics": Landing("otlp_metrics", "Protobuf", "metrics.proto"),
    "records": Landing("records", "JSONEachRow"),
}

# One block for each segment: a fault anywhere in it then leaves nothing stored. Segments are tens of megabytes at most.
_WHOLE = {
    "input_format_parallel_parsing": 0,
    "max_insert_block_size": 100_000_000,
    "max_insert_threads": 1,
    "async_insert": 0,
    # The views group what they write; rows of sums and states are merged later anyway, and queries sum them.
    "optimize_on_insert": 0,
    # Bloom filters are made by the first merge: until then there is little to look through.
    "materialize_skip_indexes_on_insert": 0,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    # Half a second of CPU at the fourth insert of a process, and none of the later ones is faster for it.
    "compile_expressions": 0,
    "compile_aggregate_expressions": 0,
    "compile_sort_description": 0,
    # A clamped clock keeps the days few; this is for the day when someone widens the clamp.
    "max_partitions_per_insert_block": 1000,
}
# To look for better forms of the views' expressions takes longer than it saves, for there are few: inserts of 20,000
# spans, and of five, take a fifth less without (docs/design/store.md).
_AS_WRITTEN = dict.fromkeys(
    (
        "query_plan_enable_optimizations",
        "optimize_and_compare_chain",
        "optimize_arithmetic_operations_in_aggregate_functions",
        "optimize_extract_common_expressions",
        "optimize_functions_to_subcolumns",
        "optimize_group_by_function_keys",
        "optimize_injective_functions_inside_uniq",
        "optimize_multiif_to_if",
        "optimize_normalize_count_variants",
        "optimize_redundant_functions_in_order_by",
        "optimize_rewrite_aggregate_function_with_if",
        "optimize_rewrite_sum_if_to_count_if",
        "optimize_time_filter_with_preimage",
        "optimize_uniq_to_count",
    ),
    0,
)
_JSON = {"input_format_skip_unknown_fields": 1, "input_format_null_as_default": 1}


@cache
def schema(name: str) -> str:
    """Return the protobuf text of a signal."""
    folder = files("faasight_store") / "schemas"
    return (folder / "common.proto").read_text("utf-8") + (folder / name).read_text("utf-8")


def settings(landing: Landing, token: str, schemas: Path | None = None) -> dict[str, str | int]:
    """Return the settings of one insert; `schemas` is the folder made by `keep_schemas`, None for a server."""
    common: dict[str, str | int] = {**_WHOLE, **_AS_WRITTEN, "insert_deduplication_token": token}
    if not landing.schema:
        return common | _JSON
    return common | {
        "format_schema_source": "file" if schemas else "string",
        "format_schema": str(schemas / landing.schema) if schemas else schema(landing.schema),
        "format_schema_message_name": "Row",
        "input_format_protobuf_oneof_presence": 1,  # which member of an AnyValue was sent
    }


def keep_schemas(folder: Path) -> Path:
    """Write the schemas into a folder and return it.

    The embedded engine keeps a schema that is given as text in `__cache__` of the current folder, which may be
    anybody's, or read-only.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for landing in LANDINGS.values():
        if landing.schema:
            new = folder / f"{landing.schema}.{os.getpid()}"
            new.write_text(schema(landing.schema), "utf-8")
            new.replace(folder / landing.schema)  # whole or not at all: another thread may read it
    return folder
