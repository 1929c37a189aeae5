"""Holes of gradio 6.31: each probe finds its hole where our layers are taken away, and does not find it where they stand.

When a new gradio closes a hole, the first half fails and says so.
"""

import json
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio import processing_utils, tunneling
from PIL import Image

from studio.errors import StudioError
from studio.settings import Settings
from studio.ui.page import build
from studio.ui.serve import free_port, serve
from studio.ui.share import checked_program
from tests.closed import Closed, closed_fake
from tests.served import first_port
from tests.ui.browserless import Page

EVIL = "https://evil.example"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    with closed_fake(tmp_path_factory.mktemp("guarded")) as closed:
        yield closed


@pytest.fixture(scope="module")
def bare(guarded: Closed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The very same page, launched as gradio does by itself."""
    page = build(guarded.studio, files=tmp_path_factory.mktemp("files"))
    with launched(page) as address:
        yield address


@contextmanager
def launched(page: gr.Blocks) -> Iterator[str]:
    port = free_port("127.0.0.1", first_port() + 300)
    page.launch(server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, quiet=True)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        page.close(verbose=False)


@pytest.fixture
def http(guarded: Closed) -> Iterator[httpx.Client]:
    """The owner, signed in: even they cannot."""
    with guarded.http(guarded.owner()) as http:
        yield http


def foreign_page_may_read(http: httpx.Client) -> bool:
    # A page that is not local, as gradio sees it, is one with another name than localhost.
    headers = {"origin": EVIL, "host": "192.168.7.7:7860", "access-control-request-method": "POST"}
    answers = [http.options("/config", headers=headers), http.get("/config", headers=headers)]
    return any(answer.headers.get("access-control-allow-origin") for answer in answers)


def test_cors_reflects_foreign_origins(bare: str, http: httpx.Client) -> None:
    assert foreign_page_may_read(httpx.Client(base_url=bare))
    assert not foreign_page_may_read(http)


def foreign_page_may_act(http: httpx.Client) -> bool:
    """What a form or script of a foreign page can send without asking first."""
    widget = Page(httpx.Client(base_url=http.base_url, cookies=http.cookies), "visitor-probe-aaaaaa").parts["field-prompt"]
    body = f'{{"component_id": {widget}, "fn_name": "count", "data": ["a", null], "session_hash": "probe-csrf"}}'
    for headers in ({"origin": EVIL, "content-type": "text/plain"}, {"content-type": "text/plain"}):
        if http.post("/gradio_api/component_server", content=body, headers=headers).status_code == 200:
            return True
    return False


def test_plain_text_reaches_server_functions(bare: str, http: httpx.Client) -> None:
    assert foreign_page_may_act(httpx.Client(base_url=bare))
    assert not foreign_page_may_act(http)


def test_run_goes_around_the_queue(bare: str, http: httpx.Client) -> None:
    def probe(client: httpx.Client) -> bool:
        # Whatever the answer says, the function was reached unless the address is not there.
        return client.post("/gradio_api/run/generate", json={"data": [{"steps": 0}]}, timeout=30).status_code not in (403, 404)

    assert probe(httpx.Client(base_url=bare))
    assert not probe(http)


def test_hidden_events_are_callable(bare: str, guarded: Closed) -> None:
    def probe(client: httpx.Client) -> bool:
        config = client.get("/config").json()
        event = next(each for each in config["dependencies"] if each["api_name"] == "on_generate")
        assert event["api_visibility"] == "private"
        body = {"fn_index": event["id"], "data": [None] * len(event["inputs"]), "session_hash": "probe-hidden"}
        return client.post("/gradio_api/queue/join", json=body).status_code == 200

    assert probe(httpx.Client(base_url=bare))
    stranger = guarded.http()
    assert stranger.get("/config").status_code == 401
    body = {"fn_index": 0, "data": [], "session_hash": "probe-hidden"}
    assert stranger.post("/gradio_api/queue/join", json=body).status_code == 401
    assert guarded.http(guarded.guest("maker")).post("/gradio_api/queue/join", json=body | {"fn_index": 10_000}).status_code == 403


def test_picture_inputs_name_any_local_file(guarded: Closed, http: httpx.Client, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    Image.new("RGB", (9, 9), "red").save(secret)
    with gr.Blocks() as page:
        gr.Interface(lambda path: Path(path).stat().st_size, gr.Image(type="filepath"), gr.Number(), api_name="size")
    with launched(page) as address:
        plain = httpx.Client(base_url=address)
        asked = plain.post("/gradio_api/call/size", json={"data": [{"path": str(secret)}]}).json()["event_id"]
        assert str(secret.stat().st_size) in plain.get(f"/gradio_api/call/size/{asked}").text
    # Ours has no input that a path could be given to, neither at the endpoint nor on the page.
    for value in ({"path": str(secret)}, {"controls": [{"kind": "sketch", "image": str(secret)}]}, {"controls": [{"path": str(secret)}]}):
        answer = http.post("/gradio_api/call/generate", json={"data": [value]})
        if answer.status_code == 200:
            told = http.get(f"/gradio_api/call/generate/{answer.json()['event_id']}").text
            assert "event: error" in told and "complete" not in told
    kinds = {type(block).__name__ for block in guarded.server.page.blocks.values()}
    assert kinds <= {"HTML", "Row", "Column", "Api", "JSON", "State", "BrowserState", "Timer"}, (
        "a kind of input that may take paths; look at it first"
    )


def test_files_are_fetched_from_anywhere(bare: str, http: httpx.Client) -> None:
    # Gradio takes the address for one to fetch, and refuses this one only because it is local; ours does not look at it.
    assert "not found" not in httpx.get(f"{bare}/gradio_api/file=http://127.0.0.1:1/", timeout=30).text.lower()
    for address in (
        "http://127.0.0.1:1/",
        "http://169.254.169.254/latest/meta-data/",
        "HTTPS://example.org/",
        "http:/example.org",
        "//example.org/",
    ):
        for route in ("file=", "proxy="):
            assert http.get(f"/gradio_api/{route}{address}").status_code == 403, address


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[str]]]:
    """A server on loopback that gradio takes for a public one: its address, and the paths that it was asked for."""
    asked: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"fetched")

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setattr(processing_utils, "PUBLIC_HOSTNAME_WHITELIST", ["127.0.0.1"])
    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def files_at(address: str) -> dict[str, Any]:
    """Ways of naming a file of that address, as gradio looks for them at any depth."""
    marked = {"path": f"{address}/PLACE", "meta": {"_type": "gradio.FileData"}}
    proxied = {"path": "x", "url": f"{address}/PLACE", "meta": {"_type": "gradio.FileData"}, "is_stream": False, "more": 1}
    return {
        "plain": marked,
        "with-url": marked | proxied | {"path": marked["path"]},
        "deep": [{"a": [[{"b": marked}]]}],
        "no-dict": {"path": "x", "meta": 5},
    }


def bodies(client: httpx.Client, value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every way in which data reaches gradio: the route and the body."""
    config = client.get("/config").json()
    press = next(each for each in config["dependencies"] if each["api_name"] == "on_generate")
    data = [value] + [None] * (len(press["inputs"]) - 1)
    generate = next(each["id"] for each in config["dependencies"] if each["api_name"] == "generate")
    widget = next(part["id"] for part in config["components"] if part["props"].get("elem_id") == "stage")
    yield "run/predict", {"fn_index": press["id"], "data": data, "session_hash": "probe-fetch"}
    yield "run/predict", {"fn_index": press["id"], "data": [data], "session_hash": "probe-fetch", "batched": True}
    yield "queue/join", {"fn_index": press["id"], "data": data, "session_hash": "probe-fetch"}
    yield "queue/join", {"fn_index": generate, "data": [value], "session_hash": "probe-fetch", "event_data": value}
    for route in ("call/generate", "call/generate/", "run/on_generate", "api/on_generate"):
        yield route, {"data": [value]}
    yield "call/v2/generate", {"request": value}
    for route in ("component_server", "component_server/"):
        yield route, {"component_id": widget, "fn_name": "mine", "data": value, "session_hash": "probe-fetch"}


def send(client: httpx.Client, route: str, body: Any) -> httpx.Response:
    """Send a body, spelt so that a search for words in it finds none, and wait for what comes of it."""
    text = json.dumps(body).replace("meta", "m\\u0065ta").replace("FileData", "F\\u0069leData")
    answer = client.post(f"/gradio_api/{route}", content=text, headers={"content-type": "application/json"}, timeout=60)
    if answer.status_code == 200 and "event_id" in (told := answer.json() if route != "run/predict" else {}):
        follow = f"/gradio_api/call/generate/{told['event_id']}" if "call" in route else "/gradio_api/queue/data?session_hash=probe-fetch"
        with client.stream("GET", follow, timeout=60) as stream:
            next((line for line in stream.iter_lines() if "process_completed" in line or "event: " in line), "")
    return answer


def test_a_body_makes_the_server_fetch_any_address(bare: str, guarded: Closed, outside: tuple[str, list[str]]) -> None:
    address, asked = outside
    with httpx.Client(base_url=bare) as plain:
        for number, (route, body) in enumerate(bodies(plain, files_at(f"{address}/bare")["deep"])):
            del asked[:]
            send(plain, route, json.loads(json.dumps(body).replace("PLACE", str(number))))
            if route in ("run/predict", "queue/join") and not body.get("batched"):
                assert asked, route
    del asked[:]
    for role in ("viewer", "maker", "owner"):
        with guarded.http(guarded.owner() if role == "owner" else guarded.guest(role)) as http:
            for kind, value in files_at(f"{address}/ours").items():
                for number, (route, body) in enumerate(bodies(http, value)):
                    body = json.loads(json.dumps(body).replace("PLACE", f"{role}-{number}").replace("probe-fetch", f"probe-fetch-{role}"))
                    answer = send(http, route, body)
                    assert answer.status_code in (403, 422), (role, kind, route)
                    assert answer.status_code == 403 or answer.json()["error"].endswith("."), (role, kind, route)
    assert asked == []


def test_an_open_page_fetches_nothing_either(guarded: Closed, outside: tuple[str, list[str]]) -> None:
    address, asked = outside
    server = serve(guarded.studio, Settings(data_dir=guarded.data_dir), port=first_port() + 400)
    try:
        with httpx.Client(base_url=server.address) as http:
            for value in files_at(f"{address}/open").values():
                for route, body in bodies(http, value):
                    assert send(http, route, body).status_code in (403, 422), route
    finally:
        server.close()
    assert asked == []


def test_uploads_are_taken_from_strangers(bare: str, http: httpx.Client) -> None:
    assert httpx.post(f"{bare}/gradio_api/upload", files={"files": b"x"}).status_code == 200
    assert http.post("/gradio_api/upload", files={"files": b"x"}).status_code == 403


def test_a_tunnel_program_that_is_there_is_run_unchecked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forged = tmp_path / "frpc"
    forged.write_text("#!/bin/sh\necho forged\n")
    forged.chmod(forged.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setattr(tunneling, "BINARY_PATH", str(forged))
    tunneling.Tunnel.download_binary()  # content with it
    with pytest.raises(StudioError, match="not the one it should be and was not run"):
        checked_program(forged, next(iter(tunneling.CHECKSUMS)))
    assert not forged.exists()
