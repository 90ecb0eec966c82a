"""Payloads on their spans: only when asked for, without a secret, bounded in size and time, whatever they are."""

import base64
import json
import threading
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faasight
import pytest
from faasight import mask
from faasight.capture import Capture
from faasight.complain import complaints
from hypothesis import given
from hypothesis import strategies as st
from secret_corpus import CORPUS, Hostile

LIMIT = 8_192
ALL = ("event", "result", "error")
EVENTS = Path(__file__).parent / "events"


def shown(payload: Any, limit: int = LIMIT) -> Any:
    """Return what is shown of a payload."""
    text = Capture(ALL, limit).text(payload)
    assert len(text.encode()) <= limit
    return json.loads(text)


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


PLACES: dict[str, Callable[[str], Any]] = {
    "text": lambda text: text,
    "value": lambda text: {"note": text},
    "deep": lambda text: {"Records": [{"detail": {"list": [1, [text]]}}]},
    "key": lambda text: {text: 1},
    "body": lambda text: {"body": json.dumps({"note": text})},
    "body in a message": lambda text: {"body": json.dumps({"Message": json.dumps({"a": {"note": text}})})},
    "body that is no JSON": lambda text: {"body": "{" + text},
    "base64": lambda text: {"kinesis": {"data": b64(text)}},
    "JSON in base64": lambda text: {"message": {"data": b64(json.dumps({"note": text}))}},
    "after much": lambda text: {"fill": ["x" * 90] * 60, "note": text},
    "at the cut": lambda text: {"fill": "x" * 1_000 + " " + text},
    "tuple": lambda text: (text, {text}),
}


@pytest.mark.parametrize(("around", "secret"), CORPUS.values(), ids=CORPUS)
@pytest.mark.parametrize("place", PLACES)
def test_no_secret_of_the_corpus_is_kept(around: str, secret: str, place: str) -> None:
    text = Capture(ALL, LIMIT).text(PLACES[place](around.format(secret)))
    assert secret not in text
    assert secret not in json.dumps(json.loads(text), ensure_ascii=False)
    assert secret[:12] not in text


@pytest.mark.parametrize(
    "payload",
    [
        {"password": "hunter2"},
        {"user": {"Api-Key": ["hunter2"]}},
        {"headers": {"Cookie": "hunter2", "X-Api-Key": "hunter2"}, "cookies": ["a=hunter2"]},
        {"queryStringParameters": {"token": "hunter2"}, "rawQueryString": "a=1&token=hunter2"},
        {"body": '{"pin": "hunter2", "card": {"cvv": "hunter2"}}'},
        {"body": b64('{"pin": "hunter2"}'), "isBase64Encoded": True},
        {"body": "user=bob&pin=hunter2&otp=hunter2"},
        {"body": b64("user=bob&pin=hunter2")},
        {"Records": [{"body": json.dumps({"Message": json.dumps({"pin": "hunter2"})})}]},
        {"Records": [{"messageAttributes": {"password": {"stringValue": "hunter2"}}}]},
        {"Records": [{"dynamodb": {"NewImage": {"email": {"S": "hunter2"}}}}]},
        {"fields": [{"name": "password", "value": "hunter2"}, {"Key": "db_password", "Value": "hunter2"}]},
        {"password": {"nested": ["hunter2"]}},
        {"iban": "hunter2"},
    ],
)
def test_a_telling_key_hides_its_value_wherever_it_stands(new_agent: Any, payload: Any) -> None:
    new_agent(FAASIGHT_MASK_KEYS="iban")
    text = Capture(ALL, LIMIT).text(payload)
    assert "hunter2" not in text
    assert b64("hunter2")[:8] not in text
    assert "***" in text


def test_what_tells_no_secret_stays_as_it_is() -> None:
    payload = {"id": "o-1", "items": [{"sku": "tea", "count": 2, "price": 3.5}], "gift": True, "note": None, "": "ä"}
    assert shown(payload) == payload
    for sample in ("api_gateway_v2", "sns", "event_bridge"):
        event = json.loads((EVENTS / f"{sample}.json").read_text())
        assert shown(event).keys() == event.keys()


