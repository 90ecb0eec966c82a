"""The files that take longest, begun first: a worker that began one of them last would keep the others waiting."""

from collections.abc import Sequence
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
# By what they took in whole runs, a minute and more at the top; a file that is not here takes less than ten seconds.
# The commands mostly wait, the store's mostly compute: they go well side by side. The journeys run before all these.
LONGEST = (
    "store/test_store_metrics.py",
    "dashboards/test_pages.py",
    "store/test_store_lifetime.py",
    "store/test_store_landing.py",
    "alerts/test_delivery.py",
    "store/test_store_cluster.py",
    "store/test_store_backup.py",
    "store/test_store_invocations.py",
    "alerts/test_service.py",
    "emulator/test_counts_agree.py",
    "store/test_store_injection.py",
    "cli/test_up.py",
    "cli/test_local.py",
    "cli/test_security_docs.py",
    "collector/test_kill.py",
    "collector/test_disk_faults.py",
    "store/test_store_nodes.py",
    "store/test_store_errors.py",
    "dashboards/test_map_page.py",
    "cli/test_own_telemetry.py",
    "collector/test_ship.py",
    "store/test_store_connection.py",
    "store/test_store_traces.py",
    "store/test_store_patterns.py",
    "store/test_store_minutes.py",
    "collector/test_javascript.py",
    "collector/test_firehose_kill.py",
    "collector/test_store_faults.py",
    "dashboards/test_trace_page.py",
    "dashboards/test_logs_page.py",
    "emulator/test_state_machines.py",
    "emulator/test_sources_agree.py",
    "instrumentation/test_layer.py",
    "instrumentation/test_witness.py",
    "instrumentation/test_overdue.py",
    "cli/test_doctor.py",
    "cli/test_access.py",
    "cli/test_workers.py",
)


def longest_first(items: list[pytest.Item], names: Sequence[str] = LONGEST) -> None:
    """Sort tests in place by their files' places in the list; within a file nothing moves."""
    places = {TESTS / name: place for place, name in enumerate(names)}
    items.sort(key=lambda item: places.get(item.path, len(places)))
