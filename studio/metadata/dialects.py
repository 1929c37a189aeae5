"""Which program made a picture, and what it says: our own settings first, then those of other programs."""

import io
from dataclasses import replace
from typing import Any

from PIL import Image

from studio.errors import BadPicture
from studio.metadata import comfy, containers, fooocus, invoke, novelai, swarm, webui
from studio.metadata.containers import Carried
from studio.metadata.json_text import objects
from studio.metadata.reading import Reading, Remark
from studio.metadata.record import read_document

PROGRAMS = "this studio, A1111, Forge, SD.Next, Fooocus, InvokeAI, SwarmUI, ComfyUI or NovelAI"


def read(data: bytes, *, name: str) -> Reading:
    """Read the settings that a picture file carries.

    Raises:
        BadPicture: it is no picture, or carries no settings that are known here.
    """
    carried = containers.read(data, name=name)
    found = _found(carried, name) or _found(_hidden(data, carried, name), name)
    if found is None:
        raise BadPicture(f"{name} carries no settings of {PROGRAMS}; many sites take them out of the pictures they show.")
    return found


def _found(carried: Carried, name: str) -> Reading | None:
    if carried.document:
        try:
            return Reading(dialect="Studio", record=read_document(carried.document, name=name))
        except BadPicture as error:
            other = _other(carried)
            if other is None:
                raise
            damaged = Remark("settings", "approximated", f"{str(error).rstrip('.')}; the line for other programs is read instead")
            return replace(other, remarks=(damaged, *other.remarks))
    return _other(carried)


def _other(carried: Carried) -> Reading | None:
    texts, parameters = carried.texts, carried.parameters
    if swarm.recognised(parameters):
        return swarm.read(parameters)
    if fooocus.recognised(parameters):
        return fooocus.read(parameters)
    if invoke.recognised(graph := texts.get("invokeai_metadata", "") or parameters):
        return invoke.read(graph)
    if parameters and webui.recognised(parameters):
        return webui.read(parameters, scheme=texts.get("fooocus_scheme", "") or carried.maker)
    # Where there are no PNG texts, they stand together in the comment, as JSON.
    members = {key: value for key, value in objects(parameters).items() if isinstance(value, str)}
    if found := next((each for each in (texts, members) if novelai.recognised(each)), None):
        return novelai.read(found)
    # Last, because others keep their graph beside their own settings.
    graphs = (each for each in (texts.get("prompt", ""), parameters) if comfy.recognised(each))
    return next(map(comfy.read, graphs), None)


def _hidden(data: bytes, carried: Carried, name: str) -> Carried:
    """Return what stands in a PNG's alpha channel, for which its pixels have to be decoded."""
    if carried.format != "PNG" or len(data) < 26 or data[25] not in (4, 6):
        return Carried("PNG")
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as opened:
            if opened.width * opened.height > containers.MAX_PIXELS:
                return Carried("PNG")
            texts: dict[str, Any] = novelai.hidden(opened.convert("RGBA"), name=name)
    except BadPicture:
        raise
    except Exception as error:  # Pillow raises a dozen kinds for damaged files
        raise BadPicture(f"{name} cannot be read as a picture, because it is damaged or cut short.") from error
    return Carried("PNG", {key: str(texts[key]) for key in containers.KNOWN if key in texts})
