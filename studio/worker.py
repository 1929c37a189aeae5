"""The one thread that owns the engine: takes jobs, steps their runs, and turns what happens into events."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from PIL import Image

from studio.errors import Stopped, StudioError
from studio.events import Agreement, Annotated, Cancelled, Failed, Finished, Loading, Started, Step, Terminal
from studio.inventory import ModelCard
from studio.jobs import Job, JobQueue, failure
from studio.keeping import Keeping
from studio.map_maker import MapMaker
from studio.people import Person
from studio.plan import PlannedControl
from studio.ports import MEASURES, Engine, Run
from studio.pump import PreviewPump

log = logging.getLogger("studio")
# Seconds. Longer than a person looks at one picture before the next click, as a picture after a rest takes all its memory anew.
REST_AFTER = 60.0
KNOWN_FOR = 1.0


class Worker:
    """Runs jobs one after the other; `maps` makes the maps of their ControlNet units, `keeping` takes what they end with.

    `announce` hears of every model loading, also when no job asked for it.

    The engine is made on the worker's own thread, because importing its libraries takes seconds and the page must not wait.
    """

    def __init__(
        self,
        make_engine: Callable[[], Engine],
        queue: JobQueue,
        *,
        maps: MapMaker,
        keeping: Keeping,
        announce: Callable[[Loading | Failed], None],
    ) -> None:
        self._make_engine, self._queue, self._maps, self._announce = make_engine, queue, maps, announce
        self._keeping = keeping
        self._engine: Engine | None = None
        self._pump = PreviewPump()
        self._first: ModelCard | None = None
        self._closing = threading.Event()
        self._looked = ("", 0.0, True)  # whose stay was looked up last, when, and whether they may stay
        self._thread = threading.Thread(target=self._work, name="studio-engine", daemon=True)

    def start(self, first: ModelCard | None) -> None:
        """Start the thread; it loads `first` before any job asks for it."""
        self._first = first
        self._thread.start()

    def describe(self) -> str:
        """Say where and how models run; empty until the engine is there."""
        return self._engine.describe() if self._engine else ""

    def close(self) -> None:
        """Stop the running job, drop the waiting ones and free the engine."""
        self._closing.set()
        for job in self._queue.close():
            job.emit(Cancelled(job_id=job.id, index=0))
        if self._thread.ident:
            self._thread.join()
        self._pump.close()
        if self._engine:
            self._engine.close()

    def _work(self) -> None:
        if self._first is not None:
            self._load_first(self._first)
        while (job := self._next()) is not None:
            try:
                event = self._perform(job)
            except Exception as error:  # noqa: BLE001  (whatever it is, the job ends with a sentence and the next one is served)
                event = failure(job.id, error)
            job.emit(self._keeping.ended(job, event))

    def _next(self) -> Job | None:
        """Wait for a job; the engine rests when none comes for a while. None once the queue is closed."""
        job = self._queue.take(REST_AFTER)
        if job is None and self._engine and not self._queue.closed:
            try:
                self._engine.rest()
            except Exception:
                # Memory that could not be given back is no reason to serve nobody any more.
                log.exception("the engine could not rest")
        return job or self._queue.take()

    def _load_first(self, model: ModelCard) -> None:
        # A failure was announced already, and is told again to whoever asks for a picture.
        with suppress(StudioError):
            self._load(model, None)

    def _load(self, model: ModelCard, job: Job | None) -> Engine:
        def progress(fraction: float, message: str) -> None:
            if self._closing.is_set():
                raise Stopped("The studio was closed while a model was read.")
            self._announce(Loading(job_id="", model=model.name, fraction=fraction, message=message))
            for listener in [job] if job and not job.stopping else self._queue.waiting():
                listener.emit(Loading(job_id=listener.id, model=model.name, fraction=fraction, message=message))

        try:
            if self._engine is None:
                progress(0.0, "starting the engine")
                self._engine = self._make_engine()
            self._engine.load(model, progress)
        except Stopped:
            raise
        except Exception as error:
            failed = failure("", error)
            self._announce(failed)
            raise StudioError(failed.message, hint=failed.hint) from error
        self._announce(Loading(job_id="", model=model.name, fraction=1.0, message="ready"))
        return self._engine

    def _perform(self, job: Job) -> Terminal:
        if self._must_end(job):
            return Cancelled(job_id=job.id, index=0)
        self._keeping.started(job)
        job.emit(Started(job_id=job.id))
        try:
            engine = self._load(job.plan.model, job)
            maps = self._prepare(engine, job)
        except Stopped:
            return Cancelled(job_id=job.id, index=0)
        began = time.perf_counter()
        run = engine.start(job.plan, maps)
        while run.index < run.total:
            if self._must_end(job):
                return Cancelled(job_id=job.id, index=run.index)
            run.advance()
            self._report(job, run, seconds=time.perf_counter() - began)
        images, decoded = [], run.finish()
        for _ in job.plan.seeds:
            if self._must_end(job):
                return Cancelled(job_id=job.id, index=run.index)
            images.append(next(decoded))
        seconds = time.perf_counter() - began
        units = list(zip(maps, job.plan.controls, strict=True))
        agreements = tuple(tuple(self._agreement(job, image, *unit) for unit in units) for image in images)
        return Finished(
            job_id=job.id,
            images=tuple(images),
            requests=tuple(job.plan.picture_requests()),
            seconds=seconds,
            agreements=agreements if maps else (),
            provenances=self._keeping.provenances(job.plan, engine.facts(), maps, images),
        )

    def _prepare(self, engine: Engine, job: Job) -> list[Image.Image]:
        """Make ControlNets, LoRAs and maps ready; both may take long, so each report looks whether the job was stopped."""

        def progress(fraction: float, message: str) -> None:
            if self._must_end(job):
                raise Stopped("The job was stopped while it was being prepared.")
            job.emit(Loading(job_id=job.id, model=job.plan.model.name, fraction=fraction, message=message))

        engine.prepare(job.plan, progress)
        maps = []
        for unit, made in enumerate(self._maps.make(job.plan, job.person, progress)):
            maps.append(made)
            # What hears of it may shrink it or draw on it.
            job.emit(Annotated(job_id=job.id, unit=unit, map=made.copy()))
        return maps

    def _agreement(self, job: Job, image: Image.Image, control: Image.Image, planned: PlannedControl) -> Agreement:
        """Measure how a picture follows a map; whatever goes wrong there, the picture is finished and handed over.

        A job stopped by now has its pictures, so only what is left to measure is left out.
        """
        if self._must_end(job):
            return Agreement(MEASURES[planned.use.kind], None, "", "Not measured: the run was stopped.")
        try:
            return self._maps.measure(image, control, planned.use)
        except Exception as error:  # noqa: BLE001  (logged by `failure`; a score is not worth a picture)
            return Agreement(MEASURES[planned.use.kind], None, "", failure("", error).message)

    def _must_end(self, job: Job) -> bool:
        return job.stopping or self._closing.is_set() or not self._stays(job.person)

    def _stays(self, person: Person) -> bool:
        """Whether who asked is still let in: another process may have revoked their token, or their time be over."""
        who, at, stays = self._looked
        if who != person.pass_id or time.monotonic() - at > KNOWN_FOR:
            stays = self._queue.stays(person)
            self._looked = person.pass_id, time.monotonic(), stays
        return stays

    def _report(self, job: Job, run: Run, *, seconds: float) -> None:
        # The finished picture follows the last step at once, so a preview of it would only cost time.
        frame = self._pump.frame(job.id, run.index, seconds=seconds, begin=run.preview) if run.index < run.total else None
        job.emit(Step(job_id=job.id, index=run.index, total=run.total, seconds=seconds), frame=frame)
