"""No secret of the corpus leaves in a span, a metric, a log line or an error text, whatever it is wrapped in."""

import json
import logging
from types import SimpleNamespace
from typing import Any

import faasight
import pytest
from faasight import mask
from faasight.complain import Complaints
from faasight.logs import JsonFormatter
from polling import wait_until
from secret_corpus import CORPUS, Hostile

each = pytest.mark.parametrize(("around", "secret"), CORPUS.values(), ids=CORPUS)


@each
def test_nothing_of_the_corpus_leaves(
    agent: Any, sink: Any, capsys: pytest.CaptureFixture[str], around: str, secret: str
) -> None:
    text = around.format(secret)
    lines = []

    def handler(event: Any, context: Any) -> None:
        faasight.metric("orders", 1, note=text)
        with faasight.span("work", note=text) as span:
            span.set("more", [text]).event("seen", note=text)
            faasight.current_span().fail("Refused", text)
        error = ValueError(text)
        record = logging.makeLogRecord({"msg": text, "args": None, "note": text, "nested": {"a": [text]}, "odd": error})
        record.exc_info = (ValueError, error, None)
        lines.append(JsonFormatter().format(record))
        Complaints().say(text)
        raise error

    with pytest.raises(ValueError) as raised:
        faasight.observe(handler)({}, SimpleNamespace(aws_request_id="1"))
    assert str(raised.value) == text, "the function's own error comes back as it is"
    wait_until(sink.metrics, "the metric has come")
    sink.wait()
    sent = b"".join(body for _, _, body in sink.requests).decode("utf-8", "replace")
    assert "orders" in sent
    for channel in (sent, lines[0], json.dumps(json.loads(lines[0]), ensure_ascii=False), capsys.readouterr().err):
        assert channel
        assert secret not in channel
    assert mask.HIDDEN in sent


@pytest.mark.parametrize(
    "text",
    [
        "order 4711 accepted for customer 12 in 38 ms",
        "commit 35331e4a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e",  # 40 hex digits are no key
        "at 1700000000000000000 ns, request 8f14e45f-ceea-467f-ab1c-3c2d1e0f9a8b",
        "what is this? nothing",
        "/var/task/App/Handlers/OrderHandlerV2/process.py:38",
        "KeyError: 'customer'",
        "4111111111111112 is no card",
        "https://shop.internal:8080/orders/4711",
        "tokens: 12 of 4096 used by the tokenizer",
        "<order><author>Ann</author><pinned>yes</pinned><password></password></order>",
        "@decorator over a method @ 3 o'clock",
        "",
    ],
)
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert mask.text(text) == text


@pytest.mark.parametrize(
    "key",
    ["password", "DB_PASSWORD", "dbPassword", "http.request.header.authorization", "x-api-key", "token", "user.email"],
)
def test_values_of_telling_keys_are_hidden(key: str) -> None:
    assert mask.value(key, "hunter2") == mask.HIDDEN
    assert mask.value("a", {"b": [{key: "hunter2"}]}) == {"b": [{key: mask.HIDDEN}]}


@pytest.mark.parametrize("key", ["http.route", "aws.dynamodb.table_names", "tokens_used", "author", "pinned", "step"])
def test_values_of_other_keys_stay(key: str) -> None:
    assert mask.value(key, "hunter2") == "hunter2"


def test_the_users_own_keys_and_the_switch(new_agent: Any) -> None:
    new_agent(FAASIGHT_MASK_KEYS="iban, birth-day")
    assert [mask.value(key, "x") for key in ("iban", "IBAN", "birth_day", "other")] == ["***", "***", "***", "x"]
    new_agent(FAASIGHT_MASK="off")
    assert mask.value("password", "hunter2") == "hunter2"
    assert mask.text("password=hunter2") == "password=hunter2"
    new_agent()


def test_containers_are_bounded_and_nothing_raises() -> None:
    circular: list[Any] = []
    circular += [circular] * 50
    deep: Any = "password=hunter2"
    for _ in range(5_000):
        deep = [deep]
    for given in (
        circular,
        deep,
        {"a": [0] * 100_000},
        Hostile("x"),
        {Hostile("x"): 1},
        10**5_000,
        object(),
        float("nan"),
    ):
        mask.value("a", given)
    assert "hunter2" not in str(mask.value("a", deep))
    assert mask.value("card", 4111111111111111) == mask.HIDDEN
    assert mask.value("n", 4711) == 4711


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "a.",
        "@",
        "a@",
        "://",
        "://a:",
        "?a=",
        "password",
        "password=",
        "eyJa.",
        "'",
        "A1a/",
        "4 ",
        "-----BEGIN ",
        "<",
        "<pin",
        "<a:",
        "</",
    ],
)
def test_a_long_text_takes_no_longer_than_its_length(piece: str) -> None:
    """A rule whose time is quadratic would take minutes here: what is looked at has 65,536 characters."""
    rest = " key token @ ? :// bearer eyj akia " + piece
    assert len(mask.text(piece * 200_000 + rest)) <= 2 * 65_536
    assert len(mask.text((rest + piece * 60_000)[:65_536])) <= 2 * 65_536


def test_what_is_remembered_as_clean_is_bounded_and_holds_no_secret() -> None:
    """Messages come again and again, and are looked at once; a secret is hidden each time."""
    for i in range(2_000):
        assert mask.text(f"order {i}") == f"order {i}"
        assert mask.text("order accepted") == "order accepted"
        assert mask.text("password=hunter2") == "password=***"
    assert len(mask._clean) <= mask._MAX_CLEAN
    assert not [text for text in mask._clean if "password" in text]
