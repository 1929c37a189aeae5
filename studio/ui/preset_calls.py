"""What the Preset row asks of the studio: find, look before applying, take, save, change, hand out, take in."""

import asyncio
import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr
from PIL import Image

from studio import intake
from studio.collection.answers import Look, NameTaken
from studio.errors import BadPreset, InvalidRequest
from studio.people import Person
from studio.presets import PARTS, Preset, snapshot
from studio.presets.parts import ALL, fields_of
from studio.service import Studio
from studio.ui import pictures
from studio.ui.form import parse
from studio.ui.maps import answered
from studio.ui.who import open_to, person_of

MOST_SHOWN, MOST_DELETED = 100, 20
COVER_SIDE = 96
Answer = dict[str, Any]


def server_functions(studio: Studio) -> list[Callable[..., Any]]:
    """Return what the row's script calls. Each answers with one sentence under `error` when it cannot be done."""
    works: Mapping[str, Callable[[Studio, Any, Person], Answer]] = {
        "find_presets": find,
        "covers": covers,
        "look_at": look_at,
        "take": take,
        "save_preset": save,
        "edit_preset": edit,
        "duplicate_preset": duplicate,
        "delete_preset": delete,
        "undo_preset": undo,
        "export_presets": export,
        "import_presets": take_in,
    }

    def served(name: str, work: Callable[[Studio, Any, Person], Answer]) -> Callable[..., Any]:
        # A viewer is told in a sentence what they may not do, by `Presets` itself.
        @open_to("viewer")
        async def call(asked: Any, asker: gr.Request) -> Answer:
            person = person_of(asker)
            return await asyncio.to_thread(answered, lambda: work(studio, asked, person))

        call.__name__ = name
        return call

    return [served(name, work) for name, work in works.items()]


def find(studio: Studio, asked: Any, person: Person) -> Answer:
    """Return the presets that have every word of a text; `asked` is the text."""
    shelf = studio.presets.shelf(person=person)
    found = shelf.search(asked if isinstance(asked, str) else "")
    return {
        "rows": [row(preset) for preset in found[:MOST_SHOWN]],
        "more": max(0, len(found) - MOST_SHOWN),
        "problems": list(shelf.problems),
        "deleted": [{"name": preset.name, "undo": token} for token, preset in studio.presets.deleted(person=person)[:MOST_DELETED]],
    }


def row(preset: Preset) -> Answer:
    """Return what the list shows of a preset."""
    titles = [part.title for part in PARTS if part.name in preset.parts]
    return {
        "name": preset.name,
        "description": preset.description,
        "star": preset.star,
        "builtin": preset.builtin,
        "parts": list(preset.parts),
        "facts": " · ".join(titles),
        "picture": preset.picture,
    }


def covers(studio: Studio, asked: Any, person: Person) -> Answer:
    """Return small pictures as `data:` addresses, by key; `asked` is a list of keys."""
    keys = [key for key in asked[:MOST_SHOWN] if isinstance(key, str)] if isinstance(asked, list) else []
    found = {key: studio.presets.picture(key, person=person) for key in keys}
    return {"pictures": {key: pictures.shown(picture, side=COVER_SIDE) for key, picture in found.items() if picture}}


def look_at(studio: Studio, asked: Any, person: Person) -> Answer:
    """Say what applying a preset would change; `asked` is [name, the form's values, parts or null for all, names to take instead]."""
    look, preset, parts = _look(studio, asked, person)
    return {
        "preset": row(preset),
        "parts": parts,
        "changes": [vars(change) for change in look.changes],
        "findings": [vars(finding) for finding in look.findings],
        "problems": list(look.problems),
    }


def take(studio: Studio, asked: Any, person: Person) -> Answer:
    """Return the values to set, by field; `asked` is as above. Pictures of control units are put where requests find them."""
    look, preset, _ = _look(studio, asked, person)
    studio.presets.secure(look.values, person=person)
    return {"preset": row(preset), "values": dict(look.values)}


def save(studio: Studio, asked: Any, person: Person) -> Answer:
    """Save the form; `asked` is {name, values, parts, replace}, `add` where other parts of the one it replaces stay, and, for a new one,
    description, star and picture.
    """
    match asked:
        case {"name": str(name), "values": dict() as values, "parts": list() as parts, "replace": bool(over)}:
            chosen = _parts(parts)
        case _:
            raise _improper()
    cover = _cover(asked)
    request = parse({field: values[field] for field in fields_of(chosen) if field in values})
    try:
        saved = studio.presets.put(snapshot(name, request, chosen), replace=over, add=asked.get("add") is True, person=person)
    except NameTaken as error:
        return {"error": str(error), "taken": True}
    preset = _detailed(studio, saved.preset, asked, cover, person=person)
    return {"preset": row(preset), "undo": saved.undo}


