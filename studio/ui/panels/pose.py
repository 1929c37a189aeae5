"""The pose editor: people as skeletons that are dragged into place. What is drawn on the page is the map that the model follows."""

import asyncio
import base64
import io
import json
from collections.abc import Callable
from html import escape
from typing import Any

import gradio as gr

from studio import intake
from studio.errors import BadPose, InvalidRequest, MissingWeights
from studio.people import OWNER, Person
from studio.pose import JOINTS, LIMBS, MAX_PEOPLE, Pose, drawing, openpose
from studio.pose.library import library
from studio.pose.reading import read_map
from studio.request import ControlUse, GenerationRequest
from studio.service import Studio
from studio.ui import widgets
from studio.ui.maps import answered, unit_of
from studio.ui.panels.editor import Editor
from studio.ui.who import open_to, person_of

_ADD = '<circle cx="6.5" cy="4" r="2"/><path d="M6.5 6v4.5l-2.5 4M6.5 10.5l2.5 4M3 8h7M11.5 3.5h4M13.5 1.5v4"/>'
_REMOVE = '<circle cx="6.5" cy="4" r="2"/><path d="M6.5 6v4.5l-2.5 4M6.5 10.5l2.5 4M3 8h7M11.5 3.5h4"/>'
_MIRROR = '<path d="M8 1.5v13M5.5 4.5l-4 7h4zM10.5 4.5l4 7h-4z"/>'
_HIDE = '<path d="M1.5 8s2.5-4.5 6.5-4.5S14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM3 13.5l10-11"/><circle cx="8" cy="8" r="1.8"/>'
_SMALLER = '<circle cx="7" cy="7" r="4.5"/><path d="M10.5 10.5l4 4M5 7h4"/>'
_LARGER = '<circle cx="7" cy="7" r="4.5"/><path d="M10.5 10.5l4 4M5 7h4M7 5v4"/>'
_TURN_LEFT = '<path d="M3 6.5A5.5 5.5 0 1 1 2.8 10M3 2.5v4h4"/>'
_TURN_RIGHT = '<path d="M13 6.5A5.5 5.5 0 1 0 13.2 10M13 2.5v4H9"/>'
_UNDO = '<path d="M5.5 3L2.5 6l3 3M2.5 6h7a4 4 0 0 1 0 8H7"/>'
_REDO = '<path d="M10.5 3l3 3-3 3M13.5 6h-7a4 4 0 0 0 0 8H9"/>'
FOUND_SIDE = 1024
"""People are looked for in a copy of at most so many pixels a side."""
_TOOLS = (
    ("add", "Add a person", _ADD), ("remove", "Remove the person", _REMOVE), ("mirror", "Mirror the person", _MIRROR),
    ("smaller", "Smaller", _SMALLER), ("larger", "Larger", _LARGER), ("left", "Turn to the left", _TURN_LEFT),
    ("right", "Turn to the right", _TURN_RIGHT), ("hide", "Hide or show the joint", _HIDE),
    ("undo", "Undo", _UNDO), ("redo", "Redo", _REDO),
)  # fmt: skip
_MARKUP = """
<div class="pose" data-part="pose" data-skeleton="{skeleton}">
  <div class="pose-tools" role="toolbar" aria-label="Pose">{tools}</div>
  <div class="pose-place">
    <svg data-part="canvas" role="group" aria-label="Pose: Tab goes from joint to joint, arrow keys move, Delete hides"></svg>
    <p class="pose-empty" data-part="empty"><b>Nobody is here yet</b><span>Choose a pose below, or add a person.</span></p>
  </div>
  <p class="help" data-part="said" role="status"></p>
  <div class="chips">
    <button type="button" data-part="poses" aria-expanded="false">Poses</button>
    <button type="button" data-part="import" aria-expanded="false">Import</button>
    <button type="button" data-part="json">Save JSON</button>
    <button type="button" data-part="png">Save PNG</button>
  </div>
  <div class="pose-library" data-part="library" role="group" aria-label="Poses to start from" hidden></div>
  <div class="field" data-part="importing" hidden>
    <div class="label">
      <label for="pose-text">OpenPose JSON, pose map or photo</label>
      <button type="button" class="link" data-part="choose">Choose a file</button>
    </div>
    <textarea id="pose-text" data-part="text" rows="3" spellcheck="false" placeholder="or paste JSON here"></textarea>
    <input type="file" accept=".json,application/json,image/*" data-part="file" aria-label="OpenPose JSON or picture file" hidden>
  </div>
  <p class="warning" data-part="problem" role="alert" hidden></p>
</div>
"""


