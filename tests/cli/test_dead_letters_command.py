"""`faasight dead-letters`: told, shown, handed in and deleted, of one collector and of several workers."""

import json
from pathlib import Path

import pytest
from faasight_cli.main import main
from faasight_collector.dead_letters import DeadLetters
from otlp import span, traces

Out = pytest.CaptureFixture[str]

BODY = traces([span("work", 0, 1, attributes={"password": "s3cr3t", "colour": "green"})]).SerializeToString()


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a journal with three letters, one of them a worker's."""
    monkeypatch.setenv("FAASIGHT_JOURNAL", str(tmp_path))
    own = DeadLetters(tmp_path / "dead-letters", lambda: 10.0)
    own.keep("traces", "first-0", BODY, "The store cannot read it: token=s3cr3t")
    own.keep("logs", "second-at-9", b"\xff\xfe", "journal damage: checksum mismatch")
    DeadLetters(tmp_path / "worker-2" / "dead-letters", lambda: 20.0).keep(
        "records", "third-0", b'{"a": 1}\n', "no table"
    )
    return tmp_path


def test_list_tells_all_of_them(journal: Path, capsys: Out) -> None:
    assert main(["dead-letters", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[:3] for line in lines] == [
        ["first-0", "traces", f"{len(BODY)} bytes"],
        ["second-at-9", "logs", "2 bytes"],
        ["third-0", "records", "9 bytes"],
    ]
    assert "s3cr3t" not in lines[0]
    assert "1970-01-01T00:00:20" in lines[2]


def test_list_for_programs(journal: Path, capsys: Out) -> None:
    assert main(["dead-letters", "list", "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["name"], one["bytes"], one["whole"]) for one in told] == [
        ("first-0", len(BODY), True),
        ("second-at-9", 2, False),
        ("third-0", 9, True),
    ]


def test_none_is_said(tmp_path: Path, capsys: Out) -> None:
    assert main(["dead-letters", "list", "--journal", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "there are no dead letters\n"


def test_show_decodes_and_hides(journal: Path, capsys: Out) -> None:
    assert main(["dead-letters", "show", "first-0"]) == 0
    out = capsys.readouterr().out
    assert "green" in out
    assert "The store cannot read it" in out
    assert "s3cr3t" not in out


def test_show_raw_gives_the_bytes(journal: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["dead-letters", "show", "--raw", "first-0"]) == 0
    assert capfdbinary.readouterr().out == BODY


def test_retry_makes_a_journal_to_be_adopted(journal: Path, capsys: Out) -> None:
    assert main(["dead-letters", "retry", "--all"]) == 1
    out = capsys.readouterr().out
    assert "handed in again: 2" in out
    assert "not handed in: second-at-9 (journal damage" in out
    handed = sorted(str(path.relative_to(journal).parent.name) for path in journal.glob("handed-*/*/*.sealed"))
    assert handed == ["records", "traces"]
    assert main(["dead-letters", "list"]) == 0
    assert capsys.readouterr().out.startswith("second-at-9")


@pytest.mark.parametrize("way", ["retry", "delete"])
def test_of_a_letter_that_was_refused_again_the_older_one_is_never_handed_in(
    journal: Path, capsys: Out, way: str
) -> None:
    """A retry was killed before it deleted the letter, and another worker got it, and was refused again, twice."""
    for worker, name in ((1, "retry1-third-0-0"), (3, "retry2-third-0-0")):
        letters = DeadLetters(journal / f"worker-{worker}" / "dead-letters", lambda: 30.0)
        letters.keep("records", name, b'{"a": 1}\n', "still no table")
    capsys.readouterr()
    assert main(["dead-letters", "list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "first-0", "second-at-9", "retry2-third-0-0"
    ]  # fmt: skip
    assert main(["dead-letters", way, "retry2-third-0-0"]) == 0
    handed = [path.stem for path in journal.glob("handed-*/records/*.sealed")]
    assert handed == (["retry3-third-0"] if way == "retry" else [])
    assert main(["dead-letters", "list"]) == 0  # nor do they come back when the newest is gone
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[-2:]] == ["first-0", "second-at-9"]
    assert len(list(journal.glob("**/*.bin"))) == 2


def test_delete_deletes(journal: Path, capsys: Out) -> None:
    assert main(["dead-letters", "delete", "first-0", "third-0"]) == 0
    assert "deleted: 2" in capsys.readouterr().out
    assert sorted(path.name for path in journal.glob("**/dead-letters/*")) == ["second-at-9.bin", "second-at-9.json"]


@pytest.mark.parametrize("name", ["nobody", "../lock", "first-0.bin"])
def test_a_name_that_is_none_is_one_clear_sentence(journal: Path, capsys: Out, name: str) -> None:
    for way in ("show", "retry", "delete"):
        assert main(["dead-letters", way, name]) == 1
        assert f"There is no dead letter {name}" in capsys.readouterr().err
    assert len(list(journal.glob("**/*.bin"))) == 3


def test_a_journal_that_is_none_is_one_clear_sentence(tmp_path: Path, capsys: Out) -> None:
    assert main(["dead-letters", "list", "--journal", str(tmp_path / "nowhere")]) == 1
    assert "There is no journal at" in capsys.readouterr().err


def test_which_ones_must_be_said(journal: Path, capsys: Out) -> None:
    for way in ("retry", "delete"):
        with pytest.raises(SystemExit):
            main(["dead-letters", way])
    assert len(list(journal.glob("**/*.bin"))) == 3
