"""What the Control section asks of the studio: keep a picture, show it, make its map, say which kinds the model can follow."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

import gradio as gr
from PIL import Image

from studio import intake
from studio.errors import InvalidRequest, Stopped, StudioError
from studio.events import Finished
from studio.inventory import ControlNetCard, Inventory, ModelCard
from studio.people import Person
from studio.ports import Offer
from studio.request import ControlUse, GenerationRequest, alone, info
from studio.service import Studio
from studio.ui import pictures
from studio.ui.who import open_to, person_of

MAX_TICKET = 64


@dataclass
class Ticket:
    """One map being made, by a name that the page drew: how far its weights are, and whether the page still wants it."""

    fraction: float = 0.0
    message: str = ""
    unwanted: bool = False

    def report(self, fraction: float, message: str) -> None:
        """Note progress; ends the work once nobody wants it any more."""
        if self.unwanted:
            raise Stopped("The map was cancelled.")
        self.fraction, self.message = fraction, message


def map_functions(studio: Studio) -> list[Callable[..., Any]]:
    """Return what makes maps. Each map has a ticket while it is made, by which the page follows and cancels it."""
    # By person, too: nobody follows or cancels another's.
    tickets: dict[tuple[str, str], Ticket] = {}

    @open_to("maker")
    async def annotate(asked: Any, asker: gr.Request) -> dict[str, Any]:
        match asked:
            case [dict() as use, [width, height], str(name)] if len(name) <= MAX_TICKET:
                person = person_of(asker)
                ticket = tickets.setdefault((person.id, name), Ticket())
            case _:
                return {"error": "This page did not ask properly; reload it."}
        try:
            return await asyncio.to_thread(answered, lambda: {"map": map_of(studio, [use, [width, height]], ticket, person=person)})
        finally:
            tickets.pop((person.id, name), None)

    @open_to("maker")
    def progress(name: Any, asker: gr.Request) -> dict[str, Any] | None:
        ticket = tickets.get((person_of(asker).id, name)) if isinstance(name, str) else None
        return {"fraction": ticket.fraction, "message": ticket.message} if ticket else None

    @open_to("maker")
    def cancel(name: Any, asker: gr.Request) -> None:
        if isinstance(name, str) and (ticket := tickets.get((person_of(asker).id, name))):
            ticket.unwanted = True

    return [annotate, progress, cancel]


def server_functions(studio: Studio) -> list[Callable[..., Any]]:
    """Return what the section's script calls. Each answers nonsense with one sentence under `error`, or with nothing."""

    @open_to("maker")
    async def keep(asked: Any, asker: gr.Request) -> dict[str, Any]:
        return await asyncio.to_thread(answered, lambda: kept(studio, asked, person_of(asker)))

    @open_to("maker")
    async def reuse(asked: Any, asker: gr.Request) -> dict[str, Any]:
        return await asyncio.to_thread(answered, lambda: reused(studio, asked, person_of(asker)))

    @open_to("maker")
    async def thumbnail(key: Any, asker: gr.Request) -> dict[str, Any]:
        return await asyncio.to_thread(answered, lambda: {"picture": pictures.shown(found(studio, key, person_of(asker)))})

    @open_to("maker")
    async def keep_map(asked: Any, asker: gr.Request) -> dict[str, Any]:
        return await asyncio.to_thread(answered, lambda: {"image": kept_map(studio, asked, person_of(asker))})

    @open_to("maker")
    async def whole(key: Any, asker: gr.Request) -> dict[str, Any]:
        return await asyncio.to_thread(answered, lambda: {"picture": pictures.whole(found(studio, key, person_of(asker)))})

    @open_to("viewer")
    def kinds(model: Any, asker: gr.Request) -> dict[str, Any]:
        # Sentences about broken folders name files of this machine.
        return control_kinds(studio.inventory(), model, whole=person_of(asker).role == "owner")

    @open_to("viewer")
    def preprocessors(kind: Any) -> list[dict[str, Any]]:
        return [preprocessor_row(offer, kind) for offer in studio.preprocessors(kind)] if isinstance(kind, str) else []

    return [keep, reuse, thumbnail, keep_map, whole, kinds, preprocessors, *map_functions(studio)]


