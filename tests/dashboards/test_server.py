"""The server: starts ready, refuses what is unsafe in one sentence, packs its files, and finds pages."""

import gzip
import os
import resource
import socket
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from components import texts
from faasight_dashboards import Dashboards, ServeError, Settings, create_app, router, search, static
from faasight_dashboards.app import PAGES
from faasight_dashboards.router import Page
from faasight_dashboards.service import refuse_remote
from faasight_store import Store, StoreUnavailableError
from flask import Flask
from panel_calls import ATTENTION

LOCAL = {"Host": "127.0.0.1"}


@pytest.fixture
def web(site: str) -> Iterator[httpx.Client]:
    """Return a client of the running site."""
    with httpx.Client(base_url=site, timeout=180) as client:
        yield client


def test_a_port_in_use_is_one_sentence_that_says_what_to_do(shop_store: Store) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServeError, match=rf"^Port {port} on 127.0.0.1 is in use .* choose another port") as refused:
            Dashboards(Settings(port=port), shop_store).start()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.com"])
def test_listening_beyond_this_machine_is_refused_unless_allowed(host: str) -> None:
    with pytest.raises(ServeError, match="no sign-in"):
        refuse_remote(Settings(host=host))
    refuse_remote(Settings(host=host, allow_remote=True))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_is_not_refused(host: str) -> None:
    refuse_remote(Settings(host=host))


def test_stop_frees_the_port_and_may_be_called_twice(shop_store: Store) -> None:
    dashboards = Dashboards(Settings(port=0), shop_store)
    dashboards.start()
    port = int(dashboards.url.rsplit(":", 1)[1])
    assert httpx.get(dashboards.url, timeout=180).status_code == 200
    dashboards.stop()
    dashboards.stop()
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_two_sites_in_one_process_are_both_whole(shop_store: Store, web: httpx.Client) -> None:
    """Dash keeps pages and callbacks in global lists that the first app empties: ours does not."""
    second = create_app(shop_store, Settings()).server.test_client()
    first_ids = {one["output"] for one in web.get("/_dash-dependencies").json()}
    assert {one["output"] for one in second.get("/_dash-dependencies", headers=LOCAL).json} == first_ids
    assert len(first_ids) > 20


def test_a_foreign_host_name_is_refused(web: httpx.Client) -> None:
    """A page elsewhere could point its own name at 127.0.0.1 and read ours."""
    assert web.get("/", headers={"Host": "evil.example"}).status_code == 403
    assert web.get("/", headers={"Host": "localhost:8050"}).status_code == 200


def test_pages_may_load_from_their_origin_alone(web: httpx.Client) -> None:
    answer = web.get("/")
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in policy["script-src"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/assets/ui.js", "/assets/css/theme.css", "/assets/icons.css"])
def test_static_files_are_compressed_and_kept_by_the_browser(web: httpx.Client, path: str) -> None:
    plain = web.get(path, headers={"Accept-Encoding": "identity"})
    packed = [web.get(path, headers={"Accept-Encoding": "gzip"}) for _ in range(2)]  # the second from memory
    for answer in packed:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert "Accept-Encoding" in answer.headers["Vary"]
        assert answer.text == plain.text
    assert int(packed[0].headers["Content-Length"]) < len(plain.content) / 2
    assert "max-age=31536000" in plain.headers["Cache-Control"]


def test_fonts_are_not_compressed_again(web: httpx.Client) -> None:
    answer = web.get("/assets/fonts/inter-latin-wght-normal.woff2")
    assert answer.status_code == 200
    assert "Content-Encoding" not in answer.headers


def test_files_asked_for_under_ever_new_versions_do_not_fill_the_memory() -> None:
    server, packed = Flask("versions"), static._Packed()
    server.add_url_rule("/_dash-component-suites/<name>", "file", lambda **_: "x" * 2000)
    server.after_request(packed.compress)
    client = server.test_client()
    for version in range(300):
        answer = client.get(f"/_dash-component-suites/a.v{version}.js", headers={"Accept-Encoding": "gzip"})
        assert gzip.decompress(answer.data) == b"x" * 2000
    assert len(packed._bodies) == 256


def test_the_small_plotly_serves_where_there_is_one(tmp_path: Path) -> None:
    bundle = tmp_path / "plotly.js"
    server = Flask("with")
    static.serve(server, bundle)
    client = server.test_client()
    path = "/_dash-component-suites/plotly/package_data/plotly.min.js"
    assert client.get(path).status_code == 404  # left to Dash, which has the full one
    bundle.write_text("small();" * 400)
    with client.get(path, headers={"Accept-Encoding": "gzip"}) as answer:
        assert gzip.decompress(answer.data).startswith(b"small();")


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("/", "Overview"),
        ("/functions", "Functions"),
        ("/functions/", "Functions"),
        ("/functions/a%2Fb", "a/b"),
        ("/alerts", "Alerts"),
        ("/nope", "Not found"),
    ],
)
def test_a_path_finds_its_page(path: str, title: str) -> None:
    content, found = router.show(PAGES, path, "?unknown=1&from=now-3h")
    assert found == title
    assert content is not None


