"""What the dashboards count of themselves: requests, queries of the store, and answers at hand."""

import pytest
from faasight_dashboards import Settings, create_app
from faasight_dashboards.data import ask
from faasight_dashboards.meters import Meters
from faasight_store import Store, StoreUnavailableError


def _ping(store: Store) -> int:
    return 1


def _gone(store: Store) -> int:
    raise StoreUnavailableError("away")


def test_queries_hits_and_failures_are_counted_by_name(shop_store: Store) -> None:
    meters = Meters()
    server = create_app(shop_store, Settings(), meters).server
    with server.app_context():
        assert [ask(_ping), ask(_ping), ask(_ping)] == [1, 1, 1]
        for _ in range(2):
            with pytest.raises(StoreUnavailableError):
                ask(_gone)

    def value(name: str, **labels: str) -> float | None:
        return meters.registry.get_sample_value(f"faasight_dashboards_{name}", labels)

    ping, gone = (f"{__name__.rpartition('.')[2]}.{query.__name__}" for query in (_ping, _gone))
    assert value("query_seconds_count", query=ping) == 1
    assert (value("cache_total", result="hit"), value("cache_total", result="miss")) == (2, 3)
    assert value("query_failures_total", query=gone, error="StoreUnavailableError") == 2
    assert value("query_seconds_count", query=gone) == 2, "failed ones take time too"


def test_answers_are_counted_by_status_those_that_are_refused_too(shop_store: Store) -> None:
    meters = Meters()
    client = create_app(shop_store, Settings(), meters).server.test_client()
    assert client.get("/", headers={"Host": "127.0.0.1"}).status_code == 200
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 403
    assert meters.registry.get_sample_value("faasight_dashboards_requests_total", {"status": "200"}) == 1
    assert meters.registry.get_sample_value("faasight_dashboards_requests_total", {"status": "403"}) == 1
    assert meters.registry.get_sample_value("faasight_dashboards_request_seconds_count") == 2
