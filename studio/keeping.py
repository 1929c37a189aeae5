"""What of jobs outlasts them: finished pictures go to the gallery, jobs that are not over are noted until they are."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from PIL import Image

from studio import intake
from studio.errors import InvalidRequest, StudioError
from studio.events import Cancelled, Finished, Terminal
from studio.images import content_key
from studio.inventory import LoraCard
from studio.jobs import UNKEPT, Job
from studio.kept import Asked
from studio.people import OWNER, Person
from studio.plan import Plan
from studio.ports import Backlog, Card, EngineFacts, Gallery, Hashes, Pictures
from studio.provenance import Mark, Provenance, versions_of
from studio.request import GenerationRequest, shorten
from studio.settings import VERSION

log = logging.getLogger("studio")
WAITING_DAYS = 7
"""How long a job that cannot be taken up is tried again at each start."""
MAX_STARTS = 2
"""A job that was running when the studio was killed is begun so often in all; it may be what killed it."""

QUICK_BYTES, QUICK_WAIT = 150_000_000, 2.0
"""Weights of at most so many bytes are waited for this many seconds, so that their hash is known when the first picture is done."""


class Keeping:
    """Called by the service when a job is asked for and stopped, by the worker when it starts and ends. Never waits for a disk to turn."""

    def __init__(self, gallery: Gallery | None, backlog: Backlog | None, hashes: Hashes | None = None) -> None:
        self._gallery, self._backlog, self._hashes = gallery, backlog, hashes
        # By person: why their newest job could not be noted.
        self._unnoted: dict[str, str] = {}

    def notes(self, person: Person = OWNER) -> tuple[str, ...]:
        """Return sentences for a person about what could not be kept."""
        unnoted = self._unnoted.get(person.id)
        return (*(self._gallery.notes(person) if self._gallery else ()), *((unnoted,) if unnoted else ()))

    def left(self) -> Iterator[Asked]:
        """Yield the jobs that the last studio did not finish, in the order in which they were asked for."""
        if self._backlog:
            yield from self._backlog.take_over()

    def asked(self, job: Job) -> None:
        """Note a job, so that a restart finds it. Without room for that it runs all the same."""
        if self._backlog:
            entry = Asked(id=job.id, made=time.time_ns(), visitor=job.visitor, person=job.person, request=job.plan.request)
            try:
                self._backlog.note(entry)
            except StudioError as error:
                log.warning("a job could not be noted: %s", error)
                self._unnoted[job.person.id] = f"Your queue would not survive a restart of the studio: {error}"
            else:
                self._unnoted.pop(job.person.id, None)

    def started(self, job: Job) -> None:
        """Count a start of a job."""
        if self._backlog:
            self._backlog.count(job.id, 1)

    def over(self, key: str) -> None:
        """Forget a job: it ended, or somebody stopped it."""
        if self._backlog:
            self._backlog.drop(key)

    def give_up(self, left: Asked) -> None:
        """Forget a job that cannot be taken up if it waits for too long: nobody would expect its picture any more."""
        if time.time_ns() - left.made > WAITING_DAYS * 24 * 3600 * 10**9:
            self.over(left.id)

    def provenances(
        self, plan: Plan, facts: EngineFacts, maps: Sequence[Image.Image], images: Sequence[Image.Image]
    ) -> tuple[Provenance, ...]:
        """Say of each picture by what it was made; a hash that is not known yet is left out."""
        made = Provenance(
            versions=versions_of({"studio": VERSION, **facts.versions}),
            device=facts.device[:200],
            precision=facts.precision,
            model=Mark(name=plan.model.name, hash=self._hashed(plan.model).hash),
            loras=tuple(_lora_mark(self._hashed(lora.card)) for lora in plan.loras),
            controlnets=tuple(Mark(name=unit.net.name, hash=self._hashed(unit.net).hash) for unit in plan.controls),
            maps=tuple(map(content_key, maps)),
        )
        each = [{"pixels": content_key(image), "batch": len(images), "place": place} for place, image in enumerate(images)]
        return tuple(made.model_copy(update=own) for own in each)

    def _hashed(self, card: Card) -> Card:
        """Wait for the hash of a small file, which takes a fraction of a second; that of a large one is only asked for, and first."""
        return self._hashes.hashed(card, wait=QUICK_WAIT if card.bytes <= QUICK_BYTES else 0.001) if self._hashes else card

    def ended(self, job: Job, event: Terminal) -> Terminal:
        """Return a job's last event, with the ids of its pictures once they are noted for keeping.

        A job is forgotten when its pictures are on the disk, not before; and not when it ends only because the studio does.
        """
        match event:
            case Finished() if self._gallery and not job.visitor.startswith(UNKEPT):
                return replace(event, kept=self._gallery.keep(event, job.person, then=lambda: self.over(job.id)))
            case Cancelled() if not job.stopping:
                if self._backlog:
                    self._backlog.count(job.id, -1)
                return event
        self.over(job.id)
        return event

    def close(self) -> None:
        """Write what is on its way and end."""
        if self._gallery:
            self._gallery.close()
        if self._backlog:
            self._backlog.close()


def named_by_content(request: GenerationRequest, images: Mapping[str, Image.Image], kept: Pictures) -> GenerationRequest:
    """Keep the pictures given along with a request and return it with their hashes for names; what it names itself is here.

    None of them stays in memory: many jobs may wait, and a photo takes a hundred times its file there.

    Raises:
        InvalidRequest: a picture is named by no field, or a field names one that is not here.
        BadPicture: a picture is too large, too small, or of a mode that means no colour.
    """
    named = {use.image for use in request.controls}
    for name in images:
        if name not in named:
            raise InvalidRequest(f"images: {shorten(name)} is not named by any field of the request; leave it out.")
    controls = []
    for index, use in enumerate(request.controls):
        where = f"controls[{index}].image"
        given = images.get(use.image)
        key = use.image if given is None else kept.keep(intake.tidy(given, kind=use.kind, name=where).picture)
        if kept.get(key) is None:
            raise InvalidRequest(f"{where}: {shorten(use.image)} is not here; give the picture along.")
        controls.append(use.model_copy(update={"image": key}))
    return request.model_copy(update={"controls": tuple(controls)})


def _lora_mark(card: LoraCard) -> Mark:
    return Mark(name=card.name, hash=card.hash, tensor_hash=card.tensor_hash, addnet_hash=card.addnet_hash)