def test_payloads_of_any_kind() -> None:
    class Order:
        def __repr__(self) -> str:
            raise AssertionError("nobody asked for it")

    circular: dict[str, Any] = {}
    circular["self"] = circular
    found = shown({
        "bytes": b"\x00\x01", "decimal": Decimal("1.50"), "date": date(2026, 1, 2), "object": Order(), 7: "number",
        "nan": float("nan"), "inf": -float("inf"), "huge": 10**5_000, "card": 4111111111111111, "text": Hostile("x"),
        "surrogate": "\ud800", "circular": circular, "generator": (i for i in ()), ("a",): 1,
    })  # fmt: skip
    assert found["bytes"] == "<2 bytes>"
    assert (found["decimal"], found["date"], found["7"]) == ("1.50", "2026-01-02", "number")
    assert "Order" in found["object"]
    assert (found["nan"], found["inf"], found["huge"], found["card"]) == ("nan", "-inf", "<16610 bits>", "***")
    assert found["text"] == "x"
    assert "self" in found["circular"]["self"]
    assert found["generator"] == "<builtins.generator>"


@pytest.mark.parametrize(
    "payload",
    [
        {"body": "x" * 6_000_000},
        {"body": json.dumps({"pin": "hunter2", "items": ["tea"] * 1_000_000})},
        {"data": b64("hunter2" * 800_000)},
        {"items": [{"sku": f"tea-{i}", "pin": "hunter2"} for i in range(60_000)]},
        {"x" * 6_000_000: {"pin": "hunter2"}},
        [[[[["tea"] * 50] * 50] * 50] * 50] * 10,
        {"body": "[" * 6_000_000},
        {"body": "a=b&" * 1_500_000},
        {"Records": [{"body": json.dumps({"n": i, "text": 'ä€😀"\\' * 200})} for i in range(2_000)]},
    ],
    ids=["text", "json", "base64", "rows", "key", "nested", "open", "form", "wide"],
)
@pytest.mark.parametrize("limit", [10, 300, LIMIT, 10**9])
def test_what_is_large_is_cut_and_its_rest_is_not_even_read(
    monkeypatch: pytest.MonkeyPatch, payload: Any, limit: int
) -> None:
    read: list[int] = []
    for place, name in ((mask, "text"), (json, "loads")):
        original = getattr(place, name)
        monkeypatch.setattr(place, name, lambda text, original=original: read.append(len(text)) or original(text))
    text = Capture(ALL, limit).text(payload)
    monkeypatch.undo()
    assert len(read) < 3 * 1_000
    assert sum(read) < 3 * (8 * min(limit, 65_536) + 400 * 512), "3 walks: what is parsed, shown, and beyond the cuts"
    assert len(text.encode()) <= min(max(limit, 10), 65_536)
    assert "hunter2" not in json.dumps(json.loads(text))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | inner.map(repr),
    max_leaves=40,
)


@given(json_values, st.integers(10, 2_000))
def test_any_payload_is_json_within_its_limit(payload: Any, limit: int) -> None:
    shown(payload, limit)


def call(handler: Callable[..., Any], event: Any) -> Any:
    return faasight.observe(handler)(event, SimpleNamespace(aws_request_id="1"))


def test_nothing_is_kept_unless_it_is_asked_for(agent: Any, sink: Any) -> None:
    assert agent.capture is None
    call(lambda *_: {"answer": "precious"}, {"question": "precious"})
    sink.wait()
    assert b"precious" not in b"".join(body for _, _, body in sink.requests)


def test_the_event_is_kept_as_it_came_and_the_result_as_it_went(new_agent: Any, sink: Any) -> None:
    new_agent(FAASIGHT_ENDPOINT=sink.endpoint, FAASIGHT_CAPTURE="event, result")

    def handler(event: Any, _context: Any) -> Any:
        event["id"] = "changed"
        return {"password": "hunter2", "id": event["id"]}

    assert call(handler, {"id": "o-1"}) == {"password": "hunter2", "id": "changed"}
    (span,) = sink.wait()
    assert json.loads(span.attributes["faasight.event"]) == {"id": "o-1"}
    assert json.loads(span.attributes["faasight.result"]) == {"password": "***", "id": "changed"}


