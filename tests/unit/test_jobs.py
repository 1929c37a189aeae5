"""Jobs: order, fairness, stopping, fan-out and the newest-wins preview, on the fake engine."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from studio.engine.fake import CARD, FakeEngine, FakeRun, fake_parts
from studio.errors import InternalError, InvalidRequest, QueueFull, Stopped, StudioError
from studio.events import Annotated, Cancelled, Failed, Finished, Loading, Preview, Queued, Step, Terminal
from studio.images import content_key
from studio.inventory import Inventory, ModelCard
from studio.jobs import Job, JobQueue
from studio.plan import Plan, resolve
from studio.ports import Engine, Progress
from studio.pump import PreviewPump
from studio.request import ControlUse, GenerationRequest
from studio.service import REMEMBERED_JOBS, Studio

PLAN = resolve(GenerationRequest(seed=1, steps=4), Inventory((CARD,)), entropy=0)


@pytest.fixture
def open_fake() -> Iterator[Callable[..., Studio]]:
    opened: list[Studio] = []

    def make(engine: Engine | None = None, *, step_seconds: float = 0.0) -> Studio:
        chosen = engine or FakeEngine(step_seconds=step_seconds)
        opened.append(Studio(lambda: chosen, fake_parts()).open())
        return opened[-1]

    yield make
    for studio in opened:
        studio.close()


class SlowLoading(FakeEngine):
    """Waits in `load` until the test says go on, so that jobs pile up."""

    def __init__(self) -> None:
        super().__init__(step_seconds=0)
        self.go = threading.Event()

    def load(self, model: ModelCard, progress: Progress) -> None:
        assert self.go.wait(30)
        super().load(model, progress)


class Failing(FakeEngine):
    """Fails in the run's second step with the given error while `armed`."""

    def __init__(self, error: Exception) -> None:
        super().__init__(step_seconds=0)
        self.error, self.armed = error, True

    def start(self, plan: Plan, maps: Sequence[Image.Image] = ()) -> FakeRun:
        engine = self

        class Run(FakeRun):
            def advance(self) -> None:
                super().advance()
                if engine.armed and self.index == 2:
                    raise engine.error

        return Run(plan, 0.0)


def test_a_job_goes_from_queued_to_finished(open_fake: Callable[..., Studio]) -> None:
    job = open_fake().submit(GenerationRequest(prompt="x", seed=3, steps=6, batch_size=2))
    events = list(job.events())
    steps = [event for event in events if isinstance(event, Step)]
    assert isinstance(events[0], Queued)
    assert [step.index for step in steps] == [1, 2, 3, 4, 5, 6]
    assert [event for event in events if isinstance(event, Terminal)] == [events[-1]]
    assert isinstance(events[-1], Finished)
    assert [picture.size for picture in events[-1].images] == [(256, 256)] * 2
    assert [request.seed for request in job.result().requests] == [3, 4]
    assert list(job.events())[-1] == events[-1]  # a late reader hears the whole story


def test_stop_ends_a_run_and_keeps_its_preview(open_fake: Callable[..., Studio]) -> None:
    studio = open_fake(step_seconds=0.02)
    job = studio.submit(GenerationRequest(steps=150))
    for event in job.events():
        if isinstance(event, Preview) and event.index >= 3:
            studio.stop(job)
    terminal = job.wait(10)
    assert isinstance(terminal, Cancelled)
    assert 3 <= terminal.index < 150
    assert job.state().preview is not None
    with pytest.raises(Stopped, match=f"after {terminal.index} of 150 steps"):
        job.result()


def test_stop_of_a_waiting_job_takes_it_out_at_once(open_fake: Callable[..., Studio]) -> None:
    engine = SlowLoading()
    studio = open_fake(engine)
    jobs = [studio.submit(GenerationRequest(steps=2)) for _ in range(3)]
    studio.stop(jobs[1])
    assert jobs[1].wait(0) == Cancelled(job_id=jobs[1].id, index=0)
    assert studio.waiting() == 2
    assert jobs[2].state().queued == Queued(job_id=jobs[2].id, position=1)
    engine.go.set()
    assert isinstance(jobs[2].wait(10), Finished)


