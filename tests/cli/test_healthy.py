"""A container's health check reaches its collector in plain text, over TLS, and where clients need a certificate."""

import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
from faasight_cli import healthy, settings
from faasight_collector import Collector
from faasight_collector import Settings as CollectorSettings
from faasight_collector.access.tls import TlsFiles
from faasight_store import Store, StoreUnavailableError
from ports import free_ports

from tests.support.certificates import Authority


class StoreAway:
    """A store that cannot be reached: a collector is ready all the same."""

    def query(self, *_: object, **__: object) -> None:
        """Refuse, as a store that is away does."""
        raise StoreUnavailableError("away")

    land = insert = command = memory = query


@pytest.mark.parametrize("tls", ["none", "certificate", "client_ca"])
def test_a_collector_is_healthy_while_it_is_ready(tmp_path: Path, tls: str, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("collector")
    ca = authority.ca if tls == "client_ca" else None
    files = TlsFiles(certificate=pair.certificate, key=pair.key, client_ca=ca)
    (port,) = free_ports(1)
    said = {"FAASIGHT_COLLECTOR_HTTP": f"0.0.0.0:{port}", "HTTP_PROXY": "http://127.0.0.1:1", "https_proxy": "x"}
    if tls != "none":
        said["FAASIGHT_TLS_CERTIFICATE"] = str(pair.certificate)
    if tls == "client_ca":
        said["FAASIGHT_TLS_CLIENT_CA"] = str(authority.ca)
    own = CollectorSettings(
        journal_dir=tmp_path / "journal", http_port=port, grpc_port=None, tls=None if tls == "none" else files
    )
    monkeypatch.delenv("HTTP_PROXY", raising=False)
    assert "does not answer" in healthy.verdict(said)
    collector = Collector(own, cast(Store, StoreAway()))
    collector.start()
    try:
        command = [sys.executable, "-m", "faasight_cli.healthy"]
        subprocess.run(command, env={**os.environ, **said}, check=True, timeout=180)
        assert healthy.verdict(said) == ""
        if tls != "client_ca":
            monkeypatch.setattr(collector.journal.inventory, "_disk_free", 0)
            monkeypatch.setattr(collector.journal.inventory, "check_disk", lambda: None)
            assert "says 503" in healthy.verdict(said)
    finally:
        collector.stop()


def test_it_knows_the_settings_by_their_names_and_defaults() -> None:
    rows = {row.env: row for row in settings.TABLE}
    assert {"FAASIGHT_COLLECTOR_HTTP", "FAASIGHT_TLS_CERTIFICATE", "FAASIGHT_TLS_CLIENT_CA"} <= set(rows)
    assert str(settings.load({}).collector_http) == healthy._DEFAULT
