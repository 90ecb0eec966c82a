"""docker-compose.cluster.yml and the files of deploy/: all names in them agree, and the engine reads what it can."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from faasight_cli.arguments import build_parser
from faasight_cli.settings import TABLE, load

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.cluster.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SERVERS = ["clickhouse-1-1", "clickhouse-1-2", "clickhouse-2-1", "clickhouse-2-2"]
KEEPERS = ["keeper-1", "keeper-2", "keeper-3"]
COLLECTORS = ["collector-1", "collector-2"]
OURS = ["migrate", *COLLECTORS, "dashboards", "alerts"]
HAPROXY = (ROOT / "deploy" / "haproxy.cfg").read_text(encoding="utf-8")


def _xml(name: str) -> ET.Element:
    return ET.parse(ROOT / "deploy" / f"{name}.xml").getroot()


def test_the_services_are_there() -> None:
    assert set(SERVICES) == {*KEEPERS, *SERVERS, "balancer", *OURS}


def test_the_cluster_is_two_shards_of_two_replicas_under_the_name_that_migrate_is_told() -> None:
    (cluster,) = _xml("cluster").findall("remote_servers/*")
    command = build_parser().parse_args(SERVICES["migrate"]["command"])
    assert (command.command, command.cluster) == ("migrate", cluster.tag)
    shards = [[host.text for host in shard.findall("replica/host")] for shard in cluster.findall("shard")]
    assert shards == [SERVERS[:2], SERVERS[2:]]
    assert [e.text for e in cluster.findall("shard/internal_replication")] == ["true", "true"]
    for number, replicas in enumerate(shards, start=1):
        for name in replicas:
            environment = SERVICES[str(name)]["environment"]
            assert (environment["SHARD"], environment["REPLICA"]) == (str(number), name)


def test_keepers_know_each_other_and_the_servers_know_them() -> None:
    keeper = _xml("keeper").find("keeper_server")
    assert keeper is not None
    port = keeper.findtext("tcp_port")
    assert [(e.findtext("host"), e.findtext("port")) for e in _xml("cluster").findall("zookeeper/node")] == [
        (name, port) for name in KEEPERS
    ]
    members = {e.findtext("hostname"): e.findtext("id") for e in keeper.findall("raft_configuration/server")}
    assert members == {name: SERVICES[name]["environment"]["KEEPER_ID"] for name in KEEPERS}
    assert f" {port} " in SERVICES["keeper-1"]["healthcheck"]["test"][1]


def test_what_the_files_take_from_the_environment_is_given() -> None:
    for file, services in (("cluster", SERVERS), ("keeper", KEEPERS)):
        wanted = {element.attrib["from_env"] for element in _xml(file).iter() if "from_env" in element.attrib}
        assert wanted
        for name in services:
            assert wanted <= set(SERVICES[name]["environment"]), name


def test_every_configuration_file_is_there_and_used() -> None:
    files = {name: ROOT / entry["file"] for name, entry in COMPOSE["configs"].items()}
    assert all(file.is_file() for file in files.values())
    used = {config["source"] for service in SERVICES.values() for config in service.get("configs", [])}
    assert used == set(files)
    assert {config["source"] for config in SERVICES["clickhouse-1-1"]["configs"]} == {"clickhouse", "cluster"}


def test_the_balancer_knows_every_server_and_every_collector() -> None:
    parts = dict(re.findall(r"^listen (\S+)\n((?:    .*\n|\n|#.*\n)*)", HAPROXY, re.MULTILINE))
    backends = {name: re.findall(r"server (\S+) (\S+):(\d+) check(.*)", part) for name, part in parts.items()}
    assert sorted(name for name, *_ in backends["clickhouse"]) == SERVERS
    assert [(name, port) for name, _, port, _ in backends["otlp-http"]] == [(name, "4318") for name in COLLECTORS]
    assert [(name, port) for name, _, port, _ in backends["otlp-grpc"]] == [(name, "4317") for name in COLLECTORS]
    assert all(name == host for backend in backends.values() for name, host, *_ in backend)
    # All but one are for when it is away: reads see what was written.
    assert [more.strip() for *_, more in backends["clickhouse"]] == ["", "backup", "backup", "backup"]
    bound = set(re.findall(r"bind :(\d+)", HAPROXY))
    assert bound == {"8123", "4318", "4317"}


@pytest.mark.parametrize("name", OURS)
def test_every_value_is_one_that_the_settings_take(name: str) -> None:
    values = {
        key: re.sub(r"\$\{CLICKHOUSE_PASSWORD[^}]*\}", "a1b2", re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value))
        for key, value in SERVICES[name]["environment"].items()
    }
    assert set(values) <= {row.env for row in TABLE}
    assert load(values).store == "clickhouse://faasight:a1b2@balancer:8123/faasight"
    assert SERVICES[name]["read_only"] is True
    assert SERVICES[name]["cap_drop"] == ["ALL"]


def test_images_are_those_of_one_server_and_ports_are_of_this_machine() -> None:
    one: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    assert {SERVICES[name]["image"] for name in SERVERS} == {one["clickhouse"]["image"]}
    assert {SERVICES[name]["image"] for name in OURS} == {one["migrate"]["image"]}
    assert SERVICES["keeper-1"]["image"].rpartition(":")[2] == one["clickhouse"]["image"].rpartition(":")[2]
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert sorted(ports) == ["127.0.0.1:4317:4317", "127.0.0.1:4318:4318", "127.0.0.1:8050:8050"]


def test_what_must_last_is_on_volumes_of_its_own() -> None:
    mounts = [mount.partition(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])]
    assert sorted(mounts) == sorted(COMPOSE["volumes"])
    assert len(set(mounts)) == len(mounts)


def test_clickhouse_s_logs_of_itself_are_bounded_on_every_server() -> None:
    one = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    assert one["configs"]["clickhouse"] == COMPOSE["configs"]["clickhouse"] == {"file": "deploy/clickhouse.xml"}
    logs = [element for element in _xml("clickhouse") if element.tag.endswith("_log")]
    assert {"query_log", "part_log", "trace_log", "metric_log", "text_log"} <= {log.tag for log in logs}
    for log in logs:
        assert log.attrib.get("remove") == "1" or re.search(r"INTERVAL \d+ DAY DELETE", log.findtext("ttl") or ""), (
            log.tag
        )


_READ = """
import os, sys, chdb
engine = chdb.connect(sys.argv[1])
print(engine.query("SELECT cluster, shard_num, replica_num, host_name FROM system.clusters ORDER BY ALL", "TSV"))
print(engine.query("SELECT * FROM system.macros ORDER BY macro", "TSV"))
print(engine.query("SELECT name FROM system.disks WHERE name = 'backups'", "TSV"), flush=True)
os._exit(0)
"""


def test_the_engine_reads_the_configuration(tmp_path: Path) -> None:
    """Both files as a server merges them, but for the paths that are the server's own."""
    merged = ET.Element("clickhouse")
    merged.extend([*_xml("cluster"), *(e for e in _xml("clickhouse") if "remove" not in e.attrib)])
    text = ET.tostring(merged, encoding="unicode").replace("/var/lib/clickhouse/", f"{tmp_path}/")
    config = tmp_path / "config.xml"
    config.write_text(text, encoding="utf-8")
    environment = {**os.environ, "SHARD": "2", "REPLICA": "clickhouse-2-1", "CLUSTER_SECRET": "s"}
    command = [sys.executable, "-c", _READ, f"{tmp_path / 'data'}?config-file={config}"]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=180).stdout
    rows = [line.split("\t") for line in told.splitlines() if line]
    assert [row[3] for row in rows if row[0] == "faasight"] == SERVERS
    assert ["shard", "2"] in rows
    assert ["replica", "clickhouse-2-1"] in rows
    assert ["backups"] in rows
