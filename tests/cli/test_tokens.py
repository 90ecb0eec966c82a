"""`faasight tokens`: made once, listed without the secret, revoked; a file that is always whole."""

import stat
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from faasight_cli.main import main
from faasight_collector.access import tokens, usage
from faasight_collector.access.guard import Grant

Say = pytest.CaptureFixture[str]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Name a token file that is not there yet."""
    path = tmp_path / "etc" / "tokens.json"
    monkeypatch.setenv("FAASIGHT_TOKENS", str(path))
    monkeypatch.setenv("FAASIGHT_JOURNAL", str(tmp_path / "journal"))
    return path


@pytest.fixture
def run(capsys: Say) -> Callable[..., tuple[int, str, str]]:
    """Run `faasight tokens ...` and return its status and what it said on both ways."""

    def run_it(*arguments: str) -> tuple[int, str, str]:
        status = main(["tokens", *arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run_it


Run = Callable[..., tuple[int, str, str]]


def test_a_new_token_stands_alone_on_stdout_and_its_digest_in_the_file(file: Path, run: Run) -> None:
    status, out, err = run("create", "checkout", "--expires", "90d")
    secret = out.strip()
    assert (status, out) == (0, f"{secret}\n")
    assert secret.startswith("faasight_")
    assert len(secret) > 50
    assert secret not in err + file.read_text()
    (token,) = tokens.read(file)
    assert token.digest == tokens.digest(secret.encode())
    assert token.expires is not None
    assert timedelta(days=89) < token.expires - datetime.now(UTC) <= timedelta(days=90)


def test_the_file_is_for_its_owner_and_keeps_the_mode_that_it_was_given(file: Path, run: Run) -> None:
    run("create", "one")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o640)
    run("create", "two")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert list(file.parent.iterdir()) == [file]


def test_the_list_tells_all_but_the_secret(file: Path, run: Run, tmp_path: Path) -> None:
    secret = run("create", "checkout", "--requests-per-s", "50", "--mb-per-s", "0.5")[1].strip()
    run("create", "prometheus", "--for", "metrics", "--expires", "12h")
    first, second = tokens.read(file)
    grant = Grant(first, None, None)
    grant.last_used = datetime(2026, 11, 1, 9, 30, tzinfo=UTC).timestamp()
    for folder in (tmp_path / "journal", tmp_path / "journal" / "worker-1"):
        folder.mkdir()
    usage.save(tmp_path / "journal" / "worker-1", [grant, Grant(second, None, None)])
    status, out, _ = run("list")
    lines = out.splitlines()
    assert status == 0
    assert lines[0].split() == ["NAME", "FOR", "CREATED", "EXPIRES", "LAST", "USED", "LIMITS"]
    assert lines[1].startswith("checkout    ingest ")
    assert "never" in lines[1]
    assert lines[1].endswith("2026-11-01 09:30  50 requests/s, 0.5 MB/s")
    assert lines[2].startswith("prometheus  metrics")
    assert lines[2].endswith("-")
    assert secret not in out
    assert first.digest.hex() not in out


def test_an_expired_token_is_marked(file: Path, run: Run) -> None:
    run("create", "old")
    (token,) = tokens.read(file)
    past = tokens.Token(
        name="old", digest=token.digest, created=token.created, expires=datetime(2020, 1, 1, tzinfo=UTC)
    )
    tokens.write(file, (past,))
    assert "2020-01-01 00:00 (expired)" in run("list")[1]


def test_a_name_is_taken_once_and_free_again_when_revoked(file: Path, run: Run) -> None:
    run("create", "checkout")
    status, out, err = run("create", "checkout")
    assert (status, out) == (1, "")
    assert "checkout-2" in err
    assert run("revoke", "checkout")[:2] == (0, "revoked checkout\n")
    assert tokens.read(file) == ()
    assert run("revoke", "checkout")[0] == 1
    assert run("create", "checkout")[0] == 0


def test_without_a_file_it_says_what_to_type(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAASIGHT_TOKENS", raising=False)
    status, _, err = run("create", "checkout")
    assert status == 1
    assert "export FAASIGHT_TOKENS=" in err


@pytest.mark.parametrize("name", ["", "a b", "../x", "-x", "a" * 65, "naïve", "a\n"])
def test_odd_names_are_refused(file: Path, run: Run, name: str) -> None:
    status, _, err = run("create", "--", name)
    assert status == 1
    assert "no name for a token" in err
    assert not file.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"not JSON, but perhaps-a-secret",
        b'{"version": 2, "tokens": []}',
        b'{"version": 1, "tokens": [{"name": "a"}]}',
        b'{"version": 1, "tokens": [{"name": "a", "sha256": "perhaps-a-secret", "created": "2026-01-01"}]}',
        b'{"version": 1, "tokens": [{"name": "a", "sha256": "%s", "created": "perhaps-a-secret"}]}' % (b"0" * 64),
        b'{"version": 1, "tokens": [{"name": "a", "sha256": "%s", "created": "2026-01-01", "requests_per_s": -1}]}'
        % (b"0" * 64),
    ],
)
def test_a_damaged_file_is_one_sentence_that_quotes_nothing_of_it(file: Path, run: Run, content: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    for arguments in (["list"], ["create", "new"], ["revoke", "a"]):
        status, out, err = run(*arguments)
        assert (status, out) == (1, "")
        assert str(file) in err
        assert err.count("\n") == 1
        assert "perhaps-a-secret" not in err
    assert file.read_bytes() == content, "what is not understood is not written over"


def test_many_at_once_lose_none(file: Path) -> None:
    """Each editor waits for the one before; the file is whole at any time."""
    names = [f"token-{number}" for number in range(30)]
    problems: list[BaseException] = []

    def create(name: str) -> None:
        try:
            with tokens.edited(file) as kept:
                kept.append(tokens.Token(name=name, digest=tokens.digest(name.encode()), created=datetime.now(UTC)))
        except BaseException as problem:  # noqa: BLE001  # shown by the assertion
            problems.append(problem)

    threads = [threading.Thread(target=create, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert {token.name for token in tokens.read(file)} == set(names)