def test_stop_while_the_model_loads_ends_the_job_at_once_and_the_next_one_hears_of_the_load(open_fake: Callable[..., Studio]) -> None:
    begun, go = threading.Event(), threading.Event()

    class Reloading(FakeEngine):
        first = True

        def load(self, model: ModelCard, progress: Progress) -> None:
            if self.first:
                self.first = False
                return
            progress(0.1, f"reading {model.name}")
            begun.set()
            assert go.wait(30)
            progress(0.9, f"reading {model.name}")

    studio = open_fake(Reloading())
    try:
        stopped = studio.submit(GenerationRequest(steps=2))
        assert begun.wait(30)
        studio.stop(stopped)
        assert stopped.wait(0) == Cancelled(job_id=stopped.id, index=0)
        following = studio.submit(GenerationRequest(steps=2))
    finally:
        go.set()
    assert isinstance(following.wait(10), Finished)
    assert [event.fraction for event in following.events() if isinstance(event, Loading)] == [0.9, 0.1, 0.9]
    assert not any(isinstance(event, Step) for event in stopped.events())


def test_closing_ends_a_load_at_its_next_part_and_takes_no_job_for_failed(open_fake: Callable[..., Studio]) -> None:
    begun, go = threading.Event(), threading.Event()

    class Reading(FakeEngine):
        parts = 0

        def load(self, model: ModelCard, progress: Progress) -> None:
            for _ in range(3):
                progress(0.1, f"reading {model.name}")
                self.parts += 1
                begun.set()
                assert go.wait(30)

    engine = Reading()
    studio = open_fake(engine)
    job = studio.submit(GenerationRequest(steps=2))
    assert begun.wait(30)
    with ThreadPoolExecutor(1) as pool:
        closed = pool.submit(studio.close)
        assert isinstance(job.wait(10), Cancelled)
        go.set()
        closed.result(30)
    assert engine.parts == 1
    assert not isinstance(studio.loading(), Failed)


def test_loading_is_told_to_whoever_waits(open_fake: Callable[..., Studio]) -> None:
    engine = SlowLoading()
    studio = open_fake(engine)
    job = studio.submit(GenerationRequest(steps=1))
    engine.go.set()
    loads = [event for event in job.events() if isinstance(event, Loading)]
    assert [event.fraction for event in loads] == [0.5, 1.0]
    loading = studio.loading()
    assert isinstance(loading, Loading)
    assert loading.fraction == 1


def test_visitors_take_turns() -> None:
    queue = JobQueue()
    names = ["a", "a", "a", "b", "c", "b"]
    jobs = [Job(PLAN, visitor=name) for name in names]
    for job in jobs:
        queue.put(job)
    places = {job.id: job.state().queued for job in jobs}
    taken = [queue.take() for _ in names]
    assert [job.visitor for job in taken if job] == ["a", "b", "c", "a", "b", "a"]
    assert [getattr(places[job.id], "position", None) for job in taken if job] == [0, 1, 2, 3, 4, 5]


def test_who_comes_while_another_is_served_is_before_their_next_job() -> None:
    queue = JobQueue()
    queue.put(Job(PLAN, visitor="a"))
    assert queue.take()
    jobs = [Job(PLAN, visitor=name) for name in "aaab"]
    for job in jobs:
        queue.put(job)
    assert [job.state().queued for job in jobs] == [
        Queued(job_id=job.id, position=place) for job, place in zip(jobs, [1, 2, 3, 0], strict=True)
    ]
    assert [job.visitor for job in map(queue.take, [0] * 4) if job] == ["b", "a", "a", "a"]


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "c", "d", ""]), max_size=60))
def test_nobody_waits_for_more_than_one_job_of_another(turns: list[str]) -> None:
    """A name puts a job of theirs, an empty one takes the next. Waiting begins when one's job is put, or one's job before it is taken."""
    queue, running = JobQueue(per_visitor=64), ""
    waited = dict[str, Counter[str]]()
    for name in turns:
        if name:
            queue.put(Job(PLAN, visitor=name))
            waited.setdefault(name, Counter({running} - {name, ""}))
        else:
            waiting = queue.waiting()
            job = queue.take(0)
            assert job is (waiting[0] if waiting else None)
            running = job.visitor if job else ""
            waited.pop(running, None)
            for whose in waited.values():
                whose[running] += 1
            if running in {left.visitor for left in queue.waiting()}:
                waited[running] = Counter()
        assert all(count == 1 for whose in waited.values() for count in whose.values())
        assert [job.state().queued for job in queue.waiting()] == [
            Queued(job_id=job.id, position=place) for place, job in enumerate(queue.waiting())
        ]


