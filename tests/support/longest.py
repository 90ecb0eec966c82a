"""The files that take longest, begun first: a worker that began one of them last would keep the others waiting."""

from collections.abc import Sequence
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
# By what they took in a whole run on a busy machine; what is not here takes less than ten seconds on an idle one.
# The commands mostly wait, the store's mostly compute: they go well side by side. The journeys run before all these.
LONGEST = (
    "store/test_store_minutes.py",
    "store/test_store_rollup.py",
    "store/test_store_invocations.py",
    "store/test_store_days.py",
    "store/test_store_blocks.py",
    "store/test_store_connection.py",
    "cli/test_up.py",
    "emulator/test_sources_agree.py",
    "store/test_store_cost.py",
    "store/test_store_metrics.py",
    "store/test_store_memory.py",
    "store/test_store_migrate.py",
    "dashboards/test_map_page.py",
    "store/test_store_nodes.py",
    "store/test_store_injection.py",
    "cli/test_own_telemetry.py",
    "store/test_store_lost.py",
    "collector/test_firehose_kill.py",
    "emulator/test_counts_agree.py",
    "collector/test_ship.py",
    "cli/test_security_docs.py",
    "store/test_store_backup.py",
    "store/test_store_patterns.py",
    "store/test_store_remembered.py",
    "store/test_store_traces.py",
    "store/test_store_landing.py",
    "dashboards/test_trace_page.py",
    "cli/test_workers.py",
    "collector/test_store_faults.py",
    "cli/test_doctor.py",
    "examples/test_shop.py",
    "store/test_store_lifetime.py",
    "cli/test_access.py",
    "collector/test_disk_faults.py",
    "dashboards/test_pages.py",
    "alerts/test_delivery.py",
    "store/test_store_cluster.py",
    "alerts/test_service.py",
    "cli/test_local.py",
    "collector/test_kill.py",
    "collector/test_adoption_faults.py",
    "store/test_store_errors.py",
    "collector/test_javascript.py",
    "dashboards/test_logs_page.py",
    "emulator/test_state_machines.py",
    "instrumentation/test_layer.py",
    "instrumentation/test_witness.py",
    "instrumentation/test_overdue.py",
)


def longest_first(items: list[pytest.Item], names: Sequence[str] = LONGEST) -> None:
    """Sort tests in place by their files' places in the list; within a file nothing moves."""
    places = {TESTS / name: place for place, name in enumerate(names)}
    items.sort(key=lambda item: places.get(item.path, len(places)))
