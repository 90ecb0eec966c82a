"""The API with authorizers and a function URL, in the emulator."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from faasight_emulator import Emulator, Settings

API = Path(__file__).parents[2] / "examples" / "api"


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Play the issuer; give an administrator's token and the file of keys."""
    jwks = tmp_path_factory.mktemp("issuer") / "jwks.json"
    command = [sys.executable, str(API / "tokens.py"), "--jwks", str(jwks)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=180).stdout.strip(), jwks


@pytest.fixture(scope="module")
def api(token: tuple[str, Path]) -> Iterator[Emulator]:
    """Run the template unchanged, without the wrapper."""
    settings = Settings(API / "template.yaml", gateway_port=0, jwks=token[1], collector="http://127.0.0.1:9")
    emulator = Emulator(settings)
    emulator.start()
    yield emulator
    emulator.stop()


def test_who_may_do_what(api: Emulator, token: tuple[str, Path]) -> None:
    """A key for one's own notes, a token with a scope to forget any; the guard's answer is kept for a minute."""
    with httpx.Client(base_url=api.gateway_address, timeout=180) as client:
        ada, bob, eve = ({"x-api-key": f"{name}-key"} for name in ("ada", "bob", "eve"))
        assert client.get("/notes/1").status_code == 401
        assert client.put("/notes/1", content="buy tea", headers=ada).status_code == 200
        assert client.get("/notes/1", headers=ada).json() == {"id": "1", "text": "buy tea"}
        assert client.get("/notes/1", headers=bob).status_code == 404
        assert client.get("/notes/1", headers=eve).status_code == 403
        assert api.counts()["guard"].invocations == 3, "ada, bob and eve, each once"
        assert client.delete("/notes/1", headers=ada).status_code == 401
        forgotten = client.delete("/notes/1", headers={"authorization": f"Bearer {token[0]}"})
        assert forgotten.json() == {"forgotten": "1", "by": "admin"}
        assert client.get("/notes/1", headers=ada).status_code == 404


def test_the_status_page(api: Emulator) -> None:
    """The function URL reaches the published version."""
    assert httpx.get(api.place.urls["StatusFunction"], timeout=180).json() == {"ok": True, "version": "1"}
