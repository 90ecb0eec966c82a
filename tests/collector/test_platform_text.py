"""The platform's text lines, START, REPORT and the like, become the platform's events."""

import pytest
from faasight_collector.inputs.platform_text import platform_text
from hypothesis import given
from hypothesis import strategies as st

ID = "6d68ca91-49c9-448d-89b8-7ca3e6dc66aa"
TS = 1_700_000_000_000_000_000


def only(message: str) -> dict[str, object]:
    found = platform_text(message, TS)
    assert found is not None
    (line,) = found
    return {key: value for key, value in line.items() if value not in (None, "", {})}


def test_start() -> None:
    found = only(f"START RequestId: {ID} Version: $LATEST\n")
    assert found == {"kind": "start", "ts": TS, "request_id": ID, "version": "$LATEST"}


def test_end_says_nothing_new() -> None:
    assert platform_text(f"END RequestId: {ID}\n", TS) == []


def test_report_of_a_cold_start_with_a_trace() -> None:
    message = (
        f"REPORT RequestId: {ID}\tDuration: 101.51 ms\tBilled Duration: 218 ms\tMemory Size: 128 MB\t"
        "Max Memory Used: 36 MB\tInit Duration: 116.67 ms\t\n"
        "XRAY TraceId: 1-5759e988-bd862e3fe1be46a994272793\tSegmentId: 557abcec3ee5a047\tSampled: true\t\n"
    )
    assert only(message) == {
        "kind": "report",
        "ts": TS,
        "request_id": ID,
        "duration_ms": 101.51,
        "billed_ms": 218.0,
        "memory_mb": 128.0,
        "memory_used_mb": 36.0,
        "init_ms": 116.67,
        "attributes": {"tracing": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=557abcec3ee5a047;Sampled=1"},
    }


def test_report_of_a_failure_has_a_status_and_its_type() -> None:
    message = (
        f"REPORT RequestId: {ID}\tDuration: 500.20 ms\tBilled Duration: 501 ms\tMemory Size: 128 MB\t"
        "Max Memory Used: 128 MB\tStatus: error\tError Type: Runtime.OutOfMemory\n"
    )
    found = only(message)
    assert (found["status"], found["error_type"], found["duration_ms"]) == ("error", "Runtime.OutOfMemory", 500.2)


def test_report_after_a_restore() -> None:
    message = (
        f"REPORT RequestId: {ID}\tDuration: 306.34 ms\tBilled Duration: 610 ms\tMemory Size: 3009 MB\t"
        "Max Memory Used: 155 MB\tRestore Duration: 511.25 ms\tBilled Restore Duration: 303 ms\t\n"
    )
    found = only(message)
    assert (found["init_ms"], found["init_type"]) == (511.25, "snap-start")
    assert (found["duration_ms"], found["billed_ms"]) == (306.34, 610.0), "not the restore's"
    assert found["attributes"] == {"restoreDurationMs": "511.25", "billedRestoreDurationMs": "303"}


def test_report_printed_with_spaces_for_tabs() -> None:
    message = f"REPORT RequestId: {ID} Duration: 7 ms Billed Duration: 8 ms Memory Size: 128 MB Max Memory Used: 36 MB"
    found = only(message)
    assert (found["duration_ms"], found["billed_ms"], found["memory_mb"], found["memory_used_mb"]) == (7, 8, 128, 36)


def test_init_report_of_a_failed_init() -> None:
    found = only(
        "INIT_REPORT Init Duration: 5.36 ms\tPhase: init\tStatus: error\tError Type: Runtime.InvalidEntrypoint\n"
    )
    assert (found["kind"], found["init_ms"], found["status"]) == ("init", 5.36, "error")
    assert (found["error_type"], found["attributes"]) == ("Runtime.InvalidEntrypoint", {"phase": "init"})


def test_init_start_names_the_runtime() -> None:
    found = only(
        "INIT_START Runtime Version: python:3.13.v31\tRuntime Version ARN: arn:aws:lambda:eu-west-1::runtime:0a\n"
    )
    assert found["kind"] == "init_start"
    assert found["attributes"] == {
        "runtimeVersion": "python:3.13.v31",
        "runtimeVersionArn": "arn:aws:lambda:eu-west-1::runtime:0a",
    }


def test_a_timeout_is_a_fault_and_a_line_to_search_for() -> None:
    found = platform_text(f"2026-11-21T08:00:03.000Z {ID} Task timed out after 3.00 seconds\n\n", TS)
    assert found is not None
    fault, line = found
    assert (fault["kind"], fault["status"], fault["request_id"]) == ("fault", "timeout", ID)
    assert (line["kind"], line["level"], line["request_id"]) == ("log", "ERROR", ID)
    assert line["message"].endswith("Task timed out after 3.00 seconds")


def test_a_runtime_that_exits() -> None:
    text = f"RequestId: {ID} Error: Runtime exited with error: signal: killed\nRuntime.ExitError\n"
    found = platform_text(text, TS)
    assert found is not None
    fault, line = found
    assert (fault["kind"], fault["error_type"], fault["status"]) == ("fault", "Runtime.ExitError", "failure")
    assert (line["kind"], line["request_id"]) == ("log", ID)


@pytest.mark.parametrize(
    "message", ["hello", "", f"we START RequestId: {ID}", "REPORTING RequestId", "Duration: 5 ms", f"{ID} is done"]
)
def test_the_functions_own_lines_are_not_the_platforms(message: str) -> None:
    assert platform_text(message, TS) is None


@pytest.mark.parametrize("message", ["START RequestId: x", "REPORT RequestId: x\tDuration: 1 ms", "EXTENSION\tName: x"])
def test_a_platform_line_that_cannot_be_read_is_none_of_the_functions(message: str) -> None:
    assert platform_text(message, TS) == []


@given(
    st.lists(st.sampled_from(["Duration: ", "Billed Duration: ", "Status: ", "\t", " ", "ms", "9" * 400, "1.5", "\n"])),
    st.sampled_from([f"REPORT RequestId: {ID}\t", "INIT_REPORT ", "RESTORE_REPORT ", f"{ID} Task timed out after "]),
)
def test_any_fields_at_all_make_numbers_or_nothing(pieces: list[str], start: str) -> None:
    for line in platform_text(start + "".join(pieces), TS) or []:
        assert all(line.get(key) is None or line[key] < 1e16 for key in ("duration_ms", "billed_ms", "init_ms"))
