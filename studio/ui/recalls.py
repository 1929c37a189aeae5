"""What the page asks about pictures that are dropped on it: their settings, whether they can be made again, and other file formats."""

import asyncio
import base64
import binascii
import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, get_args

import gradio as gr

from studio import intake, metadata, verification
from studio.errors import BadPicture, InvalidRequest
from studio.metadata import FormatName, Recall
from studio.people import Person
from studio.provenance import Mark
from studio.service import Studio
from studio.ui import pictures
from studio.ui.maps import answered
from studio.ui.render import duration
from studio.ui.who import open_to, person_of
from studio.verification import Check, Verification

MAX_NAME = 120
# A check holds a picture of up to 4096 pixels a side; each person has so many.
REMEMBERED = 3
SHOWN_SIDE = 320


class Checks:
    """Pictures that are being made again, by the unguessable id of their job; a person's oldest are forgotten, and end."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._known: OrderedDict[str, tuple[Person, Check]] = OrderedDict()

    def begin(self, asked: Any, person: Person) -> dict[str, Any]:
        """Begin one for a file as the browser sends it."""
        name, data = file_of(asked)
        check = verification.begin(self._studio, data, name=name, visitor=person.id, person=person)
        self._known[check.job.id] = person, check
        theirs = [key for key, (whose, _) in self._known.items() if whose == person]
        for key in theirs[:-REMEMBERED]:
            job = self._known.pop(key)[1].job
            if job.state().terminal is None:
                self._studio.stop(job)
        return {"check": check.job.id}

    def find(self, key: Any, person: Person) -> Check | None:
        """Return a person's check, or None when they have none of that id."""
        whose, check = self._known.get(key, (None, None)) if isinstance(key, str) else (None, None)
        return check if whose == person else None

    def look(self, key: Any, person: Person) -> dict[str, Any]:
        """Say how one stands; once it is over it is forgotten, as it holds pictures."""
        check = self.find(key, person)
        if check is None:
            raise InvalidRequest("This check is no longer known; press Verify again.")
        if check.job.state().terminal is not None:
            self._known.pop(key, None)
        return outcome(check)

    def stop(self, key: Any, person: Person) -> None:
        """End one that nobody waits for any more."""
        if check := self.find(key, person):
            self._studio.stop(check.job)


def server_functions(studio: Studio) -> list[Callable[..., Any]]:
    """Return what the panel's script calls. Each answers nonsense with one sentence under `error`."""
    checks = Checks(studio)

    @open_to("maker")
    async def recall(asked: Any, asker: gr.Request) -> dict[str, Any]:
        return await asyncio.to_thread(answered, lambda: recalled(studio, asked, person_of(asker)))

    @open_to("maker")
    async def verify(asked: Any, asker: gr.Request) -> dict[str, Any]:
        return await asyncio.to_thread(answered, lambda: checks.begin(asked, person_of(asker)))

    @open_to("maker")
    async def verified(key: Any, asker: gr.Request) -> dict[str, Any]:
        return await asyncio.to_thread(answered, lambda: checks.look(key, person_of(asker)))

    @open_to("maker")
    def stop_check(key: Any, asker: gr.Request) -> None:
        checks.stop(key, person_of(asker))

    @open_to("maker")
    async def convert(asked: Any) -> dict[str, Any]:
        return await asyncio.to_thread(answered, lambda: converted(asked))

    return [recall, verify, verified, stop_check, convert]


def file_of(asked: Any) -> tuple[str, bytes]:
    """Read a file as the browser sends it: [name, `data:` address].

    Raises:
        BadPicture: it is no file, or larger than a picture that is let in.
    """
    match asked:
        case [str(name), str(address)] if address.startswith("data:"):
            body = address.partition(",")[2]
        case _:
            raise BadPicture("That is no picture; give a PNG, JPEG or WebP file.")
    name = "".join(letter for letter in name[:MAX_NAME] if letter.isprintable()).strip() or "The picture"
    if len(body) > intake.MAX_FILE_BYTES * 4 // 3 + 4:
        raise BadPicture(f"{name} is a file of {len(body) * 3 / 4e6:.0f} MB; give one of at most {intake.MAX_FILE_BYTES // 10**6} MB.")
    try:
        return name, base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise BadPicture(f"{name} was cut short on its way; give it again.") from None