def answered(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what `work` returns, or its sentence under `error`."""
    try:
        return {"error": "", **work()}
    except StudioError as error:
        return {"error": f"{error} {error.hint}".strip()}


def kept(studio: Studio, asked: Any, person: Person) -> dict[str, Any]:
    """Keep a picture for a unit; `asked` is [`data:` address, kind]."""
    match asked:
        case [str(address), str(kind)]:
            return given(studio, intake.decode(address, kind=kind), kind, person)
        case _:
            raise InvalidRequest("That is no picture; give a PNG, JPEG or WebP file.")


def given(studio: Studio, taken: intake.Taken, kind: str, person: Person) -> dict[str, Any]:
    """Keep a picture; the page gets its hash, a small copy, what was changed about it, and the preprocessor that suits it."""
    offers = studio.preprocessors(kind)
    return {
        "image": studio.keep(taken.picture, person=person),
        "picture": pictures.shown(taken.picture),
        "notes": "; ".join(taken.notes),
        "preprocessor": pictures.suggested(taken.picture, kind, offers) if offers else "none",
    }


def reused(studio: Studio, asked: Any, person: Person) -> dict[str, Any]:
    """Keep a finished picture for a unit; `asked` is [job, index, kind], or [id in the history, kind]."""
    match asked:
        case [str(key), str(kind)] if studio.gallery and (content := studio.gallery.file(person, key)):
            return given(studio, intake.read(content, kind=kind), kind, person)
        case [str(job_id), int(index), str(kind)] if job := studio.job(job_id, person=person):
            finished = job.state().terminal
            if isinstance(finished, Finished) and 0 <= index < len(finished.images):
                return given(studio, intake.Taken(finished.images[index]), kind, person)
    raise InvalidRequest("The picture is no longer kept; make it again with its seed.")


def found(studio: Studio, key: Any, person: Person) -> Image.Image:
    """Return the kept picture of a hash.

    Raises:
        InvalidRequest: it is not here.
    """
    picture = studio.picture(key, person=person) if isinstance(key, str) else None
    if picture is None:
        raise InvalidRequest("The picture is no longer here; give it again.")
    return picture


def map_of(studio: Studio, asked: Any, ticket: Ticket, *, person: Person) -> str:
    """Return the map of one unit, `asked` as in `unit_of`, as the page shows it.

    Raises:
        StudioError: the unit is no valid one, or its map cannot be made.
    """
    unit, size = unit_of(studio, asked, person)
    return pictures.shown(studio.annotate(unit, size=size, progress=ticket.report, person=person))


def kept_map(studio: Studio, asked: Any, person: Person) -> str:
    """Keep the map of one unit, so that it can be painted over, and return its hash.

    Raises:
        StudioError: as `map_of`, and where the map is in colours.
    """
    unit, size = unit_of(studio, asked, person)
    made = studio.annotate(unit, size=size, person=person)
    if pictures.colourful(made):
        raise InvalidRequest("This map is in colours, and the brush paints greys; choose another preprocessor to paint over its map.")
    return studio.keep(made, person=person)


def unit_of(studio: Studio, asked: Any, person: Person) -> tuple[ControlUse, tuple[int, int]]:
    """Return the unit and the size in pixels that the page means by [unit, [width, height]].

    Raises:
        InvalidRequest: it is no valid unit, or its picture is not here.
    """
    match asked:
        case [dict() as use, [width, height]]:
            data = {"controls": [use], "width": width, "height": height}
        case _:
            raise InvalidRequest("This page did not ask properly; reload it.")
    try:
        request = GenerationRequest.parse(data)
    except InvalidRequest as error:
        raise InvalidRequest(alone(str(error), "controls")) from error
    (unit,) = request.controls
    found(studio, unit.image, person)
    return unit, (request.width or 0, request.height or 0)


def control_kinds(inventory: Inventory, model: Any, *, whole: bool = True) -> dict[str, Any]:
    """Say per kind which ControlNets fit a model (the default one when None), and, when none does, what to do.

    Under `problems` stands for each folder that is none that can be run, such as an IP-Adapter's, one sentence; not when not `whole`.
    """
    problems = [broken.problem for broken in inventory.broken if whole and broken.part == "controlnet"]
    card = next((card for card in inventory.models if model in (None, card.name)), None)
    answer = {}
    for kind in get_args(info("controls.kind").annotation):
        known = [net for net in inventory.controlnets if net.kind == kind]
        nets = [net.name for net in known if card and not net.misfit(card.unet)]
        answer[kind] = {"nets": nets, "reason": "" if nets else _lack(kind, known, card), "problems": problems}
    return answer


def _lack(kind: str, known: Sequence[ControlNetCard], card: ModelCard | None) -> str:
    """Say why no ControlNet of a kind can be used: there is none, or what there is was made for another family."""
    name = card.name if card else "This model"
    if card and known and (misfit := known[0].misfit(card.unet)):
        told = f"{known[0].name} was made for another family ({misfit[0]}) than {name} ({misfit[1]})"
        return f"{told}; put a {kind} ControlNet that fits into controlnets/ of the data folder."
    return f"{name} has no {kind} ControlNet here; put one into controlnets/ of the data folder."


def preprocessor_row(offer: Offer, kind: str) -> dict[str, Any]:
    """Return a preprocessor as the picker shows it."""
    row = offer.row
    return {
        "name": row.name,
        "title": row.label,
        "description": f"{row.description[:1].upper()}{row.description[1:]}.",
        "state": offer.state,
        "says": offer.says,
        "settings": [asdict(setting) for setting in row.offered(kind)],
    }
