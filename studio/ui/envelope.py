"""What a plain HTTP caller of `/generate` must send: `{"data": [request]}`. Looked at before gradio, whose own refusals say nothing.

The body of the two-step protocol's POST is bounded by the guard, so it is read here as a whole and handed on unchanged.
"""

import json
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

ROUTE = "/call/generate"
FILE_MARK = "gradio.FileData"


class Envelope:
    """ASGI middleware: a body that holds no request is answered with status 422 and `{"error": sentence}`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on once its body was found good."""
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].endswith(ROUTE):
            await self._app(scope, receive, send)
            return
        body, whole = await _read(receive)
        if whole and (problem := complaint(body)):
            await _answer(send, problem)
        else:
            await self._app(scope, _again(body, receive), send)


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
    return ""


def _names_a_file(value: Any) -> bool:
    match value:
        case dict():
            meta = value.get("meta")
            return (isinstance(meta, dict) and meta.get("_type") == FILE_MARK) or any(map(_names_a_file, value.values()))
        case list():
            return any(map(_names_a_file, value))
        case _:
            return False


async def _read(receive: Receive) -> tuple[bytes, bool]:
    """Return the body and whether it is all there (the caller may have gone away)."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts), False
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts), True


def _again(body: bytes, receive: Receive) -> Receive:
    unread = [body]

    async def replay() -> Message:
        return {"type": "http.request", "body": unread.pop(), "more_body": False} if unread else await receive()

    return replay


async def _answer(send: Send, sentence: str) -> None:
    body = json.dumps({"error": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 422, "headers": headers})
    await send({"type": "http.response.body", "body": body})
