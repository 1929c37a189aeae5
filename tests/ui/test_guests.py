"""What guests can and cannot, over plain HTTP: signing in, whose things are whose, quotas, being shown out, tokens, hosts, the tunnel."""

import base64
import http.server
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio_client import Client
from PIL import Image
from starlette.requests import Request

from studio.access import Access, Quota
from studio.errors import QueueFull, StudioError
from studio.events import Cancelled
from studio.jobs import Job
from studio.people import OWNER, Person
from studio.request import GenerationRequest
from studio.settings import Settings
from studio.storage.access import DiskBook
from studio.ui.panels.guests import server_functions
from studio.ui.serve import Tunnel, serve
from studio.ui.who import KEY
from tests.aside import awaited
from tests.closed import Closed, closed_fake
from tests.served import first_port
from tests.ui.browserless import Page

EVENT = "/gradio_api/call/generate"


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    with closed_fake(tmp_path_factory.mktemp("closed"), step_seconds=0.02) as closed:
        yield closed


def enter(client: httpx.Client, secret: str, **more: str) -> httpx.Response:
    return client.post("/studio/enter", json={"secret": secret, **more})


def data_uri(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def ask(client: httpx.Client, **fields: Any) -> httpx.Response:
    return client.post(EVENT, json={"data": [fields]})


def told(client: httpx.Client, asked: httpx.Response) -> str:
    assert asked.status_code == 200, asked.text
    return client.get(f"{EVENT}/{asked.json()['event_id']}", timeout=60).text


def test_strangers_see_the_sign_in_page_and_nothing_of_the_studio(closed: Closed) -> None:
    answer = closed.http().get("/")
    assert answer.status_code == 401 and "You need an invitation" in answer.text
    assert "gradio" not in answer.text and "prompt" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"] and "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


def test_the_cookie_is_for_browsers_alone(closed: Closed) -> None:
    client = closed.http()
    answer = enter(client, closed.access.invite("maker", name="Ann")[1])
    assert answer.json() == {"name": "Ann", "role": "maker", "came_in": True}
    cookie = answer.headers["set-cookie"]
    assert "; HttpOnly" in cookie and "; SameSite=Lax" in cookie and "Secure" not in cookie
    assert client.get("/config").status_code == 200
    # Cookies do not tell ports apart: other programs' ones come along, and not all are of a form that Python reads.
    (name, value), *_ = client.cookies.items()
    for odd in ('prefs={"x":1}', "who=John Smith", "bare", 'quoted="a', "=", f"{name}x=1"):
        for header in (f"{odd}; {name}={value}", f"{name}={value};{odd}"):
            assert closed.http(headers={"cookie": header}).get("/config").status_code == 200, header
    secure = closed.http(headers={"x-forwarded-proto": "https"})
    assert "; Secure" in enter(secure, closed.access.owner_secret).headers["set-cookie"]


def test_signing_out_forgets_the_session_on_the_server(closed: Closed) -> None:
    cookies = closed.guest("viewer")
    assert closed.http(cookies).get("/config").status_code == 200
    assert "Max-Age=0" in closed.http(cookies).post("/studio/leave", json={}).headers["set-cookie"]
    time.sleep(1.1)  # a cookie is believed for a second
    assert closed.http(cookies).get("/config").status_code == 401


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"secret": 5}', '{"secret": "' + "x" * 300 + '"}', "[" * 4000, "null"])
def test_nonsense_at_the_door_is_one_sentence(closed: Closed, body: str) -> None:
    answer = closed.http().post("/studio/enter", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422 and answer.json()["error"].startswith("The body must be JSON")


def test_guessing_is_slowed_and_written_down(closed: Closed) -> None:
    guesser = closed.http(headers={"x-forwarded-for": "203.0.113.9"})
    statuses = [enter(guesser, f"join_{number}").status_code for number in range(8)]
    assert statuses[:5] == [403] * 5 and 429 in statuses[5:]
    assert int(enter(guesser, "join_x").headers["retry-after"]) >= 1
    # From elsewhere everything goes on.
    assert enter(closed.http(headers={"x-forwarded-for": "203.0.113.10"}), closed.access.invite("viewer")[1]).status_code == 200
    assert any(entry["what"] == "refused" and entry["address"] == "203.0.113.9" for entry in closed.access.log(50))
    tokens = [
        closed.http(headers={"authorization": "Bearer x", "x-forwarded-for": "203.0.113.11"}).get("/config").status_code for _ in range(7)
    ]
    assert tokens[:5] == [401] * 5 and 429 in tokens[5:]


def test_each_reaches_only_their_own(closed: Closed) -> None:
    ann, bob = closed.http(closed.guest("maker")), closed.http(closed.guest("maker"))
    page, other = Page(ann, "visitor-aaaaaaaaaaaa"), Page(bob, "visitor-bbbbbbbbbbbb")
    job = page.generate(steps=2)["job"]
    page.finish(job)
    assert page.call("stage", "picture", [job, 0])
    for function, data in (("poll", [job, -1, -1]), ("picture", [job, 0]), ("unit_map", [job, 0]), ("stop_job", job)):
        assert other.call("stage", function, data) is None
    # Saying that one is the other's page does not help either.
    assert page.call("stage", "mine", "visitor-aaaaaaaaaaaa") == [{"job": job, "over": True}]
    assert other.call("stage", "mine", "visitor-aaaaaaaaaaaa") == []


def test_a_running_job_cannot_be_stopped_by_another_guest(closed: Closed) -> None:
    page, other = (
        Page(closed.http(closed.guest("maker")), "visitor-cccccccccccc"),
        Page(closed.http(closed.guest("maker")), "visitor-dddddddddddd"),
    )
    job = page.generate(steps=40)["job"]
    other.call("stage", "stop_job", job)
    assert page.finish(job)["phase"] == "done"


def test_sessions_events_and_files_are_whose_they_are(closed: Closed) -> None:
    ann, bob, token = closed.http(closed.guest("maker")), closed.http(closed.guest("maker")), closed.access.make_token("maker", name="p")[1]
    asked = ask(ann, steps=2)
    event = asked.json()["event_id"]
    assert bob.get(f"{EVENT}/{event}").status_code == 403
    assert bob.post("/gradio_api/cancel", json={"session_hash": "x", "fn_index": 0, "event_id": event}).status_code == 403
    answer = told(ann, asked)
    url = json.loads(answer.split("event: complete\ndata: ", 1)[1].split("\n", 1)[0])[0]["images"][0]["url"]
    assert ann.get(url).content[1:4] == b"PNG"
    assert [bob.get(url).status_code, closed.http().get(url).status_code] == [403, 401]
    assert closed.http(headers={"authorization": f"Bearer {token}"}).get(url).status_code == 403
    assert closed.http(closed.owner()).get(url).status_code == 200
    page = Page(ann, "visitor-session-of-ann")
    page.call("stage", "mine", "visitor-session-of-ann")
    stolen = {"session_hash": "visitor-session-of-ann", "component_id": page.parts["stage"], "fn_name": "mine", "data": ""}
    # A page that meets 409 is loaded again: it was opened by whoever sat there before.
    assert bob.post("/gradio_api/component_server", json=stolen).status_code == 409
    assert bob.get("/gradio_api/queue/data?session_hash=visitor-session-of-ann").status_code == 409
    for query in ("session_hash=bobs&session_hash=visitor-session-of-ann", "session_hash=visitor-session-of-ann&session_hash=bobs"):
        assert bob.get(f"/gradio_api/queue/data?{query}").status_code == 409
    assert bob.get("/gradio_api/heartbeat/visitor-session-of-ann").status_code == 409


TRAVERSAL = [
    *("/etc/hostname", "../../etc/hostname", "%2e%2e/%2e%2e/etc/hostname", "..%2f..%2fetc%2fhostname", "....//....//etc/hostname"),
    *("\\..\\..\\etc", "/etc/hostname%00.png", "file:///etc/hostname", "~/.ssh/id_rsa", "//etc/hostname", "C:\\Windows\\win.ini"),
    *("CON", "x" * 300, "🙂" * 80),
]


@pytest.mark.parametrize("path", TRAVERSAL, ids=lambda path: path[:20])
def test_traversal_reaches_no_file(closed: Closed, path: str) -> None:
    guest = closed.http(closed.guest("maker"))
    for client in (guest, closed.http(closed.owner())):
        for before in ("", f"{closed.server.files}/owner/", f"{closed.server.files}/../"):
            answer = client.get(f"/gradio_api/file={before}{path}")
            assert answer.status_code in (403, 404), (before, answer.text)
        for route in ("/static/", "/assets/", "/svelte/"):
            assert client.get(f"{route}{path}").status_code in (403, 404)


def test_kept_pictures_are_whose_they_are(closed: Closed) -> None:
    small = data_uri(Image.new("RGB", (32, 32), "red"))
    ann, bob = (
        Page(closed.http(closed.guest("maker")), "visitor-eeeeeeeeeeee"),
        Page(closed.http(closed.guest("maker")), "visitor-ffffffffffff"),
    )
    kept = ann.call("control", "keep", [small, "sketch"])
    assert kept["error"] == "", kept
    assert ann.call("control", "thumbnail", kept["image"])["error"] == ""
    assert "no longer here" in bob.call("control", "thumbnail", kept["image"])["error"]
    unit = {"kind": "sketch", "image": kept["image"]}
    assert "is not here" in bob.generate(controls=[unit])["error"]
    owner = Page(closed.http(closed.owner()), "visitor-owner-owner-1")
    own = owner.call("control", "keep", [small, "sketch"])["image"]
    assert own == kept["image"] and "no longer here" in bob.call("control", "thumbnail", own)["error"]


def test_a_viewer_looks_on_only_while_the_owner_shares(closed: Closed) -> None:
    viewer = Page(closed.http(closed.guest("viewer")), "visitor-viewer-12345")
    owner = Page(closed.http(closed.owner()), "visitor-owner-owner-2")
    job = owner.generate(steps=2)["job"]
    owner.finish(job)
    assert "You may look on here, but not make pictures" in viewer.generate()["error"]
    assert ask(closed.http(closed.guest("viewer"))).status_code == 403
    assert viewer.call("stage", "poll", [job, -1, -1]) is None
    owner.call("guests", "share", True)
    assert viewer.call("stage", "poll", [job, -1, -1])["phase"] == "done"
    assert job in [each["job"] for each in viewer.call("stage", "mine", "visitor-viewer-12345")]
    maker = Page(closed.http(closed.guest("maker")), "visitor-maker-123456")
    assert maker.call("stage", "poll", [job, -1, -1]) is None
    owner.call("guests", "share", False)
    assert viewer.call("stage", "poll", [job, -1, -1]) is None


def test_a_guest_learns_no_path_of_this_machine(closed: Closed) -> None:
    guest = closed.http(closed.guest("maker"))
    page = Page(guest, "visitor-gggggggggggg")
    spoken = [guest.get(path).text for path in ("/config", "/gradio_api/info", "/openapi.json", "/")]
    spoken += [json.dumps(page.call(*call)) for call in (("field-model", "status", None), ("loras", "list_loras", None))]
    assert not [text for text in spoken if str(closed.data_dir) in text or str(Path.home()) in text or "/work/" in text]


def test_the_quota_and_the_queue_are_a_guests_however_many_pages(closed: Closed) -> None:
    cookies = closed.guest("maker", quota=Quota(per_hour=12, waiting=2))
    pages = [Page(closed.http(cookies), f"visitor-many-pages-{number}") for number in range(4)]
    # 256 x 256 x 40 steps are 2.6 megapixel-steps; one runs, two wait.
    answers = [page.generate(steps=40) for page in pages]
    assert [bool(answer["job"]) for answer in answers[:3]] == [True] * 3
    assert "which is all you may" in answers[3]["error"]
    for page, answer in zip(pages, answers[:3], strict=False):
        page.finish(answer["job"])
    assert pages[0].generate(steps=40)["job"]
    assert "are used up; there is room again in 60 min" in pages[1].generate(steps=40)["error"]


def test_cutting_off_ends_runs_and_streams_at_once(closed: Closed) -> None:
    cookies = closed.guest("maker", name="Eve")
    client = closed.http(cookies, timeout=30)
    event = ask(client, steps=150).json()["event_id"]
    person = next(guest.id for guest in closed.access.guests() if guest.name == "Eve")
    with client.stream("GET", f"{EVENT}/{event}") as stream, client.stream("GET", "/gradio_api/heartbeat/eve") as other:
        lines = stream.iter_lines()
        while "running" not in next(lines):
            pass
        running = [job for job in closed.studio._jobs.values() if job.person.id == person]
        assert len(running) == 1 and running[0].state().terminal is None
        closed.access.withdraw(person)
        rest = list(lines) + list(other.iter_lines())
    assert not any("complete" in line for line in rest)
    assert isinstance(running[0].wait(10), Cancelled)
    assert client.get("/config").status_code == 401


def test_dropping_everyone_by_the_page(tmp_path: Path) -> None:
    with closed_fake(tmp_path) as closed:
        guest, owner = closed.http(closed.guest("maker"), timeout=30), Page(closed.http(closed.owner()), "visitor-owner-owner-3")
        token = closed.http(headers={"authorization": f"Bearer {closed.access.make_token('maker', name='p')[1]}"})
        invitation = closed.access.invite("maker")[1]
        assert token.get("/config").status_code == 200
        with guest.stream("GET", "/gradio_api/heartbeat/dropped") as stream:
            shown = owner.call("guests", "drop_everyone", None)
            assert list(stream.iter_lines()) in (["data: ALIVE", ""], [])
        assert (shown["error"], shown["guests"], shown["tokens"], shown["invitations"]) == ("", [], [], [])
        assert [client.get("/config").status_code for client in (guest, token)] == [401, 401]
        assert enter(closed.http(), invitation).status_code == 403
        assert owner.call("guests", "overview", None)["error"] == ""


GOOD = {"role": "maker", "name": "", "hours": 1, "uses": 1, "per_hour": 1, "waiting": 1}
BAD: list[object] = [
    *(None, [], {}, {"role": "owner"}, GOOD | {"more": 1}, GOOD | {"role": ["maker"]}, GOOD | {"hours": "1"}, GOOD | {"uses": 1.5}),
    *(GOOD | {"per_hour": True}, GOOD | {"waiting": None}, GOOD | {"role": "owner"}, GOOD | {"hours": None}),
]


@pytest.mark.parametrize("asked", BAD, ids=str)
def test_bad_invitations_are_one_sentence(closed: Closed, asked: object) -> None:
    owner = Page(closed.http(closed.owner()), "visitor-owner-owner-4")
    answer = owner.call("guests", "invite", asked)
    assert list(answer) == ["error"] and answer["error"].endswith(".")


def test_tokens_open_the_api_with_their_role_and_quota(closed: Closed, tmp_path: Path) -> None:
    _, secret = closed.access.make_token("maker", name="program", quota=Quota(per_hour=1))
    client = Client(closed.address, headers={"Authorization": f"Bearer {secret}"}, verbose=False, download_files=str(tmp_path))
    job = client.submit({"steps": 9, "prompt": "a red sphere"}, api_name="/generate")
    assert job.result()["requests"][0]["prompt"] == "a red sphere"
    seen = job.outputs()
    assert len(seen) >= 2 and seen[0]["steps"] == 9 and seen[0]["state"] in ("waiting", "running")
    with pytest.raises(Exception, match="megapixel-steps of this hour are used up"):
        client.predict({"steps": 9}, api_name="/generate")
    viewer = closed.http(headers={"authorization": f"Bearer {closed.access.make_token('viewer', name='eye')[1]}"})
    assert ask(viewer).json() == {"error": "You may look on here, but not make pictures; ask the owner for an invitation as a maker."}


def test_a_token_counts_on_an_open_page_too(tmp_path: Path) -> None:
    with closed_fake(tmp_path) as closed:
        server = serve(closed.studio, Settings(data_dir=tmp_path), port=first_port() + 50)
        try:
            assert httpx.get(f"{server.address}/config").status_code == 200
            wrong = httpx.get(f"{server.address}/config", headers={"authorization": "Bearer nothing"})
            assert (wrong.status_code, wrong.headers["www-authenticate"]) == (401, "Bearer")
            assert httpx.post(f"{server.address}/studio/enter", json={"secret": "x"}).status_code == 404
        finally:
            server.close()


class Forwarder:
    """A tunnel of our own, on loopback: hands every connection on to the page, as the real one does from its https address."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                outer, _ = self._listener.accept()
            except OSError:
                return
            inner = socket.create_connection(self._target)
            for one, other in ((outer, inner), (inner, outer)):
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    @staticmethod
    def _pump(one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass
        finally:
            other.close()

    def close(self) -> None:
        self._listener.close()


def test_a_full_queue_takes_nothing_of_a_quota(closed: Closed) -> None:
    client = closed.http()
    enter(client, closed.access.invite("maker", name="Dora")[1])
    dora = next(guest for guest in closed.access.guests() if guest.name == "Dora")
    slow = list[Job]()
    try:
        with pytest.raises(QueueFull):
            slow.extend(closed.studio.submit(GenerationRequest(steps=150), visitor=f"v{number % 9}") for number in count())
        assert "64 pictures are waiting" in told(client, ask(client, steps=1))
        assert closed.access.spent(dora.id) == 0
    finally:
        for job in reversed(slow):
            closed.studio.stop(job)
    assert "error" not in told(client, ask(client, steps=1))
    assert closed.access.spent(dora.id) > 0


def test_a_shared_page_is_reached_by_its_public_name_and_by_invitation_only(tmp_path: Path) -> None:
    with closed_fake(tmp_path) as closed:
        forwarder = Forwarder(int(closed.address.rsplit(":", 1)[1]))
        name = f"studio-test.localhost:{forwarder.port}"
        public = closed.server.publish(lambda host, port: Tunnel(f"https://{name}", forwarder.close))
        assert closed.server.links() == [f"{public}/#{closed.access.owner_secret}", f"{closed.address}/#{closed.access.owner_secret}"]
        assert closed.access.address == public
        outside = httpx.Client(
            base_url=f"http://127.0.0.1:{forwarder.port}",
            headers={"host": name, "x-forwarded-for": "203.0.113.5", "x-forwarded-proto": "https"},
        )
        assert outside.get("/").status_code == 401
        unknown = outside.get("/", headers={"host": "evil.example"})
        assert unknown.status_code == 421 and "start it with --address" in unknown.json()["error"]
        # Pages of the public address may ask, whatever the tunnel makes of Host; no other's may.
        answer = outside.post("/studio/enter", json={"secret": closed.access.invite("maker")[1]}, headers={"origin": public})
        assert answer.status_code == 200 and "; Secure" in answer.headers["set-cookie"]
        headers = {"origin": public, "host": "127.0.0.1"}
        assert httpx.post(f"{closed.address}/studio/leave", json={}, headers=headers).status_code == 200
        assert (
            httpx.post(f"{closed.address}/studio/leave", json={}, headers=headers | {"origin": "https://evil.example"}).status_code == 403
        )
        assert closed.access.log(1)[0]["address"] == "203.0.113.5"


def test_without_a_tunnel_the_page_goes_on(tmp_path: Path) -> None:
    def no_tunnel(host: str, port: int) -> Tunnel:
        raise StudioError("The tunnel's program cannot be downloaded here, so the page goes on without.")

    with closed_fake(tmp_path) as closed:
        with pytest.raises(StudioError, match="goes on without"):
            closed.server.publish(no_tunnel)
        assert enter(closed.http(), closed.access.owner_secret).status_code == 200
        assert closed.server.links() == [f"{closed.address}/#{closed.access.owner_secret}"]


def test_the_tunnels_service_that_cannot_be_reached_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from gradio import networking, tunneling

    from studio.ui import share

    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(503)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        monkeypatch.setattr(tunneling, "BINARY_PATH", str(tmp_path / "frpc"))
        monkeypatch.setattr(tunneling, "BINARY_URL", address)
        monkeypatch.setitem(tunneling.CHECKSUMS, address, "0" * 64)
        with pytest.raises(StudioError, match="program cannot be downloaded here, so the page goes on without"):
            share.open_tunnel("127.0.0.1", 1)
        monkeypatch.setattr(networking, "GRADIO_API_SERVER", address)
        monkeypatch.setattr(share, "checked_program", lambda path, url: path)
        with pytest.raises(StudioError, match="service that gives out public addresses cannot be reached"):
            share.open_tunnel("127.0.0.1", 1)
        server.shutdown()


def test_a_host_of_the_network_is_closed(tmp_path: Path) -> None:
    with closed_fake(tmp_path) as closed:
        server = serve(closed.studio, Settings(data_dir=tmp_path), host="0.0.0.0", port=first_port() + 70)
        try:
            port = server.address.rsplit(":", 1)[1]
            assert server.owner_secret and all(link.endswith(f"/#{server.owner_secret}") for link in server.links())
            assert not any("0.0.0.0" in link for link in server.links())
            here = f"http://127.0.0.1:{port}"
            assert [
                httpx.get(here, headers={"host": host}).status_code for host in ("127.0.0.1", "192.168.1.5:7860", socket.gethostname())
            ] == [401] * 3
            assert httpx.get(here, headers={"host": "evil.example"}).status_code == 421
        finally:
            server.close()


def test_a_server_at_all_addresses_of_the_sixth_version_tells_those_that_answer(tmp_path: Path) -> None:
    if not socket.has_ipv6:
        pytest.skip("this Python knows no IPv6")
    opened: list[tuple[str, int]] = []

    def tunnel(host: str, port: int) -> Tunnel:
        opened.append((host, port))
        return Tunnel("https://studio-test.localhost", lambda: None)

    with closed_fake(tmp_path) as closed:
        try:
            server = serve(closed.studio, Settings(data_dir=tmp_path), host="::", port=first_port() + 80)
        except StudioError as error:
            pytest.skip(f"this machine has no IPv6: {error}")
        try:
            for link in server.links():
                assert httpx.get(link).status_code == 401
            server.publish(tunnel)
            assert opened == [("::1", int(server.address.rsplit(":", 1)[1]))]
        finally:
            server.close()


def test_a_list_of_guests_that_cannot_be_opened_is_told_and_the_owner_needs_none_of_it(tmp_path: Path) -> None:
    (tmp_path / "access").write_text("in the way")
    calls = {call.__name__: call for call in server_functions(Access(DiskBook(tmp_path / "access")))}

    def ask(person: Person, call: str) -> dict[str, Any]:
        request = gr.Request(request=Request({"type": "http", "headers": [], "method": "POST", "path": "/", KEY: person}))
        answer: dict[str, Any] = awaited(calls[call](None, request) if call == "me" else calls[call](None))
        return answer

    assert ask(OWNER, "me") == {"role": "owner", "name": "", "signed": False, "quota": None, "spent": 0.0, "error": ""}
    told = "The folder of the list of guests cannot be written: File exists; free some space or choose another folder."
    assert ask(OWNER, "overview") == {"error": told}
    assert ask(Person("anna", "maker", "Anna"), "me") == {
        "role": "maker", "name": "Anna", "signed": False, "quota": None, "spent": 0.0, "error": told,
    }  # fmt: skip