def edit(studio: Studio, asked: Any, person: Person) -> Answer:
    """Change a preset's name, description, star or picture; `asked` is {name, and what changes: new, description, star, picture}."""
    match asked:
        case {"name": str(name)}:
            preset = studio.presets.load(name, person=person)
        case _:
            raise _improper()
    cover = _cover(asked)
    if isinstance(new := asked.get("new"), str) and new != preset.name:
        preset = studio.presets.rename(preset.name, new, person=person)
    return {"preset": row(_detailed(studio, preset, asked, cover, person=person))}


def duplicate(studio: Studio, asked: Any, person: Person) -> Answer:
    """Copy a preset; `asked` is its name."""
    return {"preset": row(studio.presets.duplicate(_name(asked), person=person))}


def delete(studio: Studio, asked: Any, person: Person) -> Answer:
    """Take a preset away; `asked` is its name, the answer has what `undo` needs."""
    return {"undo": studio.presets.delete(_name(asked), person=person)}


def undo(studio: Studio, asked: Any, person: Person) -> Answer:
    """Bring back what was deleted or saved over; `asked` is what was answered then."""
    return {"preset": row(studio.presets.undo(_name(asked), person=person))}


def export(studio: Studio, asked: Any, person: Person) -> Answer:
    """Return a file; `asked` is [names or null for all of one's own, with pictures or not]."""
    match asked:
        case [list() | None as names, bool(with_pictures)]:
            own = [preset.name for preset in studio.presets.list(person=person) if not preset.builtin]
            wanted = own if names is None else [_name(name) for name in names]
        case _:
            raise _improper()
    if not wanted:
        raise BadPreset("There are no presets of yours to export yet; save one first.")
    file, data = studio.presets.export(wanted, pictures=with_pictures, person=person)
    return {"file": file, "data": base64.b64encode(data).decode()}


def take_in(studio: Studio, asked: Any, person: Person) -> Answer:
    """Take presets from a file; `asked` is [file name, base64 of its bytes]."""
    match asked:
        case [str(called), str(text)]:
            pass
        case _:
            raise _improper()
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _improper() from error
    taken = studio.presets.take_in(data, called, person=person)
    return {"names": list(taken.names), "notes": list(taken.notes)}


def _look(studio: Studio, asked: Any, person: Person) -> tuple[Look, Preset, list[str]]:
    match asked:
        case [str(name), dict() as present, list() | None as parts, list() as instead]:
            preset = studio.presets.load(name, person=person)
            wanted = list(preset.parts) if parts is None else _parts(parts)
        case _:
            raise _improper()
    names = {(kind, each): other for kind, each, other in filter(_is_triple, instead)}
    return studio.presets.look(name, present, parts=wanted, instead=names, person=person), preset, wanted


def _is_triple(entry: Any) -> bool:
    return isinstance(entry, list) and len(entry) == 3 and all(isinstance(text, str) for text in entry)


def _parts(given: list[Any]) -> list[str]:
    return [part for part in ALL if part in given]


def _name(asked: Any) -> str:
    if not isinstance(asked, str):
        raise _improper()
    return asked


def _improper() -> InvalidRequest:
    return InvalidRequest("This page did not ask properly; reload it.")


def _cover(asked: Mapping[str, Any]) -> Image.Image | str | None:
    """Return the picture that was given, an empty text when the present one is to go, or None when nothing was said."""
    picture = asked.get("picture")
    return (intake.decode(picture).picture if picture else "") if isinstance(picture, str) else None


def _detailed(studio: Studio, preset: Preset, asked: Mapping[str, Any], cover: Image.Image | str | None, *, person: Person) -> Preset:
    """Set what is named of description and star, and the picture."""
    if isinstance(text := asked.get("description"), str) and text != preset.description:
        preset = studio.presets.describe(preset.name, text, person=person)
    if isinstance(star := asked.get("star"), bool) and star != preset.star:
        preset = studio.presets.star(preset.name, star, person=person)
    if cover is not None:
        preset = studio.presets.illustrate(preset.name, cover if isinstance(cover, Image.Image) else None, person=person)
    return preset
