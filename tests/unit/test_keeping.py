"""What outlasts a studio: finished pictures, the queue over restarts, jobs that somebody stopped or that end the studio."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from studio.app import lasting
from studio.engine.fake import FakeEngine, FakeInventory, FakeTokens
from studio.errors import QueueFull
from studio.events import Cancelled, Failed, Finished
from studio.inventory import Inventory
from studio.kept import Asked, Query
from studio.people import OWNER
from studio.ports import Parts
from studio.request import ControlUse, GenerationRequest
from studio.service import Studio
from studio.settings import Settings
from studio.storage.backlog import DiskBacklog
from tests.writers import GUEST

Open = Callable[..., Studio]


@pytest.fixture
def open_studio(tmp_path: Path) -> Iterator[Open]:
    opened: list[Studio] = []

    def make(*, step_seconds: float = 0.0, **parts: object) -> Studio:
        whole: Parts = replace(lasting(FakeInventory(), FakeTokens(), Settings(data_dir=tmp_path, engine="fake")), **parts)  # type: ignore[arg-type]
        studio = Studio(lambda: FakeEngine(step_seconds=step_seconds), whole)
        studio.resume()
        opened.append(studio.open())
        return studio

    yield make
    for studio in opened:
        studio.close()


def shown(studio: Studio, person: object = OWNER) -> list[tuple[str, int]]:
    assert studio.gallery and studio.gallery.settle(30)
    entries = studio.gallery.page(person, Query()).entries  # type: ignore[arg-type]
    return [(entry.request.prompt, entry.request.seed) for entry in entries if entry.request]


def test_every_finished_picture_is_kept(open_studio: Open) -> None:
    studio = open_studio(access=None)
    job = studio.submit(GenerationRequest(prompt="x", seed=3, steps=1, batch_size=2))
    end = job.wait(10)
    assert isinstance(end, Finished) and len(end.kept) == 2
    assert shown(studio) == [("x", 4), ("x", 3)]
    studio.submit(GenerationRequest(prompt="theirs", steps=1, seed=1), person=GUEST).wait(10)
    assert shown(studio, GUEST) == [("theirs", 1)] and len(shown(studio)) == 2


@pytest.mark.parametrize("killed", [True, False])
def test_what_was_running_comes_first_after_a_restart(tmp_path: Path, killed: bool) -> None:
    first = DiskBacklog(tmp_path)
    assert first.take_over() == []
    for made, key in enumerate(("older", "running", "newer"), start=1):
        first.note(Asked(id=key, made=made, visitor="v", person=OWNER, request=GenerationRequest()))
    first.count("running", 1)
    if not killed:
        first.count("running", -1)
    first.close()
    assert [asked.id for asked in DiskBacklog(tmp_path).take_over()] == ["running", "older", "newer"]


def test_what_was_running_and_cannot_be_taken_up_waits_as_long_as_the_others(tmp_path: Path) -> None:
    first = DiskBacklog(tmp_path)
    first.take_over()
    first.note(Asked(id="running", made=time.time_ns(), visitor="v", person=OWNER, request=GenerationRequest()))
    first.count("running", 1)
    first.count("running", -1)
    first.close()
    (left,) = DiskBacklog(tmp_path).take_over()
    assert 0 <= time.time_ns() - left.made < 3600 * 10**9


def test_a_restart_finds_queue_and_running_job_again(open_studio: Open) -> None:
    first = open_studio(step_seconds=0.05, access=None)
    use = ControlUse(kind="sketch", image="mine")
    given = {"mine": Image.new("RGB", (64, 64), "white")}
    jobs = [
        first.submit(GenerationRequest(prompt="running", steps=100), visitor="v", lasting=True),
        first.submit(GenerationRequest(prompt="second", steps=1, controls=(use,)), images=given, visitor="v", lasting=True, person=GUEST),
        first.submit(GenerationRequest(prompt="stopped", steps=1), visitor="v", lasting=True),
        first.submit(GenerationRequest(prompt="third", steps=1), visitor="v", lasting=True),
        first.submit(GenerationRequest(prompt="asked from Python", steps=1), visitor="v"),
    ]
    first.stop(jobs[2])
    while not jobs[0].state().step:
        time.sleep(0.005)
    first.close()
    assert isinstance(jobs[0].wait(0), Cancelled)
    second = open_studio(access=None)
    again = [second.job(job.id) for job in jobs]
    assert [job is not None for job in again] == [True, True, False, True, False]
    assert [job.plan.request.seed for job in again if job] == [jobs[i].plan.request.seed for i in (0, 1, 3)]
    assert all(isinstance(job.wait(10), Finished) for job in again if job)
    assert [prompt for prompt, _ in shown(second)] == ["third", "running"] and [prompt for prompt, _ in shown(second, GUEST)] == ["second"]
    assert [job.id for job in second.jobs_of("v")] == [jobs[i].id for i in (0, 3)]
    second.close()
    assert open_studio().jobs_of("v") == []


def test_who_may_no_longer_come_in_has_no_queue(open_studio: Open) -> None:
    studio = open_studio(step_seconds=0.05, access=None)
    running = studio.submit(GenerationRequest(steps=150), lasting=True)
    theirs = studio.submit(GenerationRequest(steps=1), person=GUEST, lasting=True)
    studio.close()
    again = open_studio()  # with a register, in which nobody of that name is
    assert again.job(running.id) and again.job(theirs.id) is None


def test_a_running_job_that_was_stopped_stays_stopped(open_studio: Open) -> None:
    studio = open_studio(step_seconds=0.02)
    job = studio.submit(GenerationRequest(steps=150), lasting=True)
    while not job.state().step:
        time.sleep(0.005)
    studio.stop(job)
    job.wait(10)
    studio.close()
    assert open_studio().job(job.id) is None


def test_what_kills_the_studio_each_time_is_not_tried_for_ever(open_studio: Open, tmp_path: Path) -> None:
    studio = open_studio(step_seconds=0.05)
    job = studio.submit(GenerationRequest(steps=150), lasting=True)
    for _ in range(3):  # ended properly, as often as one likes
        found = studio.job(job.id)
        while not (found and found.state().step):
            time.sleep(0.005)
        (note,) = (tmp_path / "queue").glob("*.json")
        assert note.name.endswith(".1.json")
        studio.close()
        studio = open_studio(step_seconds=0.05)
    studio.close()
    (note,) = (tmp_path / "queue").glob("*.0.json")
    note.rename(note.with_name(note.name.replace(".0.json", ".2.json")))  # as two power cuts leave it
    studio = open_studio()
    found = studio.job(job.id)
    assert found and found.wait(0) == Failed(
        job_id=job.id, message="The studio was killed 2 times while it made this picture; press Generate to try again."
    )
    studio.close()
    assert open_studio().job(job.id) is None


def test_a_full_lane_is_taken_up_whole(open_studio: Open) -> None:
    studio = open_studio(step_seconds=0.05)
    jobs = [studio.submit(GenerationRequest(steps=150), visitor="v", lasting=True)]
    while not jobs[0].state().step:
        time.sleep(0.005)
    jobs += [studio.submit(GenerationRequest(steps=1), visitor="v", lasting=True) for _ in range(8)]
    with pytest.raises(QueueFull):
        studio.submit(GenerationRequest(steps=1), visitor="v", lasting=True)
    studio.close()
    again = open_studio(step_seconds=0.05)
    assert [job.id for job in again.jobs_of("v")] == [job.id for job in jobs]


def test_a_job_whose_model_is_gone_waits_for_a_start_that_has_it(open_studio: Open) -> None:
    class Empty(FakeInventory):
        def read(self) -> Inventory:
            return Inventory(())

    studio = open_studio(step_seconds=0.05)
    studio.submit(GenerationRequest(steps=150), lasting=True)
    job = studio.submit(GenerationRequest(prompt="later", steps=1), lasting=True)
    studio.close()
    studio = open_studio(inventory=Empty())
    assert studio.job(job.id) is None
    assert studio.notes()[0].startswith("A picture of your queue could not be taken up again: No usable model was found")
    assert studio.notes(GUEST) == ()
    studio.close()
    found = open_studio().job(job.id)
    assert found and isinstance(found.wait(10), Finished)


def test_a_job_whose_model_does_not_come_back_is_forgotten_after_a_week(
    open_studio: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Empty(FakeInventory):
        def read(self) -> Inventory:
            return Inventory(())

    studio = open_studio(step_seconds=0.05)
    studio.submit(GenerationRequest(steps=150), lasting=True)
    studio.close()
    later = time.time_ns() + 8 * 24 * 3600 * 10**9
    monkeypatch.setattr("studio.keeping.time.time_ns", lambda: later)
    for told in (1, 0):  # once more, and then no more
        studio = open_studio(inventory=Empty())
        assert len(studio.notes()) == told
        studio.close()
    assert list((tmp_path / "queue").glob("*.json")) == []


def test_of_two_studios_on_one_folder_one_keeps_the_queue(open_studio: Open, tmp_path: Path) -> None:
    first = open_studio(step_seconds=0.05)
    job = first.submit(GenerationRequest(steps=150), lasting=True)
    second = open_studio()
    assert second.job(job.id) is None
    second.submit(GenerationRequest(steps=1), lasting=True).wait(10)
    assert len(list((tmp_path / "queue").glob("*.json"))) == 1


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 9999, b'{"person": 5}', b"\xff\xfe", b'{"person": {}, "request": {"steps": 0}}'])
def test_a_damaged_note_is_left_alone(open_studio: Open, tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "queue"
    folder.mkdir()
    bad = folder / f"{5:019}-abc.0.json"
    bad.write_bytes(content)
    studio = open_studio()
    assert studio.job("abc") is None and bad.exists()
    assert isinstance(studio.submit(GenerationRequest(steps=1), lasting=True).wait(10), Finished)


def test_a_queue_that_cannot_be_written_runs_all_the_same(open_studio: Open, tmp_path: Path) -> None:
    studio = open_studio()
    for path in (tmp_path / "queue").iterdir():
        path.unlink()
    (tmp_path / "queue").rmdir()
    (tmp_path / "queue").write_bytes(b"")
    assert isinstance(studio.submit(GenerationRequest(steps=1), lasting=True).wait(10), Finished)
    assert studio.notes()[0].startswith(
        "Your queue would not survive a restart of the studio: The queue cannot be written: Not a directory"
    )
    assert studio.notes(GUEST) == ()
