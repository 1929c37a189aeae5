"""What a plain HTTP caller of `/generate` must send: `{"data": [request]}`. Looked at before gradio, whose own refusals say nothing.

The body of the two-step protocol's POST is bounded by the guard, so it is read here as a whole and handed on unchanged.
"""

import json
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from studio.errors import InvalidRequest
from studio.request import GenerationRequest
from studio.ui import asgi
from studio.ui.routes import CALL

FILE_MARK = "gradio.FileData"


class Envelope:
    """ASGI middleware: a body that holds no request is answered with status 422 and `{"error": sentence}`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on once its body was found good."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"].rstrip("/") != CALL:
            await self._app(scope, receive, send)
            return
        body, whole = await asgi.read(receive)
        if whole and (problem := complaint(body)):
            await asgi.tell(send, 422, problem)
        else:
            await self._app(scope, asgi.again(body, receive), send)


def complaint(body: bytes) -> str:
    """Say in one sentence what keeps a body from being a call of the endpoint; empty when nothing does."""
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        return 'The body must be JSON such as {"data": [{"prompt": "a red sphere", "seed": 7}]}.'
    data = sent.get("data") if isinstance(sent, dict) else None
    if not isinstance(data, list) or len(data) != 1:
        return 'The body must hold one request in a list, such as {"data": [{"prompt": "a red sphere"}]}.'
    if _names_a_file(data[0]):
        return f"A request holds no files, so leave out the object with _type {FILE_MARK}."
    try:
        GenerationRequest.parse(_without_pictures(data[0]))
    except InvalidRequest as error:
        return str(error)
    return ""


def _without_pictures(data: Any) -> Any:
    """Return the request with a short name for every picture as text; those are read where there is time for it."""
    units = data.get("controls") if isinstance(data, dict) else None
    if not isinstance(units, list):
        return data
    named = [{**unit, "image": "a picture"} if isinstance(unit, dict) and isinstance(unit.get("image"), str) else unit for unit in units]
    return {**data, "controls": named}


def _names_a_file(value: Any) -> bool:
    match value:
        case dict():
            meta = value.get("meta")
            return (isinstance(meta, dict) and meta.get("_type") == FILE_MARK) or any(map(_names_a_file, value.values()))
        case list():
            return any(map(_names_a_file, value))
        case _:
            return False
