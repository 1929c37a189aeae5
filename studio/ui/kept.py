"""Pictures of the history over HTTP: whole, small, and several as a zip. Each person reaches their own, by id, and never a path."""

import asyncio
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from typing import IO

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from studio import metadata
from studio.errors import StudioError
from studio.metadata import FormatName
from studio.people import Person
from studio.ports import Gallery
from studio.ui.who import person_of

MAX_ZIP = 500
# A zip of at most so many bytes stays in memory.
SPOOLED = 16_000_000
_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)
How = tuple[FormatName, bool]
"""Format of a download, and whether the settings are left out."""
# A picture never changes under its id; only the browser of whoever may see it keeps a copy.
_FOREVER = "private, max-age=31536000, immutable"


def routes(gallery: Gallery) -> list[BaseRoute]:
    """Return the routes of the pictures that were kept."""

    async def picture(request: Request) -> Response:
        return await _answer(request, gallery.file, "image/png")

    async def small(request: Request) -> Response:
        return await _answer(request, gallery.thumbnail, "image/jpeg")

    async def several(request: Request) -> Response:
        keys = list(dict.fromkeys(request.query_params.get("ids", "").split(",")))
        if len(keys) > MAX_ZIP or not all(_ID.fullmatch(key) for key in keys):
            return JSONResponse({"error": f"Name 1 to {MAX_ZIP} pictures by their ids."}, 422)
        asked, bare = request.query_params.get("as", "PNG"), request.query_params.get("bare") == "1"
        kind = next((kind for kind in metadata.SUFFIX_OF if kind == asked), None)
        if kind is None:
            return JSONResponse({"error": f"as must be one of {', '.join(metadata.SUFFIX_OF)}."}, 422)
        try:
            file, count = await asyncio.to_thread(zipped, gallery, person_of(request), keys, how=(kind, bare))
        except StudioError as error:
            return JSONResponse({"error": str(error)}, 503)
        except OSError as error:
            return JSONResponse({"error": f"The pictures cannot be packed: {error.strerror or error}; free some space."}, 503)
        if not count:
            file.close()
            return _missing()
        headers = {"content-disposition": f'attachment; filename="studio-{count}-pictures.zip"', "cache-control": "no-store"}
        return StreamingResponse(_blocks(file), media_type="application/zip", headers=headers)

    return [Route("/kept/pictures.zip", several), Route("/kept/{key}.png", picture), Route("/kept/{key}.jpg", small)]


def zipped(gallery: Gallery, person: Person, keys: list[str], *, how: How = ("PNG", False)) -> tuple[IO[bytes], int]:
    """Return a zip of a person's pictures, and how many are in it; those that are not there are left out."""
    # Closed by whoever sends it.
    file = tempfile.SpooledTemporaryFile(max_size=SPOOLED)  # noqa: SIM115
    count = 0
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for key in keys:
            entry, content = gallery.entry(person, key), gallery.file(person, key)
            if entry and content:
                stem = entry.path.rpartition("/")[2].partition("+")[0].removesuffix(".png")
                content, suffix = written(content, how, name=stem)
                archive.writestr(f"{stem}{suffix}", content)
                count += 1
    file.seek(0)
    return file, count


def written(content: bytes, how: How, *, name: str) -> tuple[bytes, str]:
    """Return a kept file as it is wanted, and its suffix; one whose settings another format cannot take stays PNG.

    Raises:
        StudioError: the settings are to be left out, and cannot be.
    """
    kind, bare = how
    if how == ("PNG", False):
        return content, ".png"
    try:
        return metadata.convert(content, kind=kind, bare=bare, name=name), metadata.SUFFIX_OF[kind]
    except StudioError:
        if bare:
            raise
        return content, ".png"


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while block := file.read(1 << 18):
            yield block


async def _answer(request: Request, find: Callable[[Person, str], bytes | None], kind: str) -> Response:
    key = request.path_params["key"]
    if not _ID.fullmatch(key):
        return _missing()
    try:
        content = await asyncio.to_thread(find, person_of(request), key)
    except StudioError as error:
        return JSONResponse({"error": str(error)}, 503)
    if content is None:
        return _missing()
    return Response(content, media_type=kind, headers={"cache-control": _FOREVER})


def _missing() -> Response:
    return JSONResponse({"error": "There is no such picture."}, 404)
