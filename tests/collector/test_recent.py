"""Recent requests are remembered, within a bound."""

from faasight_collector.recent import RecentDigests


def test_it_remembers_at_least_one_generation_and_at_most_two() -> None:
    recent = RecentDigests(generation=100)
    digests = [b"%16d" % n for n in range(1000)]
    for digest in digests:
        recent.add(digest)
    assert all(digest in recent for digest in digests[-100:])
    assert sum(digest in recent for digest in digests) <= 200
