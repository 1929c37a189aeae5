"""The HTTP endpoint: one request as one JSON object in, pictures and their requests out.

From Python: `gradio_client.Client(address).predict({"prompt": "a red sphere", "seed": 7}, api_name="/generate")`.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gradio as gr

from studio import atomic, intake, metadata
from studio.errors import StudioError
from studio.jobs import Job
from studio.people import Person
from studio.request import GenerationRequest
from studio.service import Studio
from studio.ui import render
from studio.ui.envelope import check_fields, with_whole
from studio.ui.who import open_to, person_of

LOOK_EVERY = 0.02
TELL_EVERY = 0.2
TELL_AGAIN = 5.0
"""Seconds after which the same is told again, since gradio finds out that a caller is gone only when it has something to tell them."""
# A caller fetches its files at once; older ones are removed so that the folder does not grow.
KEPT_FOLDERS = 32
KEPT_WITHIN = 10.0
"""Seconds that an answer waits for the disk, to be able to say that pictures were not kept."""


def add(studio: Studio, folder: Path) -> None:
    """Add the endpoint `/generate` to the page that is being built; its pictures are handed over in `folder`, a person's in their own."""

    @open_to("maker")
    async def generate(request: Any, caller: gr.Request) -> AsyncIterator[dict[str, Any]]:
        """Make pictures. `request` is a JSON object with fields such as prompt, steps and seed; all are optional.

        `controls[i].image` may be a `data:image/png;base64,` URL or plain base64. Progress comes first, the answer last.
        """
        try:
            person = person_of(caller)
            job, notes = await asyncio.to_thread(submit, studio, request, visitor=name_of(caller.session_hash, person), person=person)
            async for told in progress(studio, job):
                yield told
            yield {**await asyncio.to_thread(_answer, studio, job, folder / person.id), "notes": notes}
        except StudioError as error:
            raise gr.Error(f"{error} {error.hint}".strip(), print_exception=False) from error

    gr.api(generate, api_name="generate", concurrency_limit=None)


def name_of(session: str | None, person: Person) -> str:
    """Return who a caller is in the queue: each client is a visitor of its own, so that all take turns; bare calls of one token are one."""
    return f"api {session or person.pass_id}"


def submit(studio: Studio, data: Any, *, visitor: str, person: Person) -> tuple[Job, list[str]]:
    """Queue what was asked as JSON; return the job, and what was changed about its pictures on the way in.

    Raises:
        StudioError: nothing was queued.
    """
    check_fields(data)
    data, taken = intake.lift(with_whole(data))
    images = {name: each.picture for name, each in taken.items()}
    job = studio.submit(GenerationRequest.parse(data), images=images, visitor=visitor, person=person)
    return job, [f"{name}: {note}." for name, each in taken.items() for note in each.notes]


async def progress(studio: Studio, job: Job) -> AsyncIterator[dict[str, Any]]:
    """Yield how a job stands whenever that has changed, until it is over; whoever stops listening stops it.

    What has not changed is yielded again every `TELL_AGAIN` seconds. Gradio sends that on, so that `outputs()` of its client has it twice.
    """
    told, at = dict[str, Any](), 0.0
    loop = asyncio.get_running_loop()
    try:
        while (state := job.state()).terminal is None:
            shown = {
                "state": render.phase(state),
                "step": state.step.index if state.step else 0,
                "steps": job.plan.evaluations,
                "says": " · ".join(filter(None, (render.headline(state, waiting=studio.waiting()), render.pace(state)))),
            }
            if loop.time() - at >= (TELL_AGAIN if shown == told else TELL_EVERY):
                told, at = shown, loop.time()
                yield shown
            await asyncio.sleep(LOOK_EVERY)
    finally:
        # The caller went away: what nobody waits for is not computed.
        if job.state().terminal is None:
            studio.stop(job)


def _answer(studio: Studio, job: Job, folder: Path) -> dict[str, Any]:
    """Return a finished job's pictures and requests.

    Raises:
        StudioError: the job failed or was stopped.
    """
    result = job.result()
    paths = _write(job, folder)
    files = [{"path": str(path), "orig_name": path.name, "meta": {"_type": "gradio.FileData"}} for path in paths]
    return {"images": files, "requests": [made.model_dump() for made in result.requests], "notices": notices_of(studio, job)}


def notices_of(studio: Studio, job: Job) -> list[str]:
    """Return what the caller should know of a finished job, also of pictures that could not be kept."""
    if studio.gallery:
        studio.gallery.settle(KEPT_WITHIN)
    return [*job.plan.notices, *studio.notes(job.person)]


def _write(job: Job, folder: Path) -> list[Path]:
    place = atomic.make_folder(folder / job.id, called="The folder for answers")
    for old in sorted(folder.iterdir(), key=_age)[:-KEPT_FOLDERS]:
        shutil.rmtree(old, ignore_errors=True)
    result = job.result()
    files = (metadata.encode(image, result.record(i)) for i, image in enumerate(result.images))
    # Not `Result.save`, whose sentences name paths: they are told to guests here.
    return [atomic.write(place / f"{i}.png", content, called="The picture to hand over") for i, content in enumerate(files)]


def _age(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0  # an answer that is given at the same time has removed it
