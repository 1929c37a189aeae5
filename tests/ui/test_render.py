"""The page's wording, from events alone: no browser, no gradio."""

from dataclasses import replace

import pytest
from PIL import Image

from studio.engine.fake import CARD, CONTROLNETS
from studio.events import Agreement, Annotated, Cancelled, Event, Failed, Finished, Loading, Preview, Queued, Started, Step
from studio.inventory import Inventory
from studio.jobs import Job
from studio.plan import resolve
from studio.request import ControlUse, GenerationRequest
from studio.ui.panels.header import loading_state
from studio.ui.render import duration, speed, view

REQUEST = GenerationRequest(prompt="a cone", seed=3, batch_size=3, width=128, height=64)


@pytest.fixture
def job() -> Job:
    return Job(resolve(REQUEST, Inventory((CARD,)), entropy=0), visitor="someone")


def shown(job: Job, *events: Event, waiting: int = 0) -> dict[str, object]:
    for event in events:
        job.emit(replace(event, job_id=job.id))
    return view(job, seen=-1, waiting=waiting)


def test_waiting_in_the_queue(job: Job) -> None:
    first = shown(job, Queued(job_id="", position=1), waiting=2)
    assert (first["phase"], first["left"], first["place"]) == ("waiting", "queue 2 · 1 before you", "queue 2 · 1 before you")
    assert shown(job, Queued(job_id="", position=0), waiting=2)["place"] == "queue 2 · you are next"
    started = shown(job, Queued(job_id="", position=0), Started(job_id=""), waiting=2)
    assert (started["place"], started["left"]) == ("", "starting")


def test_loading_is_told(job: Job) -> None:
    event = Loading(job_id="", model="Mini", fraction=0.4, message="reading unet")
    assert shown(job, event)["left"] == "loading Mini, 40 %: reading unet"


def test_a_running_job(job: Job) -> None:
    preview = Preview(job_id="", index=9, jpeg=b"jpeg", columns=2, cost=0.003)
    step = Step(job_id="", index=9, total=20, seconds=2.9)
    running = shown(job, Queued(job_id="", position=0), Started(job_id=""), step, preview, waiting=4)
    assert (running["left"], running["right"]) == ("step 9 of 20", "3.1 it/s · 3.5 s left · previews cost 0.3 %")
    assert (running["badge"], running["phase"], running["place"], running["fraction"]) == ("preview · step 9", "running", "", 0.45)
    assert (running["width"], running["height"], running["columns"], running["count"]) == (128, 64, 2, 3)
    assert str(running["preview"]).startswith("data:image/jpeg;base64,")
    assert view(job, seen=9, waiting=0)["preview"] == ""
    # The pictures are being decoded, which may take long.
    assert shown(job, replace(step, index=20, seconds=10))["right"] == "2.0 it/s · previews cost 0.3 %"


def test_the_end_is_told(job: Job) -> None:
    pictures = tuple(Image.new("RGB", (128, 64)) for _ in range(3))
    requests = tuple(job.plan.picture_requests())
    done = shown(job, Finished(job_id="", images=pictures, requests=requests, seconds=83))
    assert (done["phase"], done["left"], done["fraction"], done["over"]) == ("done", "done in 1 min 23 s", 1.0, True)
    assert [picture["seed"] for picture in done["pictures"]] == [3, 4, 5]  # type: ignore[attr-defined]


def test_a_failure_is_told(job: Job) -> None:
    failed = shown(job, Failed(job_id="", message="No room.", hint="Make it smaller."))
    assert (failed["phase"], failed["error"], failed["hint"]) == ("failed", "No room.", "Make it smaller.")


def test_who_looks_on_is_told_nothing_that_is_for_its_owner(job: Job) -> None:
    def looked_on(*events: Event) -> dict[str, object]:
        shown(job, *events)
        return view(job, seen=-1, waiting=2, mine=False)

    waits = looked_on(Queued(job_id="", position=1))
    assert (waits["left"], waits["place"], waits["spoken"]) == ("waiting", "", "Waiting.")
    runs = looked_on(Started(job_id=""), Step(job_id="", index=9, total=20, seconds=2.9))
    assert (runs["left"], runs["spoken"]) == ("step 9 of 20", "Generating.")
    requests = tuple(job.plan.picture_requests())
    done = looked_on(Finished(job_id="", images=(Image.new("RGB", (128, 64)),) * 3, requests=requests, seconds=1, kept=("a" * 16,) * 3))
    assert [(each["id"], each["seed"]) for each in done["pictures"]] == [("", 3), ("", 4), ("", 5)]  # type: ignore[attr-defined]
    other = Job(job.plan, visitor="someone")
    shown(other, Failed(job_id="", message="No room.", hint="Make it smaller."))
    failed = view(other, seen=-1, waiting=2, mine=False)
    assert (failed["left"], failed["error"], failed["hint"], failed["spoken"]) == ("failed", "", "", "")


@pytest.mark.parametrize(("index", "left"), [(0, "stopped before it began"), (7, "stopped after step 7")])
def test_a_stop_is_told(job: Job, index: int, left: str) -> None:
    assert shown(job, Cancelled(job_id="", index=index))["left"] == left


@pytest.mark.parametrize(("seconds", "text"), [(0.84, "0.8 s"), (9.96, "10.0 s"), (14.2, "14 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_slow_steps_are_seconds_a_step() -> None:
    assert speed(Step(job_id="", index=2, total=4, seconds=4.8)) == "2.4 s/it"


def test_loading_in_the_header() -> None:
    assert loading_state(None)["state"] == "loading"
    assert loading_state(Loading(job_id="", model="Mini", fraction=1, message="ready"))["state"] == "ready"
    failed = loading_state(Failed(job_id="", message="unet is missing.", hint="Copy it again."))
    assert (failed["state"], failed["loading"]) == ("failed", "unet is missing. Copy it again.")


def test_agreement_is_told_per_unit_and_picture() -> None:
    use = ControlUse(kind="sketch", image="a" * 64, weight=0.5)
    plan = resolve(GenerationRequest(controls=(use,), batch_size=2), Inventory((CARD,), controlnets=CONTROLNETS), entropy=0)
    made = Image.new("RGB", (64, 64))
    scores = (Agreement("edges", 0.861, "follows closely", "Of the map."),), (Agreement("edges", None, "", "Nothing is drawn."),)
    finished = Finished(job_id="", images=(made, made), requests=tuple(plan.picture_requests()), seconds=1, agreements=scores)
    told = shown(Job(plan, visitor="someone"), Annotated(job_id="", unit=0, map=made), finished)["units"]
    texts = [{"text": "follows closely, F1 0.86", "note": "Of the map."}, {"text": "", "note": "Nothing is drawn."}]
    asked = plan.controls[0].use.model_dump(mode="json")
    assert told == [{"kind": "sketch", "weight": 0.5, "use": asked, "agreements": texts}]
