"""What the Control section asks of the studio: keep a picture, show it, make its map, say which kinds the model can follow."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

from studio.errors import InvalidRequest, Stopped, StudioError
from studio.inventory import Inventory
from studio.request import GenerationRequest, info
from studio.service import Studio
from studio.ui import pictures


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


def server_functions(studio: Studio) -> list[Callable[[Any], Any]]:
    """Return what the section's script calls. Each answers nonsense with one sentence under `error`."""
    tickets: dict[str, Ticket] = {}

    async def keep(sent: Any) -> dict[str, Any]:
        return await asyncio.to_thread(answered, lambda: kept(studio, sent))

    async def thumbnail(key: Any) -> dict[str, Any]:
        return await asyncio.to_thread(answered, lambda: {"picture": pictures.shown(found(studio, key))})

    async def annotate(asked: Any) -> dict[str, Any]:
        match asked:
            case [dict() as use, [width, height], str(name)] if len(name) <= 64:
                ticket = tickets.setdefault(name, Ticket())
            case _:
                return {"error": "This page did not ask properly; reload it."}
        try:
            return await asyncio.to_thread(answered, lambda: {"map": map_of(studio, use, (width, height), ticket)})
        finally:
            tickets.pop(name, None)

    def progress(name: Any) -> dict[str, Any] | None:
        ticket = tickets.get(name) if isinstance(name, str) else None
        return {"fraction": ticket.fraction, "message": ticket.message} if ticket else None

    def cancel(name: Any) -> None:
        if isinstance(name, str) and (ticket := tickets.get(name)):
            ticket.unwanted = True

    def kinds(model: Any) -> dict[str, Any]:
        return control_kinds(studio.inventory(), model)

    def preprocessors(kind: Any) -> list[dict[str, Any]]:
        return preprocessor_rows(studio, kind)

    return [keep, thumbnail, annotate, progress, cancel, kinds, preprocessors]


def answered(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what `work` returns, or its sentence under `error`."""
    try:
        return {"error": "", **work()}
    except StudioError as error:
        return {"error": f"{error} {error.hint}".strip()}


def kept(studio: Studio, sent: Any) -> dict[str, Any]:
    """Keep a picture that came as a `data:` address; the page gets its hash and a small copy."""
    picture = pictures.read(sent)
    return {"image": studio.keep(picture), "picture": pictures.shown(picture)}


def found(studio: Studio, key: Any) -> Any:
    """Return the kept picture of a hash.

    Raises:
        InvalidRequest: it is not here.
    """
    picture = studio.picture(key) if isinstance(key, str) else None
    if picture is None:
        raise InvalidRequest("The picture is no longer here; give it again.")
    return picture


def map_of(studio: Studio, use: Any, size: tuple[Any, Any], ticket: Ticket) -> str:
    """Return the map of one unit as the page shows it.

    Raises:
        StudioError: the unit is no valid one, or its map cannot be made.
    """
    try:
        request = GenerationRequest.parse({"controls": [use], "width": size[0], "height": size[1]})
    except InvalidRequest as error:
        raise InvalidRequest(str(error).replace("controls[0].", "").replace("controls[0]: ", "")) from error
    (unit,) = request.controls
    found(studio, unit.image)
    made = studio.annotate(unit, size=(request.width or 0, request.height or 0), progress=ticket.report)
    return pictures.shown(made)


def control_kinds(inventory: Inventory, model: Any) -> dict[str, Any]:
    """Say per kind which ControlNets fit a model (the default one when None), and, when none does, what to do."""
    card = next((card for card in inventory.models if model in (None, card.name)), None)
    answer = {}
    for kind in get_args(info("controls.kind").annotation):
        nets = [net.name for net in inventory.controlnets if card and net.kind == kind and net.unet == card.unet]
        name = card.name if card else "This model"
        reason = "" if nets else f"{name} has no {kind} ControlNet here; put one into controlnets/ of the data folder."
        answer[kind] = {"nets": nets, "reason": reason}
    return answer


def preprocessor_rows(studio: Studio, kind: Any) -> list[dict[str, Any]]:
    """Return the preprocessors of a kind as the picker shows them, the one that takes the picture as it is first."""
    return [{"name": "none", "title": "None", "description": "The picture is a map already.", "reason": "", "size": "", "settings": []}]
