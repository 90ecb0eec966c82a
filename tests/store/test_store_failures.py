"""What an engine's failure means, by the messages that it gave when a node of a cluster was killed."""

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from faasight_store import BadDataError, StoreUnavailableError
from faasight_store.failures import of_insert, of_query

A_NODE_DIED = (
    "Code: 32. DB::Exception: Attempt to read after eof: while receiving packet from 127.94.81.2:29000, "
    "local address: 127.0.0.1:50514: Insertion status: Wrote 1 blocks and 1 rows on shard 1 replica 0, "
    "127.94.81.2:29000 (average 0 ms per block). (ATTEMPT_TO_READ_AFTER_EOF)"
)
A_NODE_IS_AWAY = (
    "Code: 279. DB::NetException: All connection tries failed. Log: Code: 210. DB::NetException: "
    "Connection refused (127.94.81.2:29000). (ALL_CONNECTION_TRIES_FAILED)"
)
CUT_DATA = (
    "Code: 32. DB::Exception: Attempt to read after eof: (at row 2): While executing "
    "ProtobufRowInputFormat. (ATTEMPT_TO_READ_AFTER_EOF)"
)


@pytest.mark.parametrize("message", [A_NODE_DIED, A_NODE_IS_AWAY])
def test_a_lost_node_is_no_fault_of_the_data_and_the_same_segment_comes_again(message: str) -> None:
    """To take it for bad data would split the segment, whose rows the lost node may have: stored twice, or dropped."""
    refused = of_insert(DatabaseError(message), "a segment")
    assert isinstance(refused, StoreUnavailableError)
    assert not refused.answered
    assert isinstance(of_query(DatabaseError(message), 10), StoreUnavailableError)


def test_data_that_ends_too_early_is_bad_data() -> None:
    assert isinstance(of_insert(DatabaseError(CUT_DATA), "a segment"), BadDataError)
