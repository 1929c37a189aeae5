"""What every engine promises, driven as the studio drives it: queue, worker, events. Run on the fake and on the real one."""

import io
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Self

import pytest
from PIL import Image

from studio.engine.diffusers_engine import DiffusersEngine
from studio.engine.fake import CARD, FakeEngine, fake_parts
from studio.errors import Stopped, StudioError
from studio.events import Cancelled, Event, Failed, Finished, Loading, Preview, Queued, Step, Terminal
from studio.inventory import Inventory, ModelCard
from studio.jobs import Job
from studio.plan import Plan
from studio.ports import Run
from studio.request import GenerationRequest
from studio.service import Studio
from studio.settings import Settings
from tests.passing import Passing

WAIT = 30.0
FIELDS = {"prompt": "a red cat", "seed": 5, "steps": 6, "scheduler": "Euler a"}


@dataclass
class Watched(Passing):
    """Counts decodes, and can hold a run before a step or after a decode, or break it."""

    decodes: int = 0
    drawn: int = 0
    breaks_at: int | None = None
    holds_at: int | None = None
    holds_after: int | None = None
    held: threading.Event = field(default_factory=threading.Event)
    resume: threading.Event = field(default_factory=threading.Event)

    def start(self, plan: Plan, maps: Sequence[Image.Image] = ()) -> "WatchedRun":
        return WatchedRun(self, self.engine.start(plan, maps))


@dataclass
class WatchedRun:
    """The run of a watched engine."""

    watched: Watched
    run: Run

    @property
    def index(self) -> int:
        return self.run.index

    @property
    def total(self) -> int:
        return self.run.total

    def advance(self) -> None:
        if self.run.index == self.watched.holds_at:
            self.watched.held.set()
            self.watched.resume.wait(WAIT)
        if self.run.index == self.watched.breaks_at:
            raise ZeroDivisionError("a defect in the middle of a run")
        self.run.advance()

    def preview(self) -> Callable[[], list[Image.Image]] | None:
        draw = self.run.preview()
        return draw and (lambda: self._drawn(draw))

    def finish(self) -> Iterator[Image.Image]:
        for picture in self.run.finish():
            self.watched.decodes += 1
            if self.watched.decodes == self.watched.holds_after:
                self.watched.held.set()
                self.watched.resume.wait(WAIT)
            yield picture

    def snapshot(self) -> Self:
        return type(self)(self.watched, self.run.snapshot())

    def _drawn(self, draw: Callable[[], list[Image.Image]]) -> list[Image.Image]:
        self.watched.drawn += 1
        return draw()


@dataclass(frozen=True)
class OneModel:
    """An inventory of one model."""

    card: ModelCard

    def read(self) -> Inventory:
        return Inventory((self.card,))


@dataclass
class Bench:
    """A studio on a watched engine."""

    studio: Studio
    watched: Watched
    card: ModelCard

    def submit(self, **fields: object) -> Job:
        return self.studio.submit(GenerationRequest.parse({**FIELDS, **fields}))


@pytest.fixture(params=["fake", "diffusers"])
def bench(request: pytest.FixtureRequest, tiny_card: ModelCard, settings: Settings) -> Iterator[Bench]:
    """A studio on each engine."""
    real = request.param == "diffusers"
    card = tiny_card if real else CARD
    watched = Watched(DiffusersEngine(settings) if real else FakeEngine(step_seconds=0.01))
    with Studio(lambda: watched, replace(fake_parts(), inventory=OneModel(card))).open() as studio:
        yield Bench(studio, watched, card)
        watched.resume.set()


def test_events_come_in_order_and_end_once(bench: Bench) -> None:
    job = bench.submit(batch_size=2)
    events = list(job.events())
    assert isinstance(events[0], Queued | Loading)
    assert [event for event in events if isinstance(event, Terminal)] == [events[-1]]
    steps = [event for event in events if isinstance(event, Step)]
    assert [step.index for step in steps] == list(range(1, job.plan.evaluations + 1))
    assert {step.total for step in steps} == {job.plan.evaluations}
    assert all(event.job_id == job.id for event in events)
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert [(image.mode, image.size) for image in finished.images] == [("RGB", (job.plan.width, job.plan.height))] * 2
    assert [request.seed for request in finished.requests] == [5, 6]


@pytest.mark.parametrize("scheduler", ["Euler", "Heun", "PLMS"])
def test_progress_counts_model_evaluations(bench: Bench, scheduler: str) -> None:
    job = bench.submit(scheduler=scheduler)
    assert [step.index for step in _steps(job)] == list(range(1, job.plan.scheduler.evaluations(6) + 1))


def test_previews_are_small_rgb_pictures_of_the_same_shape(bench: Bench) -> None:
    job = bench.submit(width=128, height=64, steps=12)
    previews = [event for event in job.events() if isinstance(event, Preview)]
    assert previews
    for preview in previews:
        picture = Image.open(io.BytesIO(preview.jpeg))
        assert picture.mode == "RGB" and picture.width == 2 * picture.height
        assert 0 < preview.index < job.plan.evaluations


def test_same_seed_gives_the_same_picture(bench: Bench) -> None:
    first, second, other = (bench.submit(seed=seed).result(WAIT).images[0] for seed in (5, 5, 6))
    assert first.tobytes() == second.tobytes() != other.tobytes()


def test_picture_comes_again_from_its_own_request(bench: Bench) -> None:
    result = bench.submit(seed=-1).result(WAIT)
    again = bench.studio.submit(result.requests[0]).result(WAIT)
    assert again.images[0].tobytes() == result.images[0].tobytes()


