"""Dead letters: kept whole, shown without secrets, handed in again exactly once."""

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faasight_collector import Collector
from faasight_collector import dead_letters as letters
from faasight_collector.dead_letters import DeadLetters
from faasight_collector.handover import hand_over, segment_id
from faasight_collector.preview import HIDDEN, preview, without_secrets
from faasight_collector.rows import Rows
from faasight_collector.writer import lock_directory
from faasight_store import BadDataError, Store
from otlp import span, traces

Eventually = Callable[[Callable[[], object]], None]
MakeTraces = Callable[..., bytes]
StartCollector = Callable[..., Collector]

FIND = "SELECT lower(hex(span_id)) FROM spans WHERE name = {name:String} ORDER BY 1"


class Refusing:
    """A real store that refuses some data until it is told better, as one does whose schema lacks a column."""

    def __init__(self, store: Store) -> None:
        self.store, self.refused = store, b""

    def land(self, signal: str, segment: bytes | Rows, token: str) -> None:
        """Land, or refuse."""
        segment = bytes(segment)
        if self.refused and self.refused in segment:
            raise BadDataError("no such column")
        self.store.land(signal, segment, token)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


def kept(journal: Path) -> list[letters.Letter]:
    return list(letters.read(journal / letters.FOLDER))


def test_a_letter_is_stored_once_when_it_is_handed_in_again(
    shared_store: Store, start_collector: StartCollector, make_traces: MakeTraces, eventually: Eventually
) -> None:
    """Refused, tried again in vain, and then with success, beside a collector that runs."""
    store, name = Refusing(shared_store), secrets.token_hex(8)
    store.refused = name.encode()
    collector = start_collector(store, adopt_every_s=0.05)
    home, span_id = collector.settings.journal_dir, secrets.token_bytes(8)
    body = make_traces(name=name, ids=[span_id])
    collector.journal.append("traces", body, lambda _: None)
    eventually(lambda: kept(home))
    (first,) = kept(home)
    assert (first.signal, first.reason, first.bytes) == ("traces", "no such column", len(body))
    assert first.path.read_bytes() == body
    hand_over([first], home)
    eventually(lambda: kept(home) and kept(home) != [first])
    (second,) = kept(home)
    assert second.name.startswith("retry1-")
    store.refused = b""
    hand_over([second], home)
    eventually(lambda: shared_store.query(FIND, {"name": name}) == [(span_id.hex(),)])
    eventually(lambda: not list(home.glob("handed-*")) and collector.journal.inventory.usage().pending == 0)
    assert kept(home) == []
    eventually(lambda: collector.journal.inventory.usage().dead_letters == 0)


def test_handed_in_twice_because_it_broke_off_it_is_stored_once(
    shared_store: Store,
    start_collector: StartCollector,
    make_traces: MakeTraces,
    eventually: Eventually,
    tmp_path: Path,
) -> None:
    """The process was killed after the journal was made, and before the letter was deleted."""
    name, span_id = secrets.token_hex(8), secrets.token_bytes(8)
    home = tmp_path / "journal"
    written = DeadLetters(home / letters.FOLDER, lambda: 0.0)
    for _ in range(2):
        written.keep("traces", "letter-0", make_traces(name=name, ids=[span_id]), "refused")
        hand_over(kept(home), home)
    collector = start_collector(shared_store, adopt_every_s=0.05)
    eventually(lambda: not list(home.glob("handed-*")))
    eventually(lambda: collector.journal.inventory.usage().pending == 0)
    assert shared_store.query(FIND, {"name": name}) == [(span_id.hex(),)]


def test_the_name_of_a_letter_that_was_refused_again_tells_the_try() -> None:
    assert segment_id("123-ab-000001-7") == "retry1-123-ab-000001-7"
    assert segment_id("retry1-123-ab-000001-7-0") == "retry2-123-ab-000001-7"
    assert segment_id("retry2-123-ab-000001-7-0") == "retry3-123-ab-000001-7"


def test_a_journal_that_is_not_whole_is_adopted_by_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = DeadLetters(tmp_path / letters.FOLDER, lambda: 0.0)
    written.keep("traces", "letter-0", b"x", "refused")
    (letter,) = kept(tmp_path)
    monkeypatch.setattr(
        "faasight_collector.handover.encode_header", lambda *_: (_ for _ in ()).throw(OSError(28, "full"))
    )
    with pytest.raises(OSError, match="full"):
        hand_over([letter], tmp_path)
    assert not list(tmp_path.glob("*handed-*"))
    assert kept(tmp_path) == [letter]


