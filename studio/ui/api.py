"""The HTTP endpoint: one request as one JSON object in, pictures and their requests out.

From Python: `gradio_client.Client(address).predict({"prompt": "a red sphere", "seed": 7}, api_name="/generate")`.
"""

import asyncio
import secrets
import shutil
from pathlib import Path
from typing import Any

import gradio as gr

from studio import intake
from studio.errors import StudioError
from studio.events import Cancelled, Failed, Finished
from studio.jobs import Job
from studio.people import Person
from studio.request import GenerationRequest
from studio.service import Studio
from studio.ui.who import person_of

LOOK_EVERY = 0.02
# A caller fetches its files at once; older ones are removed so that the folder does not grow.
KEPT_FOLDERS = 32
KEPT_WITHIN = 10.0
"""Seconds that an answer waits for the disk, to be able to say that pictures were not kept."""


def add(studio: Studio, folder: Path) -> None:
    """Add the endpoint `/generate` to the page that is being built; its pictures are handed over in `folder`."""

    async def generate(request: Any, caller: gr.Request) -> dict[str, Any]:
        """Make pictures. `request` is a JSON object with fields such as prompt, steps and seed; all are optional.

        `controls[i].image` may be a `data:image/png;base64,` URL or plain base64.
        """
        try:
            job, notes = await asyncio.to_thread(_submit, studio, request, visitor=name_of(caller.session_hash), person=person_of(caller))
            return await _finish(studio, job, folder) | {"notes": notes}
        except StudioError as error:
            raise gr.Error(f"{error} {error.hint}".strip(), print_exception=False) from error

    gr.api(generate, api_name="generate", concurrency_limit=None)


def name_of(session: str | None) -> str:
    """Return who a caller is in the queue: each client is a visitor of its own, so that all take turns."""
    return f"api {session or secrets.token_urlsafe(8)}"


def _submit(studio: Studio, data: Any, *, visitor: str, person: Person) -> tuple[Job, list[str]]:
    """Queue what was asked; return the job, and what was changed about its pictures on the way in."""
    data, taken = intake.lift(data)
    images = {name: each.picture for name, each in taken.items()}
    job = studio.submit(GenerationRequest.parse(data), images=images, visitor=visitor, person=person)
    return job, [f"{name}: {note}." for name, each in taken.items() for note in each.notes]


async def _finish(studio: Studio, job: Job, folder: Path) -> dict[str, Any]:
    try:
        while (terminal := job.state().terminal) is None:
            await asyncio.sleep(LOOK_EVERY)
    finally:
        # The caller went away: what nobody waits for is not computed.
        if job.state().terminal is None:
            studio.stop(job)
    match terminal:
        case Finished(requests=requests):
            paths = await asyncio.to_thread(_write, job, folder)
            files = [{"path": str(path), "orig_name": path.name, "meta": {"_type": "gradio.FileData"}} for path in paths]
            if studio.gallery:
                await asyncio.to_thread(studio.gallery.settle, KEPT_WITHIN)
            notices = [*job.plan.notices, *studio.notes(job.person)]
            return {"images": files, "requests": [made.model_dump() for made in requests], "notices": notices}
        case Failed(message=message, hint=hint):
            raise StudioError(message, hint=hint)
        case Cancelled(index=index):
            raise StudioError(f"The job was stopped after {index} of {job.plan.evaluations} steps.")


def _write(job: Job, folder: Path) -> list[Path]:
    place = folder / job.id
    place.mkdir(parents=True)
    for old in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)[:-KEPT_FOLDERS]:
        shutil.rmtree(old, ignore_errors=True)
    result = job.result()
    return [result.save(i, place / f"{i}.png") for i in range(len(result.images))]