def test_a_full_queue_refuses_and_keeps_what_waits() -> None:
    queue = JobQueue(limit=3, per_visitor=2)
    for name in "aab":
        queue.put(Job(PLAN, visitor=name))
    with pytest.raises(QueueFull, match="You have 2 pictures waiting"):
        queue.put(Job(PLAN, visitor="a"))
    with pytest.raises(QueueFull, match="3 pictures are waiting"):
        queue.put(Job(PLAN, visitor="c"))
    assert [job.visitor for job in queue.waiting()] == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (StudioError("No room.", hint="Make it smaller."), "No room."),
        (ZeroDivisionError("secret"), "Something went wrong inside the studio"),
    ],
)
def test_a_failed_run_is_told_in_a_sentence_and_the_next_one_works(
    open_fake: Callable[..., Studio], error: Exception, expected: str
) -> None:
    engine = Failing(error)
    studio = open_fake(engine)
    job = studio.submit(GenerationRequest(steps=5))
    terminal = job.wait(10)
    assert isinstance(terminal, Failed)
    assert terminal.message.startswith(expected)
    assert "secret" not in terminal.message
    with pytest.raises(StudioError, match=expected):
        job.result()
    engine.armed = False
    assert isinstance(studio.submit(GenerationRequest(steps=5)).wait(10), Finished)


def test_an_engine_that_cannot_start_fails_the_job_and_not_the_studio() -> None:
    def make() -> Engine:
        raise StudioError("No such device.")

    with Studio(make, fake_parts()).open() as studio:
        job = studio.submit(GenerationRequest())
        assert job.wait(10) == Failed(job_id=job.id, message="No such device.")
        assert studio.loading() == Failed(job_id="", message="No such device.")


def test_closing_ends_every_job(open_fake: Callable[..., Studio]) -> None:
    studio = open_fake(step_seconds=0.01)
    jobs = [studio.submit(GenerationRequest(steps=150)) for _ in range(3)]
    studio.close()
    assert all(isinstance(job.wait(0), Cancelled) for job in jobs)
    with pytest.raises(StudioError, match="closing"):
        studio.submit(GenerationRequest())


def test_old_jobs_are_forgotten_and_live_ones_are_not(open_fake: Callable[..., Studio]) -> None:
    studio = open_fake()
    jobs = []
    for number in range(REMEMBERED_JOBS + 6):
        jobs.append(studio.submit(GenerationRequest(steps=1, width=64, height=64), visitor=str(number)))
        jobs[-1].wait(10)
    assert studio.job(jobs[0].id) is None
    assert studio.job(jobs[-1].id) is jobs[-1]
    assert len([job for job in jobs if studio.job(job.id)]) <= REMEMBERED_JOBS + 1


def test_the_job_that_ended_last_is_forgotten_last(open_fake: Callable[..., Studio]) -> None:
    engine = SlowLoading()
    studio, small = open_fake(engine), GenerationRequest(steps=1, width=64, height=64)
    patient = [studio.submit(small, visitor="patient") for _ in range(8)]
    others = [studio.submit(small, visitor=str(number)) for number in range(REMEMBERED_JOBS + 8)]
    engine.go.set()
    assert all(job.wait(60) for job in [*others, *patient])
    studio.submit(small, visitor="late")
    assert studio.job(patient[-1].id) is patient[-1]
    assert studio.job(others[-1].id) is others[-1]
    assert studio.job(patient[0].id) is None
    assert studio.job(others[0].id) is None


def test_a_job_that_waits_keeps_no_picture_in_memory(open_fake: Callable[..., Studio], monkeypatch: pytest.MonkeyPatch) -> None:
    engine = SlowLoading()
    studio = open_fake(engine)
    key = studio.keep(Image.new("RGB", (64, 64), "red"))
    asked = GenerationRequest(steps=1, controls=(ControlUse(kind="sketch", image=key),))
    good, late = studio.submit(asked), studio.submit(asked)
    monkeypatch.setattr(type(studio._pictures), "get", lambda self, key: None)
    engine.go.set()
    for job in (good, late):
        with pytest.raises(StudioError, match=r"controls\[0\].image: .* is not here any more; give the picture again."):
            job.result(60)


