"""The endpoint `/generate`: what comes back, and one sentence for every bad input."""

import base64
import io
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from studio import read_metadata
from studio.errors import StudioError
from studio.events import Cancelled
from studio.people import OWNER
from studio.request import GenerationRequest
from studio.ui import api
from studio.ui.api import name_of
from studio.ui.routes import CALL
from tests.served import Served, served_fake
from tests.unit.test_history import files_of_at_most


def test_pictures_come_back_as_files_with_their_requests(client: Client) -> None:
    answer = client.predict({"prompt": "a red sphere", "seed": 7, "steps": 2, "batch_size": 2}, api_name="/generate")
    assert [made["seed"] for made in answer["requests"]] == [7, 8]
    paths = [Path(file["path"] if isinstance(file, dict) else file) for file in answer["images"]]
    assert [read_metadata(path) for path in paths] == [GenerationRequest.parse(made) for made in answer["requests"]]


def test_only_generate_is_offered(client: Client) -> None:
    assert list(client.view_api(return_format="dict", print_info=False)["named_endpoints"]) == ["/generate"]


def test_everything_is_optional(client: Client) -> None:
    answer = client.predict({}, api_name="/generate")
    assert answer["requests"][0]["prompt"] == ""


@pytest.mark.parametrize("prompt", ["", "👩‍🚀🚀 naïve café", "كرة حمراء على العشب", "‏‪mixed ‮right-to-left"])
def test_unusual_prompts_are_fine(client: Client, prompt: str) -> None:
    answer = client.predict({"prompt": prompt, "steps": 1}, api_name="/generate")
    assert answer["requests"][0]["prompt"] == prompt


BAD = [
    ({"prompt": "x" * 100_000}, "prompt has 100,000 characters; it must be a text of at most 10,000 characters."),
    ({"steps": 0}, "steps must be a whole number from 1 to 150, not 0."),
    ({"steps": "20"}, "steps must be a whole number from 1 to 150, not '20'."),
    ({"steps": True}, "steps must be a whole number from 1 to 150, not True."),
    ({"steps": 2.5}, "steps must be a whole number from 1 to 150, not 2.5."),
    ({"width": 7, "height": 9999}, "width must be a multiple of 8 from 64 to 2048, not 7."),
    ({"height": 9999}, "height must be a multiple of 8 from 64 to 2048, not 9999."),
    ({"guidance_scale": 31}, "guidance_scale must be a number from 1 to 30, not 31"),
    ({"scheduler": "Euler b"}, "scheduler: 'Euler b' is no scheduler; use one of the"),
    ({"scheduler": None}, "scheduler must be a text"),
    ({"batch_size": 10_000}, "batch_size must be a whole number from 1 to 8, not 10000."),
    ({"seed": 2**64 + 1}, "seed must be a whole number from -1 to 4294967295, not 18446744073709551617."),
    ({"prompt": ["a"]}, "prompt must be a text of at most 10,000 characters, not a list."),
    ({"prompt": {"path": "/etc/hostname", "meta": {"_type": "gradio.FileData"}}}, "Neither files nor addresses are taken here"),
    ({"stepps": 3}, "'stepps' is no field of a request; did you mean steps?"),
    ({"model": "../../etc"}, "model: '../../etc' is not here; choose one of: Fake."),
    ([1, 2], "The request must be one JSON object"),
    ("a red sphere", "The request must be one JSON object"),
    (5, "The request must be one JSON object"),
    (None, "The request must be one JSON object"),
]


@pytest.mark.parametrize(("data", "sentence"), BAD, ids=lambda value: str(value)[:30])
def test_bad_input_is_one_sentence(http: httpx.Client, data: Any, sentence: str) -> None:
    told = error_of(http, json.dumps({"data": [data]}))
    assert told.startswith(sentence)


@pytest.mark.parametrize(
    "body", ["", "{", "[" * 5000, '{"data": []}', '{"data": [{}, {}]}', '{"data": {}}', "[]", "null", '{"prompt": "a red sphere"}']
)
def test_a_body_that_holds_no_request_is_one_sentence(http: httpx.Client, body: str) -> None:
    assert error_of(http, body).startswith("The body must ")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none(http: httpx.Client, number: str) -> None:
    told = error_of(http, f'{{"data": [{{"guidance_scale": {number}}}]}}')
    assert told.startswith("guidance_scale must be a number from 1 to 30, not ")


