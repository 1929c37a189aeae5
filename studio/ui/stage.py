"""The stage: the picture, how its run stands, and the other pictures of its batch. Pulled by the page, newest first."""

import asyncio
import base64
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any, get_args

import gradio as gr

from studio import metadata
from studio.errors import InvalidRequest, StudioError
from studio.events import Finished
from studio.jobs import Job
from studio.people import Person
from studio.request import info
from studio.service import Studio
from studio.ui import pictures, widgets
from studio.ui.form import Form, labelled
from studio.ui.render import view
from studio.ui.who import open_to, person_of

LOOK_EVERY = 0.02
ANSWER_WITHIN = 5.0
MAP_SIDE = 1024
_KINDS = "".join(
    f'<button type="button" data-kind="{kind}">{kind.capitalize()}</button>' for kind in get_args(info("controls.kind").annotation)
)
_VISITOR = re.compile(r"[A-Za-z0-9_-]{16,64}")
_STAGE = """
<section class="stage" data-part="stage" data-phase="empty" aria-label="Picture">
  <div class="canvas">
    <div class="picture" data-part="picture">
      <div class="empty" data-part="empty">
        <b>Your picture forms here</b><span class="keys">Press Generate, or Ctrl+Enter anywhere on the page.</span>
        <span class="no-keys">Press Generate.</span><span class="looks-on">What the owner shows you appears here.</span>
      </div>
      <div class="final" data-part="final" hidden></div>
      <img class="preview" data-part="preview" alt="" hidden>
      <div class="proof" data-part="proof" hidden>
        <img data-part="proof-map" alt=""><i></i>
        <input type="range" data-part="proof-slider" min="0" max="100" step="1" value="50" aria-label="Between map and picture">
      </div>
      <span class="badge" data-part="badge" hidden></span>
    </div>
  </div>
  <div class="error" data-part="error" role="alert" hidden>
    <span data-part="error-text"></span><button type="button" data-part="error-close" aria-label="Dismiss">×</button>
  </div>
  <div class="line" data-part="line" inert>
    <span data-part="left"></span>
    <span class="track" data-part="track" role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100">
      <span data-part="bar"></span>
    </span>
    <span data-part="right"></span>
  </div>
  <p class="warning" data-part="notice" role="status" hidden></p>
  <div class="strip" data-part="strip" role="group" aria-label="Pictures of this run" inert></div>
  <div class="tools" data-part="tools" inert>
    <span class="units" data-part="units"></span>
    <button type="button" class="tool" data-part="use-as-button" popovertarget="use-as">Use as control</button>
    <div id="use-as" class="menu" data-part="use-as" popover>{kinds}</div>
    <button type="button" class="tool" data-part="download">Download</button>
    <button type="button" class="tool" popovertarget="download-how">PNG</button>
    <button type="button" class="tool" data-part="reuse-all">Reuse all</button>
    <button type="button" class="tool" data-part="reuse">Reuse seed</button>
    <button type="button" class="tool" data-part="compare">Compare</button>
  </div>
  <span class="spoken" data-part="spoken" role="status"></span>
</section>
"""


def stage(studio: Studio) -> gr.HTML:
    """Place the stage. What it sends is `{"visitor": ...}`, what it is given is the answer of `submit`."""
    return widgets.html(
        _STAGE.format(kinds=_KINDS),
        script="stage",
        server_functions=server_functions(studio),
        elem_id="stage",
        value={"visitor": "", "job": None, "error": "", "hint": ""},
    )


def submit(studio: Studio, form: Form, values: Mapping[Any, Any], *, visitor: Any, person: Person) -> dict[str, Any]:
    """Queue what the form says. The answer is for the stage: a job's id, or one sentence."""
    answer = {"visitor": visitor, "job": None, "error": "", "hint": "", "number": secrets.token_hex(4)}
    try:
        if not (isinstance(visitor, str) and _VISITOR.fullmatch(visitor)):
            raise InvalidRequest("This page did not start properly; reload it.")
        return answer | {"job": studio.submit(form.read(values), visitor=visitor, person=person, lasting=True).id}
    except StudioError as error:
        return answer | {"error": labelled(str(error), form.collect(values)), "hint": error.hint}


def server_functions(studio: Studio) -> list[Callable[..., Any]]:
    """Return what the stage's script calls. A job is only reached by its id, which nobody can guess.

    What the browser sends is checked here: anything unexpected is answered like an unknown job.
    """

    def seen(job_id: str, asker: gr.Request) -> Job | None:
        return studio.job(job_id, person=person_of(asker))

    @open_to("viewer")
    async def poll(asked: Any, asker: gr.Request) -> dict[str, Any] | None:
        match asked:
            case [str(job_id), int(version), int(newest)] if job := seen(job_id, asker):
                await _news(job, version)
                if not seen(job_id, asker):
                    return None  # the owner has ended the sharing meanwhile
                mine = person_of(asker).role != "viewer"
                return await asyncio.to_thread(view, job, seen=newest, waiting=studio.waiting(), mine=mine)
        return None

    @open_to("viewer")
    def mine(visitor: Any, asker: gr.Request) -> list[dict[str, Any]]:
        known, person = isinstance(visitor, str) and _VISITOR.fullmatch(visitor), person_of(asker)
        found = [*studio.jobs_of(visitor, person=person), *_shared(studio, person)] if known else []
        jobs = [(job, job.state().terminal is not None) for job in found]
        # What is older stands in the history.
        newest = [job for job, over in jobs if over][-1:]
        return [{"job": job.id, "over": over} for job, over in jobs if not over or job in newest]

    @open_to("maker")
    def stop_job(job_id: Any, asker: gr.Request) -> None:
        # Makers see no jobs but their own.
        if isinstance(job_id, str) and (job := seen(job_id, asker)):
            studio.stop(job)

    return [poll, mine, stop_job, *_pictures(seen)]


def _pictures(seen: Callable[[str, gr.Request], Job | None]) -> list[Callable[..., Any]]:
    @open_to("viewer")
    def picture(asked: Any, asker: gr.Request) -> dict[str, str] | None:
        match asked:
            case [str(job_id), int(index)] if job := seen(job_id, asker):
                return png(job, index)
        return None

    @open_to("viewer")
    def unit_map(asked: Any, asker: gr.Request) -> dict[str, str] | None:
        match asked:
            case [str(job_id), int(unit)] if (job := seen(job_id, asker)) and 0 <= unit < len(job.state().maps):
                return {"map": pictures.shown(job.state().maps[unit].map, side=MAP_SIDE)}
        return None

    return [picture, unit_map]


def _shared(studio: Studio, person: Person) -> list[Job]:
    return studio.shared_jobs(person) if person.role == "viewer" else []


def png(job: Job, index: int) -> dict[str, str] | None:
    """Return a finished picture as a file of its own, with its request inside, or None when there is none."""
    finished = job.state().terminal
    if not isinstance(finished, Finished) or not 0 <= index < len(finished.images):
        return None
    content = metadata.encode(finished.images[index], job.result().record(index))
    return {"name": f"studio-{finished.requests[index].seed}.png", "png": base64.b64encode(content).decode()}


async def _news(job: Job, version: int) -> None:
    """Wait until the job has changed since `version`, but not for ever: a tab may be gone."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + ANSWER_WITHIN
    while job.state().version == version and loop.time() < deadline:
        await asyncio.sleep(LOOK_EVERY)
