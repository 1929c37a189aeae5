"""What of jobs outlasts them: finished pictures go to the gallery, jobs that are not over are noted until they are."""

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

from PIL import Image

from studio import intake
from studio.errors import InvalidRequest, StudioError
from studio.events import Cancelled, Finished, Terminal
from studio.jobs import Job
from studio.kept import Asked
from studio.ports import Backlog, Gallery, Pictures
from studio.request import GenerationRequest, shorten

log = logging.getLogger("studio")
MAX_STARTS = 2
"""A job that was running when the studio was killed is begun so often in all; it may be what killed it."""


class Keeping:
    """Called by the service when a job is asked for and stopped, by the worker when it starts and ends. Never waits for a disk to turn."""

    def __init__(self, gallery: Gallery | None, backlog: Backlog | None) -> None:
        self._gallery, self._backlog = gallery, backlog
        self._note = ""

    def notes(self) -> tuple[str, ...]:
        """Return sentences about what could not be kept."""
        return tuple(filter(None, (*(self._gallery.notes() if self._gallery else ()), self._note)))

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
                self._note = f"Your queue would not survive a restart of the studio: {error}"
            else:
                self._note = ""

    def started(self, job: Job) -> None:
        """Count a start of a job."""
        if self._backlog:
            self._backlog.count(job.id, 1)

    def over(self, key: str) -> None:
        """Forget a job: it ended, or somebody stopped it."""
        if self._backlog:
            self._backlog.drop(key)

    def ended(self, job: Job, event: Terminal) -> Terminal:
        """Return a job's last event, with the ids of its pictures once they are noted for keeping.

        A job is forgotten when its pictures are on the disk, not before; and not when it ends only because the studio does.
        """
        match event:
            case Finished() if self._gallery:
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


def named_by_content(
    request: GenerationRequest, images: Mapping[str, Image.Image], kept: Pictures
) -> tuple[GenerationRequest, dict[str, Image.Image]]:
    """Keep the pictures given along with a request; return the request with their hashes for names, and all its pictures by hash.

    Raises:
        InvalidRequest: a picture is named by no field, or a field names one that is not here.
        BadPicture: a picture is too large, too small, or of a mode that means no colour.
    """
    named = {use.image for use in request.controls}
    for name in images:
        if name not in named:
            raise InvalidRequest(f"images: {shorten(name)} is not named by any field of the request; leave it out.")
    controls, pictures = [], {}
    for index, use in enumerate(request.controls):
        where = f"controls[{index}].image"
        given = images.get(use.image)
        key = use.image if given is None else kept.keep(intake.tidy(given, kind=use.kind, name=where).picture)
        picture = kept.get(key)
        if picture is None:
            raise InvalidRequest(f"{where}: {shorten(use.image)} is not here; give the picture along.")
        controls.append(use.model_copy(update={"image": key}))
        pictures[key] = picture
    return request.model_copy(update={"controls": tuple(controls)}), pictures
