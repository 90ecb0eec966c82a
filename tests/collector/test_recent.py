"""Recent requests are remembered, within a bound."""

from faasight_collector.recent import RecentDigests


def test_it_remembers_at_least_one_generation_and_at_most_two() -> None:
    recent = RecentDigests(generation=100)
    digests = [b"%16d" % n for n in range(1000)]
    for digest in digests:
        recent.add(digest)
    assert all(digest in recent for digest in digests[-100:])
    assert sum(digest in recent for digest in digests) <= 200


def test_what_is_kept_in_batches_is_forgotten_as_what_is_added_one_by_one() -> None:
    recent = RecentDigests(generation=100)
    digests = [b"%16d" % n for n in range(1000)]
    for start in range(0, 1000, 7):
        recent.keep(digests[start : start + 7])
        assert recent.claim(digests[start : start + 8]).known == set(digests[start : start + 7])
    assert recent.claim(digests[-100:]).known == set(digests[-100:])
    assert len(recent.claim(digests).known) <= 200