def pose_editor(studio: Studio) -> Editor:
    """Return the tool of pose units."""
    # Lists only, because braces mean something to the template that this stands in.
    skeleton = json.dumps([JOINTS, LIMBS, drawing.COLOURS, drawing.DIMMED, drawing.HALF_WIDTH, MAX_PEOPLE, openpose.MAX_CHARACTERS])
    tools = "".join(
        f'<button type="button" data-tool="{name}" aria-label="{title}" title="{title}">{widgets.icon(paths)}</button>'
        for name, title, paths in _TOOLS
    )
    return Editor(
        kind="pose",
        verb="Edit",
        markup=_MARKUP.format(skeleton=escape(skeleton), tools=tools),
        server_functions=tuple(server_functions(studio)),
    )


def server_functions(studio: Studio) -> list[Callable[..., Any]]:
    """Return what the editor's script calls. A pose comes and goes as OpenPose's JSON; nonsense gets a sentence under `error`."""

    @open_to("maker")
    async def pose_map(asked: Any, asker: gr.Request) -> dict[str, Any]:
        return await asyncio.to_thread(answered, lambda: {"image": studio.keep(drawing.draw(_sized(asked)), person=person_of(asker))})

    @open_to("maker")
    async def pose_png(asked: Any) -> dict[str, Any]:
        return await asyncio.to_thread(answered, lambda: {"png": png(_sized(asked))})

    @open_to("maker")
    async def pose_read(text: Any) -> dict[str, Any]:
        return await asyncio.to_thread(answered, lambda: {"pose": told(openpose.read(_text(text)))})

    @open_to("maker")
    async def pose_mirror(asked: Any) -> dict[str, Any]:
        return await asyncio.to_thread(answered, lambda: {"pose": told(_mirrored(asked))})

    @open_to("maker")
    async def pose_library(_: Any) -> dict[str, Any]:
        return await asyncio.to_thread(answered, lambda: {"poses": [{"name": one.name, "pose": told(one.pose)} for one in library()]})

    @open_to("maker")
    async def pose_find(sent: Any, asker: gr.Request) -> dict[str, Any]:
        return await asyncio.to_thread(answered, lambda: {"pose": told(found(studio, sent, person_of(asker)))})

    @open_to("maker")
    async def pose_people(asked: Any, asker: gr.Request) -> dict[str, Any]:
        def people() -> dict[str, Any]:
            unit, size = unit_of(studio, asked, person_of(asker))
            return {"pose": told(there(studio.people(unit, size=size, person=person_of(asker))))}

        return await asyncio.to_thread(answered, people)

    return [pose_map, pose_png, pose_read, pose_mirror, pose_library, pose_find, pose_people]


def told(pose: Pose) -> dict[str, Any]:
    """Return a pose as the page holds it: OpenPose's JSON."""
    shown: dict[str, Any] = json.loads(openpose.write(pose))
    return shown


def png(pose: Pose) -> str:
    """Return a pose's map as a `data:` address."""
    buffer = io.BytesIO()
    drawing.draw(pose).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def found(studio: Studio, sent: Any, person: Person = OWNER) -> Pose:
    """Return the people in a picture that came as a `data:` address: a pose map is read, in a photograph a detector finds them.

    Raises:
        StudioError: it is no picture, nobody is in it, or no detector's weights are here.
    """
    picture = intake.decode(_text(sent), kind="pose").picture
    if max(picture.size) > FOUND_SIDE:
        picture.thumbnail((FOUND_SIDE, FOUND_SIDE))
    if pose := read_map(picture):
        return pose
    ready = [offer.row for offer in studio.preprocessors("pose") if offer.state == "ready" and offer.row.sources]
    if not ready:
        raise MissingWeights("No pose detector is here yet; give the photo under Picture and choose OpenPose there, which fetches it.")
    # Whoever fetched the one that finds hands and faces wants them.
    row = max(ready, key=lambda row: "hand" in row.filled("pose", {}))
    settings = {part: 1.0 for part in ("hand", "face") if part in row.filled("pose", {})}
    use = ControlUse(kind="pose", image=studio.keep(picture, person=person), preprocessor=row.name, settings=settings, fit="stretch")
    return there(studio.people(use, size=picture.size, person=person))


def there(pose: Pose | None) -> Pose:
    """Return a pose that somebody is in.

    Raises:
        BadPose: nobody was found.
    """
    if pose is None:
        raise BadPose("Nobody was found in this picture; give one that shows people from head to hip at least.")
    return pose


def _text(sent: Any) -> str:
    if not isinstance(sent, str):
        raise InvalidRequest("This page did not ask properly; reload it.")
    return sent


def _sized(asked: Any) -> Pose:
    """Return the pose of `[text, [width, height]]` on a canvas of that size.

    Raises:
        StudioError: the text is no pose, or the size is none that a picture can have.
    """
    match asked:
        case [text, [width, height]]:
            size = GenerationRequest.parse({"width": width, "height": height})
            if size.width and size.height:
                return openpose.read(_text(text)).fitted(size.width, size.height)
    raise InvalidRequest("This page did not ask properly; reload it.")


def _mirrored(asked: Any) -> Pose:
    match asked:
        case [text, int(index)]:
            return openpose.read(_text(text)).mirrored(index)
    raise InvalidRequest("This page did not ask properly; reload it.")