def test_stop_ends_within_one_evaluation_without_decode(bench: Bench) -> None:
    bench.watched.holds_at = 3
    job = bench.submit(steps=50)
    assert bench.watched.held.wait(WAIT)
    bench.studio.stop(job)
    bench.watched.resume.set()
    assert job.wait(WAIT) == Cancelled(job_id=job.id, index=4)
    assert bench.watched.decodes == 0
    with pytest.raises(Stopped):
        job.result(WAIT)


def test_stop_at_the_last_step_skips_the_decode(bench: Bench) -> None:
    bench.watched.holds_at = 5
    job = bench.submit()
    assert bench.watched.held.wait(WAIT)
    job.stop()
    bench.watched.resume.set()
    assert isinstance(job.wait(WAIT), Cancelled)
    assert bench.watched.decodes == 0


def test_stop_is_heard_between_the_decodes_of_a_batch(bench: Bench) -> None:
    bench.watched.holds_after = 2
    job = bench.submit(batch_size=4)
    assert bench.watched.held.wait(WAIT)
    job.stop()
    bench.watched.resume.set()
    assert job.wait(WAIT) == Cancelled(job_id=job.id, index=job.plan.evaluations)
    assert bench.watched.decodes == 2


def test_stop_during_the_last_decode_comes_too_late(bench: Bench) -> None:
    bench.watched.holds_after = 2
    job = bench.submit(batch_size=2)
    assert bench.watched.held.wait(WAIT)
    job.stop()
    bench.watched.resume.set()
    assert len(job.result(WAIT).images) == 2


def test_no_preview_is_drawn_while_nobody_looks(bench: Bench) -> None:
    job = bench.submit(steps=12)
    assert isinstance(job.wait(WAIT), Finished)
    assert not [event for event in job.events(previews=False) if isinstance(event, Preview)]
    assert job.state().preview is None and job.look().preview is None
    assert bench.watched.drawn == 0


def test_the_newest_step_is_drawn_once_for_all_who_look(bench: Bench) -> None:
    bench.watched.holds_at = 3
    job = bench.submit()
    assert bench.watched.held.wait(WAIT)
    with ThreadPoolExecutor(4) as viewers:
        shown = {view.preview for view in viewers.map(lambda _: job.look(), range(8))}
    assert [preview and preview.index for preview in shown] == [3]
    assert bench.watched.drawn == 1
    job.stop()
    bench.watched.resume.set()
    assert isinstance(job.wait(WAIT), Cancelled)
    # What nobody had looked at is still there after the stop.
    last = job.look().preview
    assert last and last.index == 4 and job.state().preview == last
    assert [type(event) for event in job.events()][-2:] == [Preview, Cancelled]


def test_waiting_job_stops_at_once(bench: Bench) -> None:
    bench.watched.holds_at = 0
    first, second = bench.submit(), bench.submit()
    assert bench.watched.held.wait(WAIT)
    bench.studio.stop(second)
    assert second.wait(1.0) == Cancelled(job_id=second.id, index=0)
    bench.watched.holds_at = None
    bench.watched.resume.set()
    assert isinstance(first.wait(WAIT), Finished)


def test_defect_in_a_run_leaves_the_engine_usable(bench: Bench) -> None:
    reference = bench.submit().result(WAIT).images[0]
    bench.watched.breaks_at = 2
    broken = bench.submit()
    failed = broken.wait(WAIT)
    assert isinstance(failed, Failed) and "\n" not in failed.message
    with pytest.raises(StudioError, match="Something went wrong inside the studio"):
        broken.result(WAIT)
    bench.watched.breaks_at = None
    assert bench.submit().result(WAIT).images[0].tobytes() == reference.tobytes()


def test_runs_do_not_touch_each_other(bench: Bench) -> None:
    alone = bench.submit(scheduler="DPM++ 2M", seed=1).result(WAIT).images[0]
    bench.submit(scheduler="DPM++ 2M SDE Karras", seed=2, guidance_scale=9.0, batch_size=3).result(WAIT)
    assert bench.submit(scheduler="DPM++ 2M", seed=1).result(WAIT).images[0].tobytes() == alone.tobytes()


def test_snapshot_is_independent(bench: Bench) -> None:
    job = bench.submit()
    expected = job.result(WAIT).images[0].tobytes()
    run = bench.watched.engine.start(job.plan)
    run.advance()
    twin = run.snapshot()
    while run.index < run.total:
        run.advance()
    assert twin.index == 1
    while twin.index < twin.total:
        twin.advance()
    assert [next(one.finish()).tobytes() for one in (run, twin)] == [expected] * 2


def test_loading_is_told_once(bench: Bench) -> None:
    bench.submit().result(WAIT)
    loading = bench.studio.loading()
    assert isinstance(loading, Loading) and loading.fraction == 1.0
    events: list[Event] = list(bench.submit().events())
    assert not [event for event in events if isinstance(event, Loading)]
    assert bench.studio.describe()


def test_closing_ends_the_running_job(bench: Bench) -> None:
    bench.watched.holds_at = 1
    job = bench.submit()
    assert bench.watched.held.wait(WAIT)
    waiting = bench.submit()
    closing = threading.Thread(target=bench.studio.close)
    closing.start()
    # What waits is dropped before the running job's step is waited for.
    assert isinstance(waiting.wait(WAIT), Cancelled)
    bench.watched.resume.set()
    closing.join(WAIT)
    assert isinstance(job.wait(1.0), Cancelled)


def _steps(job: Job) -> list[Step]:
    return [event for event in job.events() if isinstance(event, Step)]