def test_what_a_listener_does_to_a_map_changes_no_run(open_fake: Callable[..., Studio]) -> None:
    studio = open_fake()
    use = ControlUse(kind="sketch", image="mine")
    pictures, sizes = [], []
    for _ in range(2):
        job = studio.submit(GenerationRequest(steps=1, seed=3, controls=(use,)), images={"mine": Image.new("RGB", (64, 64), "red")})
        for event in job.events():
            if isinstance(event, Annotated):
                sizes.append(event.map.size)
                event.map.thumbnail((8, 8))
        pictures.append(job.result(60).images[0].tobytes())
    assert sizes == [(256, 256)] * 2 and pictures[0] == pictures[1]


def test_an_image_that_no_field_names_is_refused(open_fake: Callable[..., Studio]) -> None:
    with pytest.raises(InvalidRequest, match="images: 'x' is not named"):
        open_fake().submit(GenerationRequest(), images={"x": Image.new("RGB", (8, 8))})


def test_pictures_are_named_by_their_content(open_fake: Callable[..., Studio]) -> None:
    studio, picture = open_fake(), Image.new("RGB", (8, 8), "red")
    use = ControlUse(kind="sketch", image="mine")
    job = studio.submit(GenerationRequest(steps=1, controls=(use,)), images={"mine": picture})
    made = job.result(10).requests[0]
    assert made.controls[0].image == content_key(picture)
    assert [event.map.size for event in job.events() if isinstance(event, Annotated)] == [(256, 256)]
    again = studio.submit(made)
    assert again.result(10).images[0].tobytes() == job.result().images[0].tobytes()
    with pytest.raises(InvalidRequest, match=r"controls\[0\].image: 'mine' is not here; give the picture along."):
        studio.submit(GenerationRequest(controls=(use,)))


def test_visitors_see_their_own_jobs_only(open_fake: Callable[..., Studio]) -> None:
    studio = open_fake()
    ours = studio.submit(GenerationRequest(steps=1), visitor="us")
    theirs = studio.submit(GenerationRequest(steps=1), visitor="them")
    assert studio.jobs_of("us") == [ours]
    assert studio.jobs_of("them") == [theirs]


def step(index: int) -> Step:
    return Step(job_id="", index=index, total=50, seconds=float(index))


def begun(draw: Callable[[], list[Image.Image]]) -> Callable[[], Callable[[], list[Image.Image]]]:
    """What a run's `preview` is where nothing has to be done at once."""
    return lambda: draw


def test_only_the_newest_preview_is_drawn_and_only_for_who_looks() -> None:
    job, pump, drawn = Job(PLAN, visitor="v"), PreviewPump(budget=1.0), list[int]()

    def draw(number: int) -> Callable[[], list[Image.Image]]:
        def picture() -> list[Image.Image]:
            drawn.append(number)
            return [Image.new("RGB", (8, 8), (number, 0, 0))]

        return picture

    assert job.look().preview is None
    for number in range(1, 50):
        job.emit(step(number), frame=pump.frame(job.id, number, seconds=float(number), begin=begun(draw(number))))
    assert (drawn, job.state().preview) == ([], None)
    first, again = job.look(), job.look()
    assert first.preview and first.preview.index == 49 and drawn == [49]
    assert first == again == job.state()
    job.emit(step(50), frame=pump.frame(job.id, 50, seconds=50.0, begin=begun(draw(50))))
    pump.close()
    assert job.look().preview == first.preview
    assert drawn == [49]


def test_who_looked_in_time_sees_the_preview_before_the_end() -> None:
    job, pump, drawing, go = Job(PLAN, visitor="v"), PreviewPump(), threading.Event(), threading.Event()

    def picture() -> list[Image.Image]:
        drawing.set()
        assert go.wait(10)
        return [Image.new("RGB", (8, 8))]

    job.emit(step(1), frame=pump.frame(job.id, 1, seconds=1.0, begin=begun(picture)))
    with ThreadPoolExecutor(1) as viewer:
        seen = viewer.submit(job.look)
        assert drawing.wait(10)
        job.emit(Finished(job_id=job.id, images=(), requests=(), seconds=1.0))
        go.set()
        # The finished picture is there first, and stays.
        assert seen.result(10).preview is None
    assert list(job.events())[-1] == job.state().terminal
    pump.close()


