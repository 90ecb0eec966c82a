"""Invocations cost what the providers' own examples say."""

import pytest
from faasight_store import Store, prices

# What an invocation is, and what it costs by the published rules, reckoned by hand.
CASES = {
    "the platform's word on AWS": (
        {"provider": "aws", "memory_mb": 512, "billed_ms": 1000, "duration_ms": 900},
        0.0000002 + 0.5 * 0.0000166667,
    ),
    "arm": (
        {"provider": "aws", "memory_mb": 1024, "billed_ms": 250, "architecture": "arm64"},
        0.0000002 + 0.25 * 0.0000133334,
    ),
    "the init is billed": (
        {"provider": "aws", "memory_mb": 1024, "duration_ms": 99.2, "init_ms": 400.5},
        0.0000002 + 0.5 * 0.0000166667,
    ),
    "provisioned": (
        {"provider": "aws", "memory_mb": 1024, "billed_ms": 1000, "init_type": "provisioned-concurrency"},
        0.0000002 + 0.0000097222,
    ),
    "provisioned on arm": (
        {
            "provider": "aws",
            "memory_mb": 1024,
            "billed_ms": 1000,
            "init_type": "provisioned-concurrency",
            "architecture": "arm64",
        },
        0.0000002 + 0.0000077778,
    ),
    "managed instances": (
        {"provider": "aws", "memory_mb": 4096, "billed_ms": 1000, "init_type": "lambda-managed-instances"},
        0.0000002,
    ),
    "nobody named the provider": ({"memory_mb": 1024, "billed_ms": 1000}, 0.0000002 + 0.0000166667),
    "unknown memory": ({"provider": "aws", "billed_ms": 1000}, 0.0),
    "Google rounds up to 100 ms": (
        {"provider": "gcp", "memory_mb": 256, "duration_ms": 260},
        0.0000004 + 0.3 * (0.25 * 0.0000025 + 0.4 * 0.00001),
    ),
    "Google, a size between two": (
        {"provider": "gcp", "memory_mb": 600, "duration_ms": 100},
        0.0000004 + 0.1 * (600 / 1024 * 0.0000025 + 1.4 * 0.00001),
    ),
    "Google, larger than the table": (
        {"provider": "gcp", "memory_mb": 65536, "duration_ms": 100},
        0.0000004 + 0.1 * (64 * 0.0000025 + 19.2 * 0.00001),
    ),
    "Azure's example: 0.5 GB for 3 s": (
        {"provider": "azure", "memory_used_mb": 512, "duration_ms": 3000},
        0.0000002 + 1.5 * 0.000016,
    ),
    "Azure takes 160 MB for 256": (
        {"provider": "azure", "memory_used_mb": 160, "duration_ms": 1000},
        0.0000002 + 0.25 * 0.000016,
    ),
    "Azure's least": ({"provider": "azure", "memory_used_mb": 3, "duration_ms": 1}, 0.0000002 + 0.0125 * 0.000016),
    "Azure's most": (
        {"provider": "azure", "memory_used_mb": 9999, "duration_ms": 1000},
        0.0000002 + 1.5 * 0.000016,
    ),
    "another cloud": ({"provider": "alibaba_cloud", "memory_mb": 512, "duration_ms": 100}, 0.0),
}
_NUMBERS = ("memory_mb", "memory_used_mb", "duration_ms", "init_ms", "billed_ms")
_TEXTS = ("provider", "architecture", "init_type")


@pytest.mark.parametrize("case", CASES)
def test_cost(shared_store: Store, case: str) -> None:
    known, expected = CASES[case]
    columns = [f"CAST({{{name}:Nullable(Float64)}}, 'Nullable(Float64)') AS {name}" for name in _NUMBERS]
    columns += [f"{{{name}:String}} AS {name}" for name in _TEXTS]
    parameters = {name: known.get(name) for name in _NUMBERS} | {name: known.get(name, "") for name in _TEXTS}
    ((cost, kind),) = shared_store.query(
        f"SELECT {prices.sql()} AS cost, toTypeName(cost) FROM (SELECT {', '.join(columns)})", parameters
    )
    assert cost == pytest.approx(expected, rel=1e-9, abs=1e-15)
    assert kind == "Float64", "sums of it are columns of rollups"


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ("512 AS memory_mb, 100 AS duration_ms, 20.5 AS init_ms", 0.5 * 0.121),
        ("'gcp' AS provider, 512 AS memory_mb, 130 AS duration_ms", 0.5 * 0.2),
        ("'azure' AS provider, 512 AS memory_mb, 130 AS memory_used_mb, 40 AS duration_ms", 0.25 * 0.1),
    ],
)
def test_gb_seconds_are_those_that_the_platform_bills(shared_store: Store, known: str, expected: float) -> None:
    for name in (*_NUMBERS, "provider"):
        if name not in known:
            known += f", {'NULL' if name in _NUMBERS else repr('')} AS {name}"
    assert shared_store.query(f"SELECT {prices.gb_seconds()} FROM (SELECT {known})") == [(pytest.approx(expected),)]


def test_both_generations_of_google_cost_the_same() -> None:
    gcp = prices.table()["gcp"]
    for size, ghz, vcpu in gcp["cpu"]:
        first, second = ghz * gcp["ghz_second"], vcpu * gcp["vcpu_second"]
        assert first == pytest.approx(second, rel=0.01), size


def test_every_table_names_its_source_and_date() -> None:
    providers = {name: table for name, table in prices.table().items() if name != "note"}
    assert set(providers) == {"aws", "gcp", "azure"}
    for table in providers.values():
        assert table["source"].startswith("https://")
        assert len(table["date"]) == len("2025-08-01")


def test_a_tier_never_costs_more_than_the_one_before() -> None:
    aws = prices.table()["aws"]
    for architecture, tiers in aws["tiers"].items():
        assert tiers[0] == [0, aws["gb_second"][architecture]]
        assert [price for _, price in tiers] == sorted((price for _, price in tiers), reverse=True)