def test_a_variable_of_the_path_wins_over_the_query() -> None:
    content, _ = router.show(PAGES, "/functions/pay", "?name=other")
    assert "pay" in texts(content)
    assert "other" not in texts(content)


def test_a_page_that_fails_says_so_in_its_place() -> None:
    def layout(**_: str) -> None:
        raise StoreUnavailableError("ClickHouse does not answer at db:8123")

    content, title = router.show([Page("/x", "X", layout)], "/x", "")  # type: ignore[arg-type]  # it returns nothing
    assert "ClickHouse does not answer at db:8123" in texts(content)
    assert title == "X"


@pytest.mark.parametrize(
    ("text", "first", "kinds"),
    [
        ("pay", "/functions/payment", ["Function", "Logs"]),
        ("AB" * 16, "/traces/" + "ab" * 16, ["Trace", "Logs"]),
        ("map", "/map", ["Page", "Logs"]),
        ("card declined", "/logs?q=card%20declined", ["Logs"]),
    ],
)
def test_search_leads_to_the_likeliest_first(text: str, first: str, kinds: list[str]) -> None:
    hits = search.find(text, ["checkout", "payment", "order"])
    assert hits[0].href == first
    assert [hit.kind for hit in hits] == kinds


def test_search_answers_over_http(web: httpx.Client) -> None:
    hits = web.get("/-/search", params={"q": "order"}).json()
    assert [hit["text"] for hit in hits if hit["kind"] == "Function"] == ["order", "order-report"]


def test_a_query_that_fails_shows_inside_its_panel(tmp_path: Path) -> None:
    """The store here is not migrated: every query fails, no page does."""

    class Gone:
        """A store whose server is away; a test double at the border."""

        remembers = False

        def expect(self, _seconds: float) -> None:
            """Nothing is read ahead of a store that is away."""

        def beside(self, work: Callable[[], Any]) -> Any:
            return work()

        def remembered(self, _key: object, compute: Callable[[], Any]) -> Any:
            return compute()

        def query(self, *_args: object, **_options: object) -> None:
            raise StoreUnavailableError("ClickHouse does not answer at db:8123. Is it running?")

    client = create_app(Gone(), Settings()).server.test_client()  # type: ignore[arg-type]  # the double
    assert client.get("/", headers=LOCAL).status_code == 200
    answer = client.post("/_dash-update-component", json=ATTENTION, headers=LOCAL)
    assert answer.status_code == 200
    assert "ClickHouse does not answer at db:8123. Is it running?" in answer.text
    assert '"className":"failure"' in answer.text.replace(" ", "")


def test_it_serves_beside_an_engine_that_holds_thousands_of_files(shop_store: Store) -> None:
    """The sockets get high numbers then, which select() cannot take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        dashboards = Dashboards(Settings(port=0), shop_store)
        dashboards.start()
        try:
            with urllib.request.urlopen(dashboards.url, timeout=180) as answer:
                assert answer.status == 200
        finally:
            dashboards.stop()
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