def test_preview_budget_skips_frames() -> None:
    job = Job(PLAN, visitor="v")
    drawn, asked = list[None](), list[None]()
    pump = PreviewPump(budget=0.02)

    def slow() -> list[Image.Image]:
        until = time.thread_time() + 0.01
        while time.thread_time() < until:
            pass
        drawn.append(None)
        return [Image.new("RGB", (8, 8))]

    def begin() -> Callable[[], list[Image.Image]]:
        asked.append(None)
        return slow

    for number in range(1, 40):
        job.emit(step(number), frame=pump.frame(job.id, number, seconds=number * 0.05, begin=begin))
        job.look()
    pump.close()
    assert len(asked) == len(drawn)  # a step that is skipped does not begin a frame either
    assert 5 <= len(drawn) <= 9  # five in any case, then 10 ms at 2 % is one frame in 500 ms; the run lasts 2 s


def test_no_preview_is_begun_while_one_is_drawn_that_takes_its_share() -> None:
    pump, drawing, go = PreviewPump(budget=0.02), threading.Event(), threading.Event()

    def picture() -> list[Image.Image]:
        until = time.thread_time() + 0.01
        while time.thread_time() < until:
            pass
        return [Image.new("RGB", (8, 8))]

    def held() -> list[Image.Image]:
        drawing.set()
        assert go.wait(10)
        return picture()

    for number in range(5):
        show = pump.frame("job", number, seconds=number * 1.0, begin=begun(picture))
        assert show and show()
    with ThreadPoolExecutor(1) as viewer:
        show = pump.frame("job", 6, seconds=6.0, begin=begun(held))
        assert show
        seen = viewer.submit(show)
        assert drawing.wait(10)
        assert pump.frame("job", 7, seconds=6.1, begin=begun(picture)) is None
        # The next run's account is its own, whenever this one's last frame is done.
        assert pump.frame("next", 1, seconds=0.1, begin=begun(picture))
        go.set()
        last = seen.result(10)
        assert last and last.job_id == "job" and last.cost < 0.1
        assert pump.frame("next", 2, seconds=0.2, begin=begun(picture))
    pump.close()


def test_a_preview_that_fails_does_not_end_the_run(open_fake: Callable[..., Studio], caplog: pytest.LogCaptureFixture) -> None:
    class Blind(FakeEngine):
        def start(self, plan: Plan, maps: Sequence[Image.Image] = ()) -> FakeRun:
            class Run(FakeRun):
                def preview(self) -> Any:
                    def draw() -> list[Image.Image]:
                        raise ValueError("no picture")

                    return draw

            return Run(plan, 0.005)

    assert isinstance(list(open_fake(Blind()).submit(GenerationRequest(steps=5)).events())[-1], Finished)
    assert "could not be drawn" in caplog.text


def test_a_snapshot_goes_on_to_the_same_picture() -> None:
    run = FakeEngine(step_seconds=0).start(PLAN)
    run.advance()
    copy = run.snapshot()
    for one in (run, copy):
        while one.index < one.total:
            one.advance()
    assert next(run.finish()).tobytes() == next(copy.finish()).tobytes()
    assert replace(run) is not run


def test_defects_are_shown_by_number_only(open_fake: Callable[..., Studio], caplog: pytest.LogCaptureFixture) -> None:
    job = open_fake(Failing(RuntimeError("/secret/path"))).submit(GenerationRequest(steps=3))
    terminal = job.wait(10)
    assert isinstance(terminal, Failed)
    number = terminal.message.rstrip(".").split()[-1]
    assert number in caplog.text
    assert issubclass(InternalError, StudioError)


@pytest.mark.parametrize("fails", [False, True])
def test_the_engine_rests_when_nothing_is_asked_and_works_again_after(
    fails: bool, open_fake: Callable[..., Studio], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("studio.worker.REST_AFTER", 0.3)
    rested = threading.Event()

    class Resting(FakeEngine):
        def rest(self) -> None:
            rested.set()
            if fails:
                raise RuntimeError("the device is gone")

    studio = open_fake(Resting(step_seconds=0.001))
    studio.submit(GenerationRequest(steps=1)).wait(10)
    assert rested.wait(60)
    assert isinstance(studio.submit(GenerationRequest(steps=1)).wait(10), Finished)
    assert ("the device is gone" in caplog.text) == fails