def recalled(studio: Studio, asked: Any, person: Person) -> dict[str, Any]:
    """Return the report on a picture, and the settings that the form may take."""
    name, data = file_of(asked)
    found = studio.recall(data, name=name, person=person)
    return {
        "name": name,
        "dialect": found.dialect,
        "summary": summary(found),
        "lines": [vars(line) for line in found.lines],
        "made": made_by(found),
        "settings": {field: value for field, value in found.request.model_dump(mode="json").items() if field in found.said},
        "picture": small(data, name),
        "verifiable": "seed" in found.said and found.request.seed >= 0,
    }


def small(data: bytes, name: str) -> str:
    """Return a small copy of a picture; nothing where its pixels are damaged, since its settings may still be good."""
    try:
        return pictures.shown(intake.read(data, name=name).picture, side=SHOWN_SIDE)
    except BadPicture:
        return ""


def summary(found: Recall) -> str:
    """Say in one sentence how faithful the settings are."""
    near, gone = found.count("approximated"), found.count("missing")
    if not found.lines:
        return "The picture names its program, but no settings."
    if not near and not gone:
        return "All settings are exact."
    parts = [f"{count} {word}" for count, word in ((found.count("exact"), "exact"), (near, "approximated"), (gone, "missing")) if count]
    return f"{', '.join(parts[:-1])} and {parts[-1]}." if len(parts) > 1 else f"{parts[0]}."


def made_by(found: Recall) -> list[str]:
    """Return by what a picture of ours was made, a line each."""
    if not (made := found.provenance):
        return []
    versions = ", ".join(f"{name} {version}" for name, version in made.versions.items())
    device = ", ".join(filter(None, (made.device, made.precision)))
    marks = [("Model", made.model), *(("LoRA", mark) for mark in made.loras), *(("ControlNet", mark) for mark in made.controlnets)]
    return [*filter(None, (versions, device)), *(f"{label} {hashed(mark)}" for label, mark in marks)]


def hashed(mark: Mark) -> str:
    """Return weights by name and hash; one that was not known in time is said to be."""
    return f"{mark.name}, hash {mark.hash[:16]}" if mark.hash else f"{mark.name}, its hash was not known yet"


def outcome(check: Check) -> dict[str, Any]:
    """Say how a check stands, or what came out of it."""
    state = check.job.state()
    if state.terminal is None:
        step = f"step {state.step.index} of {state.step.total}" if state.step else "waiting for its turn"
        left = (state.step.total - state.step.index) * state.step.seconds / max(1, state.step.index) if state.step else 0
        return {"done": False, "text": f"Making it again: {step}" + (f", {duration(left)} left" if left else "")}
    return {"done": True, **told(check.outcome(timeout=1))}


def told(found: Verification) -> dict[str, Any]:
    """Return the outcome of a check as the page shows it."""
    likeness = found.likeness
    return {
        "text": found.sentence,
        "verdict": {True: "exact", False: "missing", None: "approximated"}[found.identical],
        "psnr": None if likeness is None or math.isinf(likeness.psnr) else round(likeness.psnr, 2),
        "ssim": None if likeness is None else round(likeness.ssim, 5),
        "picture": pictures.shown(found.picture, side=SHOWN_SIDE),
    }


def converted(asked: Any) -> dict[str, Any]:
    """Return a picture of ours in another format, with its settings or without; `asked` is [name, address, format, bare]."""
    match asked:
        case [name, address, kind, bool(bare)] if kind in get_args(FormatName):
            name, data = file_of([name, address])
        case _:
            raise InvalidRequest("This page did not ask properly; reload it.")
    content = metadata.convert(data, kind=kind, bare=bare, name=name)
    stem = name.rpartition(".")[0] or name
    return {"name": f"{stem}{metadata.SUFFIX_OF[kind]}", "type": f"image/{kind.lower()}", "file": base64.b64encode(content).decode()}
