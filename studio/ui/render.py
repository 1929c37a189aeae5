"""How a job looks on the page, as plain values. Pure, so that the page's wording is tested without a browser."""

import base64
from typing import Any

from PIL import Image

from studio.events import Agreement, Annotated, Cancelled, Failed, Finished, Loading, Step, Terminal
from studio.images import jpeg_bytes, sheet_columns
from studio.jobs import Job, JobState

THUMBNAIL_SIDE = 128


def view(job: Job, *, seen: int, waiting: int, mine: bool = True) -> dict[str, Any]:
    """Return what the stage shows of a job. Draws its newest preview, so it is not for the event loop.

    Args:
        job: whose state is shown.
        seen: index of the newest preview that the page already has, -1 for none; an older one is left out.
        waiting: how many jobs of all visitors wait.
        mine: whether it is shown to whom it belongs, who may act on what is said.
    """
    state = job.look()
    preview = state.preview if state.preview and state.preview.index > seen else None
    shown = {
        "job": job.id,
        "version": state.version,
        "seen": preview.index if preview else seen,
        "over": state.terminal is not None,
        "prompt": job.plan.request.prompt,
        "seed": job.plan.request.seed if state.step or state.terminal else None,
        "width": job.plan.width,
        "height": job.plan.height,
        "count": len(job.plan.seeds),
        "columns": sheet_columns(len(job.plan.seeds)),
        "preview": data_uri(preview.jpeg) if preview and not isinstance(state.terminal, Finished) else "",
        "notice": " ".join(job.plan.notices),
        "badge": badge(state),
        "place": place(state, waiting=waiting),
        "units": [_unit(job, made) for made in state.maps],
        "fraction": fraction(state),
        "left": headline(state, waiting=waiting),
        "right": pace(state),
        **_ending(state.terminal),
    }
    shown = {**shown, "phase": phase(state), "spoken": spoken(state)}
    return shown if mine else looked_on(shown)


def looked_on(shown: dict[str, Any]) -> dict[str, Any]:
    """Return a view for somebody who only looks on: no word to its owner, no place in the queue, no way into the owner's history."""
    said = dict.fromkeys(("notice", "error", "hint", "place"), "")
    left = "waiting" if shown["place"] and shown["left"] == shown["place"] else shown["left"]
    spoken = "" if shown["error"] else shown["spoken"]
    return {**shown, **said, "left": left, "spoken": spoken, "pictures": [{**each, "id": ""} for each in shown["pictures"]]}


def data_uri(jpeg: bytes) -> str:
    """Return a JPEG as a `data:` address."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def thumbnail(picture: Image.Image) -> str:
    """Return a small copy of a picture as a `data:` address."""
    small = picture.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    return data_uri(jpeg_bytes(small))


def phase(state: JobState) -> str:
    """Name the stretch of its life that a job is in."""
    match state.terminal:
        case Finished():
            return "done"
        case Failed():
            return "failed"
        case Cancelled():
            return "stopped"
        case None:
            return "running" if state.step else "waiting"


def headline(state: JobState, *, waiting: int) -> str:
    """Return the line's left part, such as "step 9 of 20"."""
    match state.terminal:
        case Finished(seconds=seconds):
            return f"done in {duration(seconds)}"
        case Failed():
            return "failed"
        case Cancelled(index=index):
            return f"stopped after step {index}" if index else "stopped before it began"
        case None if state.step:
            return f"step {state.step.index} of {state.step.total}"
        case None if state.loading and state.loading.fraction < 1:
            return _loading(state.loading)
        case None:
            return place(state, waiting=waiting) or "starting"


def pace(state: JobState) -> str:
    """Return the line's right part, such as "3.1 it/s · 4 s left · previews cost 0.3 %"."""
    if not state.step or not isinstance(state.terminal, Finished | None):
        return ""
    parts = [speed(state.step)]
    # At the last step the pictures are still to be decoded, which no step tells the time of.
    if state.terminal is None and state.step.index < state.step.total:
        left = (state.step.total - state.step.index) * state.step.seconds / max(state.step.index, 1)
        parts.append(f"{duration(left)} left")
    if state.preview:
        parts.append(f"previews cost {100 * state.preview.cost:.1f} %")
    return " · ".join(parts)


def speed(step: Step) -> str:
    """Return how fast evaluations go: "3.1 it/s", or "2.4 s/it" when one takes longer than a second."""
    rate = step.index / max(step.seconds, 1e-6)
    return f"{rate:.1f} it/s" if rate >= 1 else f"{1 / rate:.1f} s/it"


def duration(seconds: float) -> str:
    """Return a time as a person says it: "0.8 s", "14 s", "3 min 20 s"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def badge(state: JobState) -> str:
    """Return the note on a preview, such as "preview · step 9"."""
    if state.preview is None:
        return ""
    return f"{'stopped' if isinstance(state.terminal, Cancelled) else 'preview'} · step {state.preview.index}"


def place(state: JobState, *, waiting: int) -> str:
    """Return the place in the queue, such as "queue 2 · you are next"; empty when the job does not wait."""
    queued = state.queued
    if queued is None or state.started or state.terminal or not waiting:
        return ""
    return f"queue {waiting} · " + ("you are next" if queued.position == 0 else f"{queued.position} before you")


def fraction(state: JobState) -> float:
    """Return how far the run is, 0 .. 1."""
    if isinstance(state.terminal, Finished):
        return 1.0
    return state.step.index / state.step.total if state.step else 0.0


def spoken(state: JobState) -> str:
    """Return what a screen reader hears; unlike the line it does not change with every step."""
    match state.terminal:
        case Finished():
            return "The picture is done."
        case Failed(message=message):
            return message
        case Cancelled():
            return "Stopped."
        case None:
            return "Generating." if state.step else "Waiting."


def _unit(job: Job, made: Annotated) -> dict[str, Any]:
    """Return a ControlNet unit as the stage shows it, with how well each picture follows it."""
    use, terminal = job.plan.controls[made.unit].use, job.state().terminal
    scores = terminal.agreements if isinstance(terminal, Finished) else ()
    return {
        "kind": use.kind,
        "weight": use.weight,
        "use": use.model_dump(mode="json"),
        "agreements": [_agreement(units[made.unit]) for units in scores],
    }


def _agreement(score: Agreement) -> dict[str, str]:
    """Say how well a picture follows a map, such as "follows closely, F1 0.86"; empty where it could not be measured."""
    if score.value is None:
        return {"text": "", "note": score.note}
    shown = {"edges": f"F1 {score.value:.2f}", "depth": f"rank {score.value:.2f}", "joints": f"{100 * score.value:.0f} % off"}
    return {"text": f"{score.word}, {shown[score.measure]}", "note": score.note}


def _loading(event: Loading) -> str:
    return f"loading {event.model}, {100 * event.fraction:.0f} %: {event.message}"


def _ending(terminal: Terminal | None) -> dict[str, Any]:
    match terminal:
        case Finished(images=images, requests=requests, kept=kept):
            rows = zip(images, requests, kept or [""] * len(images), strict=True)
            return {
                "error": "",
                "hint": "",
                "pictures": [{"id": key, "seed": made.seed, "thumb": thumbnail(image)} for image, made, key in rows],
            }
        case Failed(message=message, hint=hint):
            return {"error": message, "hint": hint, "pictures": []}
        case Cancelled() | None:
            return {"error": "", "hint": "", "pictures": []}
