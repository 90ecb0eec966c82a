"""Tokens, one by one: which is let in, how fast, until when; with a clock that the test moves."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from faasight_collector import TokenFileError
from faasight_collector.access import tokens, usage
from faasight_collector.access.guard import Guard
from faasight_collector.access.limit import RateLimit
from faasight_collector.errors import Refusal
from hypothesis import given
from hypothesis import strategies as st
from still_clock import StillClock

from tests.collector.keyring import Keyring

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> StillClock:
    return StillClock(START.timestamp())


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "tokens.json")


@pytest.fixture
def make_guard(keyring: Keyring, clock: StillClock) -> Callable[..., Guard]:
    def make(**limits: float) -> Guard:
        return Guard(keyring.path, clock=clock, monotonic=clock, **limits)

    return make


MakeGuard = Callable[..., Guard]


def refusal(guard: Guard, value: bytes | None, *, name: bytes = b"authorization", use: str = "ingest") -> Refusal:
    with pytest.raises(Refusal) as caught:
        guard.admit({} if value is None else {name: value}, use)
    return caught.value


def test_several_tokens_at_once(keyring: Keyring, make_guard: MakeGuard) -> None:
    secrets = {name: keyring.add(name) for name in ("old", "new")}
    guard = make_guard()
    for name, secret in secrets.items():
        assert guard.admit({b"authorization": f"Bearer {secret}".encode()}).token.name == name


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER  {} "])
def test_the_scheme_in_any_case(keyring: Keyring, make_guard: MakeGuard, form: str) -> None:
    secret = keyring.add("a")
    assert make_guard().admit({b"authorization": form.format(secret).encode()})


def test_the_access_key_of_firehose(keyring: Keyring, make_guard: MakeGuard) -> None:
    guard = make_guard()
    assert refusal(guard, b"wrong", name=b"x-amz-firehose-access-key").http == 401
    secret = keyring.add("firehose")
    guard.refresh()
    assert guard.admit({b"x-amz-firehose-access-key": secret.encode()}).token.name == "firehose"


@pytest.mark.parametrize(
    "value",
    [None, b"", b"Bearer", b"Bearer ", b"Basic QWxhZGRpbg==", b"Bearer \xff\xfe\x00", b"Bearer " + b"x" * 30_000],
)
def test_nothing_or_nonsense_is_unauthenticated(keyring: Keyring, make_guard: MakeGuard, value: bytes | None) -> None:
    keyring.add("a")
    refused = refusal(make_guard(), value)
    assert (refused.http, refused.code, refused.retry_after_s) == (401, 16, None)


@given(change=st.integers(0, 51), letter=st.sampled_from("abcXYZ019-_"))
def test_a_token_with_one_letter_changed_is_unknown(
    tmp_path_factory: pytest.TempPathFactory, change: int, letter: str
) -> None:
    keyring = Keyring(tmp_path_factory.mktemp("keys") / "tokens.json")
    secret = keyring.add("a")
    other = secret[:change] + letter + secret[change + 1 :]
    guard = Guard(keyring.path)
    if other == secret:
        assert guard.verify(secret.encode())
    else:
        with pytest.raises(Refusal):
            guard.verify(other.encode())


def test_neither_the_digest_nor_the_name_is_a_token(keyring: Keyring, make_guard: MakeGuard) -> None:
    keyring.add("checkout")
    guard = make_guard()
    (grant,) = guard.grants()
    for wrong in (grant.token.digest, grant.token.digest.hex().encode(), b"checkout"):
        assert refusal(guard, b"Bearer " + wrong).http == 401


def test_a_refusal_quotes_nothing_of_what_was_sent(keyring: Keyring, make_guard: MakeGuard) -> None:
    keyring.add("a")
    assert "s3cret" not in str(refusal(make_guard(), b"Bearer s3cret"))


def test_an_expired_token_is_refused_by_its_name(keyring: Keyring, make_guard: MakeGuard, clock: StillClock) -> None:
    secret = keyring.add("checkout", expires=START + timedelta(hours=1)).encode()
    guard = make_guard()
    assert guard.verify(secret)
    clock.now += 3600
    guard.refresh()
    assert "'checkout' has expired" in str(refusal(guard, b"Bearer " + secret))


def test_a_token_for_metrics_sends_nothing_and_the_other_way_round(keyring: Keyring, make_guard: MakeGuard) -> None:
    sends, reads = keyring.add("sends").encode(), keyring.add("reads", use="metrics").encode()
    guard = make_guard()
    assert guard.verify(reads, "metrics")
    assert (refusal(guard, b"Bearer " + reads).http, refusal(guard, b"Bearer " + reads).code) == (403, 7)
    assert refusal(guard, b"Bearer " + sends, use="metrics").http == 403


# -- rotation ---------------------------------------------------------------------------------------------------------


def test_a_changed_file_is_followed(keyring: Keyring, make_guard: MakeGuard) -> None:
    old = keyring.add("old").encode()
    guard = make_guard()
    new = keyring.add("new").encode()
    assert refusal(guard, b"Bearer " + new).http == 401
    guard.refresh()
    assert guard.verify(new)
    assert guard.verify(old)
    keyring.drop("old")
    guard.refresh()
    assert refusal(guard, b"Bearer " + old).http == 401
    assert guard.verify(new).used == 2, "its counts go on"


def test_a_damaged_or_missing_file_leaves_the_tokens_as_they_were(keyring: Keyring, make_guard: MakeGuard) -> None:
    secret = keyring.add("a").encode()
    guard = make_guard()
    good = keyring.path.read_bytes()
    for damage in (b"{", b"", good[:-20]):
        keyring.path.write_bytes(damage)
        guard.refresh()
        assert guard.verify(secret)
    keyring.path.unlink()
    guard.refresh()
    assert guard.verify(secret)
    keyring.drop("a")  # the file is back, and whole
    guard.refresh()
    assert refusal(guard, b"Bearer " + secret).http == 401


def test_no_file_at_the_start_is_an_error_with_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(TokenFileError, match="faasight tokens create NAME"):
        Guard(tmp_path / "tokens.json")


def test_the_last_use_is_kept_over_restarts(
    keyring: Keyring, make_guard: MakeGuard, clock: StillClock, tmp_path: Path
) -> None:
    secret = keyring.add("used").encode()
    keyring.add("unused")
    guard = make_guard()
    guard.verify(secret)
    usage.save(tmp_path, guard.grants())
    usage.save(tmp_path, make_guard().grants())  # of the next run, which has not seen it yet
    used, unused = (grant.token for grant in guard.grants())
    assert usage.last_used(tmp_path, used.name, used.digest) == START
    assert usage.last_used(tmp_path, unused.name, unused.digest) is None
    (tmp_path / "tokens-used.json").write_bytes(b"damaged")
    assert usage.last_used(tmp_path, used.name, used.digest) is None


# -- rates ------------------------------------------------------------------------------------------------------------


def test_beyond_its_rate_a_token_is_told_when_to_come_back(
    keyring: Keyring, make_guard: MakeGuard, clock: StillClock
) -> None:
    slow, other = keyring.add("slow", requests_per_s=0.1).encode(), keyring.add("other").encode()
    guard = make_guard()
    guard.verify(slow)
    refused = refusal(guard, b"Bearer " + slow)
    assert (refused.http, refused.code, refused.retry_after_s) == (429, 8, 10)
    assert guard.verify(other), "others are not slowed down"
    clock.now += 10
    assert guard.verify(slow)


def test_a_token_without_a_limit_of_its_own_has_the_usual_one(keyring: Keyring, make_guard: MakeGuard) -> None:
    usual, free = keyring.add("usual").encode(), keyring.add("free", requests_per_s=0).encode()
    guard = make_guard(requests_per_s=5)
    for _ in range(100):
        guard.verify(free)
    for _ in range(10):  # two seconds' worth at once
        guard.verify(usual)
    assert refusal(guard, b"Bearer " + usual).http == 429


def test_several_processes_share_a_limit(keyring: Keyring, make_guard: MakeGuard) -> None:
    secret = keyring.add("a", requests_per_s=8).encode()
    guard = make_guard(share=1 / 4)
    for _ in range(4):  # two seconds' worth of two a second
        guard.verify(secret)
    assert refusal(guard, b"Bearer " + secret).http == 429


def test_a_large_body_is_paid_off_by_those_after_it(keyring: Keyring, make_guard: MakeGuard, clock: StillClock) -> None:
    secret = keyring.add("a", bytes_per_s=1000).encode()
    guard = make_guard()
    guard.verify(secret).spend(12_000)
    assert refusal(guard, b"Bearer " + secret).retry_after_s == 11
    clock.now += 9
    assert refusal(guard, b"Bearer " + secret).http == 429
    clock.now += 1.1
    assert guard.verify(secret)


def test_a_changed_limit_holds_at_once(keyring: Keyring, make_guard: MakeGuard) -> None:
    secret = keyring.add("a").encode()
    guard = make_guard()
    (token,) = (grant.token for grant in guard.grants())
    limited = type(token)(name="a", digest=token.digest, created=token.created, requests_per_s=1)
    tokens.write(keyring.path, (limited,))
    guard.refresh()
    for _ in range(2):
        guard.verify(secret)
    assert refusal(guard, b"Bearer " + secret).http == 429


@given(
    rate=st.floats(0.1, 1000),
    steps=st.lists(st.tuples(st.floats(0, 3), st.floats(0, 500)), min_size=1, max_size=60),
)
def test_the_mean_rate_holds_whatever_comes(rate: float, steps: list[tuple[float, float]]) -> None:
    """All but the last request together never exceed what the time allowed and the burst."""
    clock = StillClock(0.0)
    limit = RateLimit(rate, clock)
    spent = last = 0.0
    for pause, size in steps:
        clock.now += pause
        wait = limit.wait_s()
        if wait == 0:
            limit.spend(size)
            spent, last = spent + size, size
        else:
            clock.now += wait + 1e-6
            assert limit.wait_s() == 0, "who waits as told is let in"
    assert spent - last <= clock.now * rate + max(1.0, 2 * rate) + 1e-6