def test_the_client_raises_the_sentence(client: Client) -> None:
    with pytest.raises(AppError, match="steps must be a whole number from 1 to 150, not 0"):
        client.predict({"steps": 0}, api_name="/generate")


def test_a_whole_number_may_be_written_with_a_point_at_every_entrance(client: Client, http: httpx.Client) -> None:
    """`gradio_client` joins the queue, other programs call the endpoint by its name."""
    assert client.predict({"steps": 2.0, "seed": 7.0}, api_name="/generate")["requests"][0]["steps"] == 2
    asked = http.post("/gradio_api/call/generate", json={"data": [{"steps": 2.0}]})
    told = http.get(f"/gradio_api/call/generate/{asked.json()['event_id']}", timeout=60).text
    assert json.loads(told.split("event: complete\ndata: ", 1)[1].split("\n", 1)[0])[0]["requests"][0]["steps"] == 2


def test_no_picture_of_a_request_is_read_before_all_else_of_it_is_good(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small text can hold a picture of millions of pixels, and a body thousands of such texts."""
    read: list[str] = []
    monkeypatch.setattr("studio.intake.decode", lambda text, **given: read.append(text))
    units = [{"kind": "pose", "image": picture_text()}] * 9
    with pytest.raises(AppError, match="controls has 9 entries; it must be a list of at most 8 objects"):
        client.predict({"controls": units}, api_name="/generate")
    with pytest.raises(AppError, match="steps must be"):
        client.predict({"controls": units[:1], "steps": 0}, api_name="/generate")
    assert read == []


def error_of(http: httpx.Client, body: str) -> str:
    """Call the endpoint as any program may, and return the sentence it is refused with."""
    asked = http.post("/gradio_api/call/generate", content=body, headers={"content-type": "application/json"})
    if asked.status_code != 200:
        return str(asked.json()["error"])
    answer = http.get(f"/gradio_api/call/generate/{asked.json()['event_id']}").text
    assert "event: error" in answer, answer
    told = json.loads(answer.split("data: ", 1)[1].split("\n", 1)[0])
    return str(told["error"] if isinstance(told, dict) else told)


def test_a_caller_that_gives_up_frees_the_engine(client: Client, page: Served) -> None:
    asked = client.submit({"steps": 150}, api_name="/generate")
    while not (running := [job for job in page.studio.jobs_of(name_of(client.session_hash, OWNER)) if job.plan.request.steps == 150]):
        time.sleep(0.01)
    asked.cancel()
    assert isinstance(running[0].wait(60), Cancelled)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A studio that works on one picture all the time."""
    with served_fake(tmp_path_factory.mktemp("busy"), step_seconds=2.0) as busy:
        job = busy.studio.submit(GenerationRequest(steps=150), visitor="busy")
        while not job.state().step:
            time.sleep(0.01)
        yield busy
        assert job.state().terminal is None


@contextmanager
def waiting_call(busy: Served) -> Iterator[Iterator[str]]:
    """Call the endpoint as any program may, and yield what it hears while it waits; the stream is dropped in the end."""
    # Less than the time after which gradio breaks a silence of its own accord, so that a call which hears nothing ends.
    with httpx.Client(base_url=busy.address, timeout=14) as http:
        asked = http.post(CALL, json={"data": [{"steps": 1}]}).json()["event_id"]
        with http.stream("GET", f"{CALL}/{asked}") as stream:
            yield (json.loads(line[6:])[0]["says"] for line in stream.iter_lines() if line.startswith("data: ["))


def test_who_waits_hears_of_their_place_and_the_same_again(busy: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "TELL_AGAIN", 0.5)
    before = busy.studio.submit(GenerationRequest(steps=1), visitor="before")
    with waiting_call(busy) as says:
        assert [next(says), next(says)] == ["queue 2 · 1 before you"] * 2
        busy.studio.stop(before)
        while (said := next(says)) == "queue 2 · 1 before you":
            pass
        assert [said, next(says)] == ["queue 1 · you are next"] * 2


def test_a_caller_that_has_gone_leaves_the_queue(busy: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "TELL_AGAIN", 0.5)
    calls = [job for job in busy.studio._jobs.values() if job.visitor.startswith("api ")]
    with waiting_call(busy) as says:
        next(says)
        (job,) = [job for job in busy.studio._queue.waiting() if job not in calls]
    assert isinstance(job.wait(60), Cancelled)
    assert job not in busy.studio._queue.waiting()


def test_a_disk_without_room_for_an_answer_is_one_sentence_without_paths(page: Served, tmp_path: Path) -> None:
    job = page.studio.submit(GenerationRequest(steps=1))
    job.result(60)
    (tmp_path / "full").write_bytes(b"")
    with pytest.raises(StudioError) as caught:
        api._write(job, tmp_path / "full")
    assert str(caught.value) == "The folder for answers cannot be written: File exists; free some space or choose another folder."
    with files_of_at_most(50), pytest.raises(StudioError) as caught:
        api._write(job, tmp_path)
    assert str(caught.value) == "The picture to hand over cannot be written: File too large; free some space or choose another folder."
    # Another answer removes an old folder between its being listed and its being looked at.
    for number in range(api.KEPT_FOLDERS):
        (tmp_path / "answers" / f"{number}").mkdir(parents=True)
    (tmp_path / "answers" / "gone").symlink_to(tmp_path / "nothing")
    (written,) = api._write(job, tmp_path / "answers")
    assert read_metadata(written) == job.result().requests[0]


def picture_text(colour: str = "red", side: int = 32, mode: str = "RGB") -> str:
    buffer = io.BytesIO()
    Image.new(mode, (side, side), colour).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.mark.parametrize("before", ["data:image/png;base64,", ""])
def test_pictures_travel_inside_the_request(client: Client, page: Served, before: str) -> None:
    units = [{"kind": "sketch", "image": before + picture_text()}, {"kind": "depth", "image": picture_text(mode="LA", colour="black")}]
    answer = client.predict({"steps": 1, "controls": units}, api_name="/generate")
    key = answer["requests"][0]["controls"][0]["image"]
    kept = page.studio.picture(key)
    assert kept and kept.size == (32, 32) and answer["notes"] == []
    again = client.predict({"steps": 1, "controls": [{"kind": "sketch", "image": key}]}, api_name="/generate")
    assert again["requests"][0]["controls"][0]["image"] == key


def test_what_was_changed_about_a_picture_is_told(client: Client) -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (32, 32), (0, 0, 0, 9)).save(buffer, "PNG")
    unit = {"kind": "pose", "image": base64.b64encode(buffer.getvalue()).decode()}
    answer = client.predict({"steps": 1, "controls": [unit]}, api_name="/generate")
    assert answer["notes"] == ["picture 0: its transparent parts are black now."]


BAD_PICTURES = [
    ("x" * 101, "controls[0].image is neither the name of a picture nor base64; give data:image/png;base64,..."),
    ("data:image/png,abc", "controls[0].image is a data URL without base64"),
    ("data:image/png;base64,AAAA", "controls[0].image is no picture that can be read"),
    (picture_text(side=1), "controls[0].image: 'iVBOR" if len(picture_text(side=1)) <= 100 else "controls[0].image has 1 x 1 pixels"),
    ("/etc/hostname", "controls[0].image: '/etc/hostname' is not here; give the picture along."),
    ({"path": "/etc/hostname"}, "controls[0].image must be a text of at most 100 characters, not a dict."),
]


@pytest.mark.parametrize(("image", "sentence"), BAD_PICTURES, ids=lambda value: str(value)[:30])
def test_bad_pictures_are_one_sentence(http: httpx.Client, image: Any, sentence: str) -> None:
    told = error_of(http, json.dumps({"data": [{"controls": [{"kind": "sketch", "image": image}]}]}))
    assert told.startswith(sentence)
