"""Jobs: one worker owns the engine, visitors take turns, events fan out, previews are drawn for whoever looks. Nothing here knows what a
model is.
"""

import logging
import math
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from studio.errors import InternalError, QueueFull, Stopped, StudioError
from studio.events import Annotated, Cancelled, Event, Failed, Finished, Loading, Preview, Queued, Started, Step, Terminal
from studio.people import OWNER, Person
from studio.plan import Plan
from studio.result import Result

log = logging.getLogger("studio")
UNKEPT = "verify "
"""How the name of a visitor begins whose pictures are only compared with others, and not kept."""
Frame = Callable[[], Preview | None]
"""Draws the preview of one step; None when it is skipped. See `pump`."""


@dataclass(frozen=True, kw_only=True)
class JobState:
    """The newest of each kind of event, for readers that only want to know how things stand now.

    `version` grows with every event.
    """

    version: int = 0
    queued: Queued | None = None
    started: bool = False
    loading: Loading | None = None
    maps: tuple[Annotated, ...] = ()
    step: Step | None = None
    preview: Preview | None = None
    terminal: Terminal | None = None


class Job:
    """One submitted plan. Safe to read from any thread, by any number of readers."""

    def __init__(self, plan: Plan, *, visitor: str, person: Person = OWNER, key: str = "") -> None:
        """`key` is the id of a job that is taken up again."""
        self.id = key or secrets.token_urlsafe(18)
        self.visitor, self.person = visitor, person
        # A guest has one place in the round, however many pages or programs they open.
        self.lane = visitor if person.role == "owner" else person.id
        self.plan = plan
        # By the monotonic clock; infinite until it has ended.
        self.ended = math.inf
        self._changed = threading.Condition()
        self._token = threading.Event()
        self._log: list[Event] = []
        self._state = JobState()
        self._drawing = threading.Lock()
        self._frame: Frame | None = None

    def stop(self) -> None:
        """Ask the job to end; it does so before its next model evaluation."""
        self._token.set()

    @property
    def stopping(self) -> bool:
        """Whether the job was asked to end."""
        return self._token.is_set()

    def state(self) -> JobState:
        """Return how the job stands now, with the preview that somebody looked at last; costs nothing."""
        return self._state

    def look(self) -> JobState:
        """Return how the job stands now, with the preview of its newest step, which is drawn for this unless somebody looked already."""
        with self._drawing:
            with self._changed:
                frame, self._frame = self._frame, None
            preview = frame() if frame else None
            with self._changed:
                if preview and not isinstance(self._state.terminal, Finished):
                    self._tell(preview)
                return self._state

    def emit(self, event: Event, *, frame: Frame | None = None) -> None:
        """Add an event, and what draws the preview of this moment, which takes the place of one nobody looked at.

        What comes after the terminal event is dropped, as is a repeated place in the queue.
        """
        with self._changed:
            if self._state.terminal or event == self._state.queued:
                return
            if not isinstance(event, Preview):
                self._log.append(event)
            if isinstance(event, Terminal):
                self.ended = time.monotonic()
            # The finished picture takes the preview's place; that of a stopped or failed run may still be looked at.
            self._frame = None if isinstance(event, Finished) else frame or self._frame
            self._tell(event)

    def events(self, *, previews: bool = True) -> Iterator[Event]:
        """Yield the job's events from its first on, and end after the terminal one.

        Of previews only the newest is drawn, and none at all without `previews`.
        """
        read, shown = 0, -1
        while True:
            with self._changed:
                self._changed.wait_for(lambda: len(self._log) > read or (previews and _index(self._state.preview) > shown))
                fresh = self._log[read:]
            read += len(fresh)
            last = fresh.pop() if fresh and isinstance(fresh[-1], Terminal) else None
            yield from fresh
            preview = self.look().preview if previews else None
            if preview and preview.index > shown:
                shown = preview.index
                yield preview
            if last:
                yield last
                return

    def wait(self, timeout: float | None = None) -> Terminal:
        """Return the terminal event once there is one.

        Raises:
            TimeoutError: `timeout` seconds have passed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._state.terminal is not None, timeout)
        if self._state.terminal is None:
            raise TimeoutError(f"the job is still running after {timeout} seconds")
        return self._state.terminal

    def result(self, timeout: float | None = None) -> Result:
        """Wait for the pictures.

        Raises:
            StudioError: the job failed, with the sentence shown on the page; `Stopped` when it was stopped.
            TimeoutError: `timeout` seconds have passed.
        """
        match self.wait(timeout):
            case Finished(images=images, requests=requests, provenances=provenances):
                return Result(list(images), list(requests), list(provenances))
            case Failed(message=message, hint=hint):
                raise StudioError(message, hint=hint)
            case Cancelled(index=index):
                raise Stopped(f"The job was stopped after {index} of {self.plan.evaluations} steps.")

    def _tell(self, event: Event) -> None:
        self._state = _advance(self._state, event)
        self._changed.notify_all()


def _index(preview: Preview | None) -> int:
    return preview.index if preview else -1


def _advance(state: JobState, event: Event) -> JobState:
    version = state.version + 1
    match event:
        case Queued():
            return replace(state, version=version, queued=event)
        case Started():
            return replace(state, version=version, started=True)
        case Loading():
            return replace(state, version=version, loading=event)
        case Annotated():
            return replace(state, version=version, maps=(*state.maps, event))
        case Step():
            return replace(state, version=version, step=event)
        case Preview():
            return replace(state, version=version, preview=event)
        case Finished() | Failed() | Cancelled():
            return replace(state, version=version, terminal=event)


class JobQueue:
    """Waiting jobs. Visitors take turns: the next job is the oldest of whoever was served, or came, longest ago.

    Who comes stands behind all who wait, but before who was served last: that one's job is waited for already. Were those who never
    were served put first, programs that go by a new name at each call would let nobody else come to their turn.
    """

    def __init__(self, *, limit: int = 64, per_visitor: int = 8, stays: Callable[[Person], bool] = lambda _: True) -> None:
        self._limit, self._per_visitor = limit, per_visitor
        # Whether somebody who asked may still be here.
        self.stays = stays
        # In the order of their turns; none is empty.
        self._lanes: OrderedDict[str, deque[Job]] = OrderedDict()
        self._served_last = ""
        self._ready = threading.Condition()
        self._closed = False

    def put(self, job: Job, *, again: bool = False) -> None:
        """Add a job at the end of its visitor's lane; one that is taken up `again` had its place already and is never refused.

        Raises:
            QueueFull: the queue or the visitor's share of it is full; nothing was added.
            StudioError: the queue is closed.
        """
        with self._ready:
            self.check_room(job, again=again)
            if job.lane in self._lanes:
                self._lanes[job.lane].append(job)
            else:
                self._lanes[job.lane] = deque([job])
                if self._served_last in self._lanes:
                    self._lanes.move_to_end(self._served_last)
            self._tell_places()
            self._ready.notify()

    def check_room(self, job: Job, *, again: bool = False) -> None:
        """Raise what `put` would raise now."""
        with self._ready:
            if self._closed:
                raise StudioError("The studio is closing; start it again.")
            if not again and len(self._lanes.get(job.lane, ())) >= self._per_visitor:
                raise QueueFull(f"You have {self._per_visitor} pictures waiting; wait for one of them or stop it.")
            if not again and sum(map(len, self._lanes.values())) >= self._limit:
                raise QueueFull(f"{self._limit} pictures are waiting, which is all the queue holds; try again in a minute.")

    @property
    def closed(self) -> bool:
        """Whether the queue gives no more jobs."""
        return self._closed

    def take(self, timeout: float | None = None) -> Job | None:
        """Wait for the next job and remove it; None once the queue is closed, or when none came for `timeout` seconds."""
        with self._ready:
            self._ready.wait_for(lambda: self._closed or bool(self._lanes), timeout)
            if self._closed or not self._lanes:
                return None
            visitor, lane = self._lanes.popitem(last=False)
            job = lane.popleft()
            if lane:
                self._lanes[visitor] = lane
            self._served_last = visitor
            self._tell_places()
            return job

    def remove(self, job: Job) -> bool:
        """Take a waiting job out; False when it is not waiting (any more)."""
        with self._ready:
            lane = self._lanes.get(job.lane)
            if lane is None or job not in lane:
                return False
            lane.remove(job)
            if not lane:
                del self._lanes[job.lane]
            self._tell_places()
            return True

    def waiting(self) -> list[Job]:
        """Return the waiting jobs in the order in which they will be taken."""
        with self._ready:
            return self._order()

    def close(self) -> list[Job]:
        """Refuse further takes and return the jobs left over."""
        with self._ready:
            self._closed = True
            left = self._order()
            self._lanes.clear()
            self._ready.notify_all()
            return left

    def _order(self) -> list[Job]:
        rounds = max(map(len, self._lanes.values()), default=0)
        return [lane[i] for i in range(rounds) for lane in self._lanes.values() if i < len(lane)]

    def _tell_places(self) -> None:
        for position, job in enumerate(self._order()):
            job.emit(Queued(job_id=job.id, position=position))


def failure(job_id: str, error: Exception) -> Failed:
    """Turn what went wrong into the sentence a person sees; a defect is logged under an id instead."""
    if not isinstance(error, StudioError):
        number = secrets.token_hex(4)
        log.error("defect %s", number, exc_info=error)
        error = InternalError(f"Something went wrong inside the studio; its log tells more under {number}.")
    return Failed(job_id=job_id, message=str(error), hint=error.hint)
