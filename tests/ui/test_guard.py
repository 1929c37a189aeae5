"""Probes of what gradio leaves open; run again at every gradio upgrade."""

import httpx
import pytest

from studio.engine.fake import FakeEngine, fake_parts
from studio.errors import StudioError
from studio.service import Studio
from studio.settings import Settings
from studio.ui.serve import free_port, serve
from tests.served import Served


@pytest.mark.parametrize("route", ["call/generate", "queue/join", "component_server", "run/predict"])
def test_a_foreign_page_may_not_ask(http: httpx.Client, route: str) -> None:
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1", "http://[", "http://a]b[", ""):
        answer = http.post(f"/gradio_api/{route}", content="{}", headers={"origin": origin, "content-type": "text/plain"})
        assert (answer.status_code, answer.content) == (403, b"")


def test_the_page_itself_may_ask(http: httpx.Client, page: Served) -> None:
    assert http.get("/config", headers={"origin": page.address}).status_code == 200


def test_a_foreign_name_for_this_machine_is_refused(http: httpx.Client) -> None:
    assert http.get("/", headers={"host": "evil.example"}).status_code == 403


def test_run_does_not_go_around_the_queue(http: httpx.Client) -> None:
    assert http.post("/gradio_api/run/generate", json={"data": [{}]}).status_code == 403
    assert http.post("/gradio_api/api/generate", json={"data": [{}]}).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/hostname",
        "/gradio_api/file=%2e%2e/%2e%2e/%2e%2e/etc/hostname",
        "/gradio_api/file=http://example.org/",
        "/gradio_api/proxy=http://example.org/",
        "/gradio_api/deep_link",
        "/monitoring",
    ],
)
def test_no_files_and_no_fetching(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code == 403


def test_nothing_can_be_uploaded(http: httpx.Client) -> None:
    assert http.post("/gradio_api/upload", files={"files": b"x"}).status_code == 403


def test_large_bodies_are_refused(http: httpx.Client) -> None:
    assert http.post("/gradio_api/cancel", content=b" " * 2_000_000).status_code == 413
    # Pictures may travel here, and what is too long for a field is refused by the field's own sentence.
    assert http.post("/gradio_api/run/predict", content=b" " * 2_000_000).status_code != 413
    assert http.post("/gradio_api/call/generate", content=b" " * 2_000_000).status_code != 413
    assert http.post("/gradio_api/call/generate", content=b" " * 61_000_000).status_code == 413


def test_a_body_of_unknown_length_is_refused(http: httpx.Client) -> None:
    assert http.post("/gradio_api/call/generate", content=iter([b" "] * 3)).status_code == 411


def test_a_file_named_in_a_request_is_not_read(http: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> None:
    secret = tmp_path_factory.mktemp("secret") / "secret.png"
    secret.write_bytes(b"secret")
    marked = {"prompt": {"path": str(secret), "meta": {"_type": "gradio.FileData"}}}
    asked = http.post("/gradio_api/call/generate", json={"data": [{"path": str(secret)}]})
    assert (asked.status_code, asked.json()) == (422, {"error": "'path' is no field of a request; leave it out."})
    refused = http.post("/gradio_api/call/generate", json={"data": [marked]})
    assert (refused.status_code, list(refused.json())) == (422, ["error"])


def test_browsers_are_told_to_be_careful(http: httpx.Client) -> None:
    headers = http.get("/").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "default-src 'self'" in headers["content-security-policy"]


def test_without_a_register_only_this_machine_is_served() -> None:
    with pytest.raises(StudioError, match=r"host must be one of 127\.0\.0\.1, localhost, ::1, not 0\.0\.0\.0"):
        serve(Studio(FakeEngine, fake_parts()), Settings(), host="0.0.0.0")


def test_a_taken_port_gives_the_next_one(page: Served) -> None:
    taken = int(page.address.rsplit(":", 1)[1])
    assert free_port("127.0.0.1", taken) > taken