def test_only_the_events_of_what_fails(new_agent: Any, sink: Any) -> None:
    new_agent(FAASIGHT_ENDPOINT=sink.endpoint, FAASIGHT_CAPTURE="error")

    def handler(event: Any, _context: Any) -> Any:
        if event["do"] == "raise":
            raise ValueError("no")
        return event["do"]

    call(handler, {"do": {"ok": 1}})
    call(handler, {"do": {"batchItemFailures": [{"itemIdentifier": "m-1"}]}})
    call(handler, {"do": {"statusCode": 502}, "requestContext": {"http": {"method": "GET", "path": "/"}}})
    with pytest.raises(ValueError, match="no"):
        call(handler, {"do": "raise"})
    kept = [
        json.loads(span.attributes["faasight.event"])["do"]
        for span in sink.wait(4)
        if "faasight.event" in span.attributes
    ]
    assert kept == [{"batchItemFailures": [{"itemIdentifier": "m-1"}]}, {"statusCode": 502}, "raise"]
    assert not any("faasight.result" in span.attributes for span in sink.spans())


def test_the_event_of_a_time_out_is_kept(function: Any, sink: Any) -> None:
    code = "import time\ndef handler(event, context):\n    time.sleep(60)\n"
    function(code, FAASIGHT_CAPTURE="error").send({"id": "o-1", "password": "hunter2"}, timeout_ms=3_000)
    (span,) = sink.wait()
    assert span.attributes["faasight.outcome"] == "timeout"
    assert json.loads(span.attributes["faasight.event"]) == {"id": "o-1", "password": "***"}


def test_an_event_that_is_changed_meanwhile_is_no_harm() -> None:
    event: dict[int, int] = {}
    stop = threading.Event()

    def change() -> None:
        i = 0
        while not stop.is_set():
            event[i % 1_000] = i
            event.pop((i * 7) % 1_000, None)
            i += 1

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(200):
            shown(event)
    finally:
        stop.set()
        thread.join()


def test_a_wrong_word_is_told_and_nothing_is_kept(
    new_agent: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(complaints, "_next", 0.0)
    assert new_agent(FAASIGHT_CAPTURE="everything").capture is None
    assert "FAASIGHT_CAPTURE='everything': must be of event, result, error" in capsys.readouterr().err


def many(text: str, size: int = 1_500) -> list[str]:
    """Return texts full of one thing, no two alike: what was looked at once is remembered."""
    return [(text * size)[:size] + f"{n:04d}" for n in range(400)]


DEAR: dict[str, Any] = {
    "hints of names": many("api-key "),
    "all hints": many(" ".join(mask._HINTS)),
    "masked to nothing": [f"{text[:160]}password={'x' * 1_300}" for text in many("api-key ")],
    "cards": many("4111 1111 1111 1111 "),
    "keys": dict.fromkeys(many("private ke", 120), "x"),
    "forms": [f"key{text[-4:]}=1{'&a=b' * 1_200}" for text in many("", 0)],
    "JSON": [json.dumps({text[-4:]: text}) for text in many("api-key ", 700)],
    "base64": [{"data": b64(text)} for text in many("api-key ", 900)],
    "letters of two bytes": many("ключ key: "),
}


@pytest.mark.parametrize("payload", DEAR.values(), ids=DEAR)
def test_what_is_dear_to_look_at_is_named_instead(payload: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A millisecond at most for 8 KiB, whatever the payload: counted by the characters that each rule looks at."""
    spent = 0
    look, look_up = mask.text, mask.is_secret
    mask.configure(on=True, keys=())  # forget the keys

    def counted(text: str) -> str:
        nonlocal spent
        spent += len(text) * mask.effort(text)
        return look(text)

    def counted_key(key: object) -> bool:
        nonlocal spent
        spent += 0 if not isinstance(key, str) or mask.is_known(key) else 200 * len(key)
        return look_up(key)

    monkeypatch.setattr(mask, "text", counted)
    monkeypatch.setattr(mask, "is_secret", counted_key)
    kept = shown(payload)
    assert 0 < spent < 1_000_000, "ns"
    assert kept, "the front of it is there"
    for text in json.dumps(kept, ensure_ascii=False).split('"'):
        assert len(text) <= 1_100


def test_beyond_what_it_may_cost_nothing_is_kept_unseen() -> None:
    secret = "correct-horse-battery"
    kept = shown({"fill": many("api-key ", 1_200)[:3], "note": f"password={secret}", "same": secret[:7]})
    assert secret not in json.dumps(kept)
    assert kept["note"] in ("password=***", f"<{len(secret) + 9} characters>")
    assert kept["fill"][-1] == "<1204 characters>"
