"""Bodies are looked at before gradio reads them: none may name a file or an address, and a call of `/generate` must hold a request.

Gradio fetches what a body names before any function of ours hears of it. Bodies are bounded by the guard, so they are read here as a
whole and handed on.
"""

import asyncio
import json
from typing import Any, get_args

from starlette.types import ASGIApp, Receive, Scope, Send

from studio.errors import InvalidRequest
from studio.intake import MAX_NAME
from studio.request import GenerationRequest
from studio.ui import asgi
from studio.ui.routes import API, CALL

FILE_MARK = "gradio.FileData"
NO_FILES = "Neither files nor addresses are taken here, so leave out the object with path and meta."
WHOLE = tuple(name for name, field in GenerationRequest.model_fields.items() if int in (field.annotation, *get_args(field.annotation)))


class Envelope:
    """ASGI middleware around gradio: a body that it must not see is answered with status 422 and `{"error": sentence}`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on once its body was found good."""
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith(f"{API}/"):
            await self._app(scope, receive, send)
            return
        body, whole = await asgi.read(receive)
        if not whole:
            return
        check = checked if scope["path"].rstrip("/") == CALL else without_files
        try:
            # A body may hold 60 MB, and others are being answered meanwhile.
            body = await asyncio.to_thread(check, body)
        except InvalidRequest as error:
            await asgi.tell(send, 422, str(error))
        else:
            await self._app(asgi.with_length(scope, len(body)), asgi.again(body, receive), send)


def without_files(body: bytes) -> bytes:
    """Return the body of anything that gradio is asked.

    Raises:
        InvalidRequest: it is no JSON, or holds what gradio takes for a file.
    """
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidRequest("The body must be JSON.") from None
    if _names_a_file(sent):
        raise InvalidRequest(NO_FILES)
    return body


def checked(body: bytes) -> bytes:
    """Return the body of a call.

    Raises:
        InvalidRequest: it is no call of the endpoint.
    """
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidRequest('The body must be JSON such as {"data": [{"prompt": "a red sphere", "seed": 7}]}.') from None
    data = sent.get("data") if isinstance(sent, dict) else None
    if not isinstance(data, list) or len(data) != 1 or not set(sent) <= {"data", "session_hash"}:
        raise InvalidRequest('The body must hold one request in a list, such as {"data": [{"prompt": "a red sphere"}]}.')
    if _names_a_file(sent):
        raise InvalidRequest(NO_FILES)
    check_fields(data[0])
    return body


def check_fields(data: Any) -> None:
    """Look at a request without its pictures, which are read where there is time for it, and only for a request that is good.

    Raises:
        InvalidRequest: it would be refused.
    """
    GenerationRequest.parse(_without_pictures(with_whole(data)))


def with_whole(data: Any) -> Any:
    """Return a request with whole numbers written as such: in JSON 20.0 is one, too."""
    found = {name: value for name, value in data.items() if name in WHOLE and isinstance(value, float)} if isinstance(data, dict) else {}
    whole = {name: int(value) for name, value in found.items() if value.is_integer()}
    return {**data, **whole} if whole else data


def _without_pictures(data: Any) -> Any:
    """Return the request with a short name for every picture as text."""
    units = data.get("controls") if isinstance(data, dict) else None
    if not isinstance(units, list):
        return data
    named = [{**unit, "image": "a picture"} if isinstance(unit, dict) and _is_long(unit.get("image")) else unit for unit in units]
    return {**data, "controls": named}


def _is_long(image: Any) -> bool:
    return isinstance(image, str) and len(image) > MAX_NAME


def _names_a_file(sent: Any) -> bool:
    """Whether gradio would take a part of this, at any depth, for a file to fetch (see its `is_file_obj_with_meta`), or fail on it."""
    parts = [sent]
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            meta = part.get("meta")
            if meta.get("_type") == FILE_MARK if isinstance(meta, dict) else "meta" in part and isinstance(part.get("path"), str):
                return True
            parts += part.values()
        elif isinstance(part, list):
            parts += part
    return False
