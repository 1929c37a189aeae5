"""Studio: what the page, the HTTP API, the command line and Python callers talk to. Knows ports only."""

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from PIL import Image

from studio import intake, metadata
from studio.access import Access
from studio.collection import Presets
from studio.errors import InvalidRequest, NotAllowed, StudioError, UnknownModel
from studio.events import Cancelled, Failed, Loading
from studio.inventory import Inventory
from studio.jobs import Job, JobQueue
from studio.keeping import MAX_STARTS, Keeping, named_by_content
from studio.loras.tags import without_tags
from studio.map_maker import MapMaker
from studio.people import OWNER, Person
from studio.plan import resolve
from studio.ports import Engine, Offer, Parts, Progress
from studio.pose import Pose
from studio.request import ControlUse, GenerationRequest, shorten
from studio.worker import Worker

# Jobs stay readable after they ended, so that a reloaded page finds its picture; those that ended longest ago are forgotten.
REMEMBERED_JOBS = 32


class Studio:
    """A running studio. Use it as a context manager; leaving it frees the device.

    Attributes:
        presets: settings that were saved by name; see `Presets`.
    """

    def __init__(self, make_engine: Callable[[], Engine], parts: Parts) -> None:
        self._inventory, self._tokens = parts.inventory, parts.tokens
        self._pictures, self._annotator, self._access = parts.pictures, parts.annotator, parts.access
        self.presets = Presets(parts.presets, parts.pictures, parts.inventory)
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        self._queue = JobQueue(stays=self._stays)
        self._loading: Loading | Failed | None = None
        if self._access:
            self._access.listen(self._show_out)
        # The pictures and drafts that are kept; None in a studio that keeps none.
        self.gallery, self.drafts = parts.gallery, parts.drafts
        self._keeping = Keeping(parts.gallery, parts.backlog, parts.hashes)
        self._left_over: list[tuple[Person, str]] = []
        maps = MapMaker(parts.annotator, parts.pictures)
        self._worker = Worker(make_engine, self._queue, maps=maps, keeping=self._keeping, announce=self._note_loading)

    def open(self) -> Self:
        """Start working: the default model is loaded in the background. Returns at once."""
        if self.gallery:
            self.gallery.open()
        self._worker.start(next(iter(self._inventory.read().models), None))
        return self

    def resume(self) -> None:
        """Take up the jobs that the last studio on this data folder did not finish, under the ids they had. Call it before `open`.

        They run again by themselves, the one that was running first: they were asked for, nobody stopped them, and whoever asked may be
        away. One that was running each time the studio was killed is not tried again, because it may be the reason.
        """
        for left in self._keeping.left():
            try:
                if not self._stays(left.person):
                    self._keeping.over(left.id)  # a guest whose invitation ended meanwhile
                    continue
                job = self._planned(left.request, {}, visitor=left.visitor, person=left.person, key=left.id)
            except StudioError as error:
                # Its file stays for a while: what it lacks, such as a model, may be here at the next start.
                self._keeping.give_up(left)
                self._left_over.append((left.person, f"A picture of your queue could not be taken up again: {error}"))
                continue
            if left.starts < MAX_STARTS:
                self._queue.put(job, again=True)
            else:
                told = f"The studio was killed {left.starts} times while it made this picture; press Generate to try again."
                job.emit(Failed(job_id=job.id, message=told))
                self._keeping.over(job.id)
            self._remember(job)

    def close(self) -> None:
        """Stop what runs, drop what waits, free the device; pictures on their way to the disk are written."""
        self._worker.close()
        self._keeping.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def submit(
        self,
        request: GenerationRequest,
        *,
        images: Mapping[str, Image.Image] | None = None,
        visitor: str = "local",
        person: Person = OWNER,
        lasting: bool = False,
    ) -> Job:
        """Queue a request and return its job at once.

        Args:
            request: what to make.
            images: pictures the request names; a key it does not name is refused. The job's request names them by their hashes,
                under which they are kept, so that it can be asked again without them.
            visitor: whose turn it takes; visitors share the engine fairly.
            person: to whom the pictures belong.
            lasting: whether the next studio on this data folder shall make it, should this one end before.

        Raises:
            InvalidRequest, UnknownModel, BadPicture, QueueFull, NotAllowed, QuotaSpent: nothing was queued.
        """
        job = self._planned(request, images or {}, visitor=visitor, person=person)
        for control in job.plan.controls:
            self._check_ready(control.use, person)
        self._queue.check_room(job)  # before a guest is charged
        if self._access:
            self._access.admit(person, job.plan, waiting=sum(job.person.id == person.id for job in self._queue.waiting()))
        if lasting:
            self._keeping.asked(job)
        try:
            self._queue.put(job)
        except StudioError:
            self._keeping.over(job.id)
            raise
        self._remember(job)
        if not self._stays(person):
            self.stop(job)  # shown out while this was asked
        return job

    def notes(self, person: Person = OWNER) -> tuple[str, ...]:
        """Return sentences for a person about what could not be kept, and why."""
        return (*self._keeping.notes(person), *(sentence for whose, sentence in self._left_over if whose.id == person.id))

    def keep(self, picture: Image.Image, *, person: Person = OWNER) -> str:
        """Keep a picture of any mode and return the hash by which the person's requests may name it.

        Raises:
            BadPicture: it is too large or too small, or its mode means no colour.
        """
        return self._pictures.of(person).keep(intake.tidy(picture).picture)

    def picture(self, key: str, *, person: Person = OWNER) -> Image.Image | None:
        """Return the picture of that hash that the person keeps, or None when there is none."""
        return self._pictures.of(person).get(key)

    def recall(self, data: bytes, *, name: str = "The picture", person: Person = OWNER) -> metadata.Recall:
        """Read the settings inside a picture file, of ours or of another program, and match them with what is here.

        Args:
            data: the file's content, PNG, JPEG or WebP.
            name: what the picture is called in sentences.
            person: whose kept pictures may serve as control pictures.

        Raises:
            BadPicture: it is no picture, or carries no settings that are known here.
        """
        kept = self._pictures.of(person)
        return metadata.recall(metadata.read(data, name=name), self._inventory.read(), has_picture=lambda key: kept.get(key) is not None)

    def annotate(
        self,
        use: ControlUse,
        *,
        size: tuple[int, int],
        progress: Progress = lambda fraction, message: None,
        person: Person = OWNER,
    ) -> Image.Image:
        """Return the map that a ControlNet unit would follow, RGB, without making a picture.

        Args:
            use: the unit; its `image` is the hash of a kept picture.
            size: width and height of the map in pixels.
            progress: hears (fraction, message) while weights are fetched; ends the work by raising.
            person: who asks; a guest is charged, and has no weights fetched.

        Raises:
            StudioError: the picture is not here, or the preprocessor cannot make a map of it.
        """
        return self._annotator.annotate(self._admitted(use, size, person), use, size, progress)

    def people(self, use: ControlUse, *, size: tuple[int, int], person: Person = OWNER) -> Pose | None:
        """Return who is in a pose unit's map, with hands and faces where its preprocessor finds them, or None; otherwise as `annotate`."""
        return self._annotator.people(self._admitted(use, size, person), use, size, lambda fraction, message: None)

    def preprocessors(self, kind: str) -> list[Offer]:
        """Return what can make maps of a kind of control (`sketch`, `depth` or `pose`), with what each downloads, in the picker's order."""
        return self._annotator.offers(kind)

    def stop(self, job: Job) -> None:
        """End a job: at once while it waits or is made ready, before its next model evaluation when it runs."""
        job.stop()
        if self._queue.remove(job) or (job.state().started and not job.state().step):
            self._keeping.over(job.id)
            job.emit(Cancelled(job_id=job.id, index=0))

    def job(self, job_id: str, *, person: Person = OWNER) -> Job | None:
        """Return the job of that (unguessable) id, or None when the person may not see it, it was never there or is long over."""
        with self._lock:
            job = self._jobs.get(job_id)
        return job if job and self._may_see(person, job) else None

    def jobs_of(self, visitor: str, *, person: Person = OWNER) -> list[Job]:
        """Return the remembered jobs of one visitor, of those that are the person's, oldest first."""
        with self._lock:
            return [job for job in self._jobs.values() if job.visitor == visitor and job.person.id == person.id]

    def shared_jobs(self, person: Person) -> list[Job]:
        """Return the remembered jobs of others that the person may look at, oldest first."""
        with self._lock:
            return [job for job in self._jobs.values() if job.person.id != person.id and self._may_see(person, job)]

    @property
    def access(self) -> Access | None:
        """Who may come in over a link; None where this studio knows nobody but its owner."""
        return self._access

    def waiting(self) -> int:
        """Return how many jobs wait, without the running one."""
        return len(self._queue.waiting())

    def inventory(self) -> Inventory:
        """Return which models are there now."""
        return self._inventory.read()

    def loading(self) -> Loading | Failed | None:
        """Return how the newest loading of a model stands; `fraction` 1 means ready."""
        return self._loading

    def describe(self) -> str:
        """Say where and how models run, such as "CPU, bfloat16"; empty while the engine starts."""
        return self._worker.describe()

    def count_tokens(self, text: str, *, model: str | None = None) -> tuple[int, int]:
        """Return (tokens of the text, tokens that fit into the model's prompt window).

        Raises:
            UnknownModel: no model of that name is there.
        """
        models = self._inventory.read().models
        card = next((card for card in models if model in (None, card.name)), None)
        if card is None:
            raise UnknownModel(f"model: {shorten(model)} is not here.")
        return self._tokens.count(card, without_tags(text))

    def _may_see(self, person: Person, job: Job) -> bool:
        own = person.role == "owner" or job.person.id == person.id
        return own or bool(self._access and self._access.shares_with(person) and job.person.role == "owner")

    def _admitted(self, use: ControlUse, size: tuple[int, int], person: Person) -> Image.Image:
        if (picture := self.picture(use.image, person=person)) is None:
            raise InvalidRequest(f"image: {shorten(use.image)} is not here; give the picture again.")
        self._check_ready(use, person)
        if self._access:
            self._access.admit_map(person, *size)
        return picture

    def _check_ready(self, use: ControlUse, person: Person) -> None:
        """Guests do not make this machine fetch weights."""
        offers = [] if person.role == "owner" else self._annotator.offers(use.kind)
        if offer := next((offer for offer in offers if offer.row.name == use.preprocessor and offer.state != "ready"), None):
            raise NotAllowed(
                f"preprocessor: {offer.row.label} is not on this machine yet; choose another one, or ask the owner to use it once."
            )

    def _stays(self, person: Person) -> bool:
        return self._access is None or self._access.is_in(person.pass_id)

    def _show_out(self, identity: str | None) -> None:
        """End what a person runs or waits for; None: all who are not the owner at the page."""
        with self._lock:
            theirs = [job for job in self._jobs.values() if job.person.pass_id != OWNER.id and identity in (None, job.person.pass_id)]
        for job in theirs:
            if job.state().terminal is None:
                self.stop(job)

    def _planned(
        self, request: GenerationRequest, images: Mapping[str, Image.Image], *, visitor: str, person: Person, key: str = ""
    ) -> Job:
        plan = resolve(named_by_content(request, images, self._pictures.of(person)), self._inventory.read(), entropy=secrets.randbits(32))
        return Job(plan, visitor=visitor, person=person, key=key)

    def _note_loading(self, event: Loading | Failed) -> None:
        self._loading = event

    def _remember(self, job: Job) -> None:
        with self._lock:
            self._jobs[job.id] = job
            over = sorted((old for old in self._jobs.values() if old.state().terminal), key=lambda old: old.ended)
            for old in over[: max(0, len(over) - REMEMBERED_JOBS)]:
                del self._jobs[old.id]