def test_what_a_killed_retry_left_is_cleared_away_by_the_next(tmp_path: Path) -> None:
    """But for what another one has in its hands at this moment."""
    for name in ("killed", "alive"):
        (tmp_path / f".handed-{name}" / "traces").mkdir(parents=True)
        (tmp_path / f".handed-{name}" / "traces" / "retry1-a.sealed").write_bytes(b"half")
    unlock = lock_directory(tmp_path / ".handed-alive")
    DeadLetters(tmp_path / letters.FOLDER, lambda: 0.0).keep("traces", "letter-0", b"x", "refused")
    whole = hand_over(kept(tmp_path), tmp_path)
    assert {path.name for path in tmp_path.glob("*handed-*")} == {".handed-alive", whole.name}
    unlock()


def test_of_a_letter_whose_deletion_was_killed_nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody sees it any more, and it must not fill the budget for ever. In adopted journals likewise."""
    left, home, unlink = tmp_path / "left", tmp_path / "home", Path.unlink
    for folder in (left, home):
        written = DeadLetters(folder, lambda: 0.0)
        written.keep("traces", "a-0", b"x" * 1000, "refused")
        (letter,) = letters.read(folder)
        with monkeypatch.context() as patch:
            patch.setattr(letters, "sync_directory", lambda _: None)
            patch.setattr(Path, "unlink", lambda path, **more: path.suffix == ".json" and unlink(path, **more))
            letter.delete()
        assert [path.name for path in folder.iterdir()] == ["a-0.bin"]
    again = DeadLetters(home, lambda: 0.0)
    assert again.adopt(left) == 0
    assert again.bytes == 0
    assert [*home.iterdir(), *left.iterdir()] == []


@pytest.mark.parametrize("fails", ["letter-0.bin.part", "letter-0.json.part"])
def test_a_full_disk_leaves_a_letter_whole_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    written = DeadLetters(tmp_path, lambda: 0.0)
    opened = Path.open

    def full(path: Path, *arguments: Any, **more: Any) -> Any:
        if path.name == fails:
            raise OSError(28, "No space left on device")
        return opened(path, *arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(OSError, match="No space"):
            written.keep("logs", "letter-0", b"payload", "why")
    assert list(letters.read(tmp_path)) == []
    written.keep("logs", "letter-0", b"payload", "why")
    (letter,) = letters.read(tmp_path)
    assert letter.path.read_bytes() == b"payload"


def test_what_a_crash_or_a_stranger_left_is_no_letter(tmp_path: Path) -> None:
    (tmp_path / "half.json").write_text('{"signal": "tra')
    (tmp_path / "half.bin").write_bytes(b"x")
    (tmp_path / "alone.bin").write_bytes(b"x")
    (tmp_path / "no body.json").write_text(json.dumps({"signal": "logs", "reason": "", "time": "", "bytes": 1}))
    assert list(letters.read(tmp_path)) == []
    assert list(letters.read(tmp_path / "nowhere")) == []


def test_spoiled_bytes_and_unreadable_input_are_not_tried_again(tmp_path: Path) -> None:
    written = DeadLetters(tmp_path, lambda: 0.0)
    written.keep("traces", "a-at-60", b"x", "journal damage: checksum mismatch")
    written.keep("records", "input-b", b"x", "no JSON")
    written.keep("traces", "c-0", b"x", "refused")
    assert [letter.whole for letter in letters.read(tmp_path)] == [False, True, False]


def test_a_preview_hides_what_is_secret() -> None:
    secret = "s3cr3t-value"
    attributes = {
        "http.request.header.authorization": f"Bearer {secret}",
        "db.password": secret,
        "nested": {"api_key": secret, "fine": "shown-1"},
        "url": f"https://user:{secret}@host/path?token={secret}&page=shown-2",
        "fine": "shown-3",
    }
    body = traces([span("shown-4", 0, 1, attributes=attributes, error=f"login failed: password={secret}")])
    text = preview("traces", body.SerializeToString())
    assert secret not in text
    assert HIDDEN in text
    for n in range(1, 5):
        assert f"shown-{n}" in text
    lines = b'{"message": "Authorization: Bearer %s", "cookie": "%s", "n": 5}\n' % ((secret.encode(),) * 2)
    text = preview("records", lines)
    assert secret not in text
    assert '"n": 5' in text


def test_a_preview_of_what_cannot_be_read_tells_its_size() -> None:
    assert preview("traces", b"\xff" * 30).startswith("30 bytes that cannot be decoded, beginning with ff ff")
    assert preview("records", b"{no").startswith("3 bytes")
    assert len(preview("records", json.dumps({"m": "x" * 10_000}).encode())) < 4200


def test_a_reason_may_quote_the_row_but_not_its_secrets() -> None:
    assert without_secrets("at row: token=abc, path=/x") == f"at row: token={HIDDEN}, path=/x"
