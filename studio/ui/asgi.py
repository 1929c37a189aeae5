"""The little that the studio's own ASGI layers share: headers, bodies read as a whole and handed on, short answers."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.types import Message, Receive, Scope, Send

Headers = Mapping[str, str]


def headers_of(scope: Scope) -> Headers:
    """Return the request's headers by lower-case name; of repeated ones the last."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


async def read(receive: Receive) -> tuple[bytes, bool]:
    """Return the body and whether it is all there (the caller may have gone away)."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts), False
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts), True


def again(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives this body, and after it whatever still comes."""
    unread = [body]

    async def replay() -> Message:
        return {"type": "http.request", "body": unread.pop(), "more_body": False} if unread else await receive()

    return replay


def with_length(scope: Scope, length: int) -> Scope:
    """Return the scope with another content-length."""
    others = [pair for pair in scope["headers"] if pair[0].lower() != b"content-length"]
    return {**scope, "headers": [*others, (b"content-length", str(length).encode())]}


async def answer(send: Send, status: int, content: bytes = b"", **headers: str) -> None:
    """Send a short answer; underscores in header names stand for dashes."""
    pairs = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": [*pairs, (b"content-length", str(len(content)).encode())]})
    await send({"type": "http.response.body", "body": content})


async def tell(send: Send, status: int, sentence: str, **headers: str) -> None:
    """Answer with `{"error": sentence}`."""
    await say(send, status, {"error": sentence}, **headers)


async def say(send: Send, status: int, value: Any, **headers: str) -> None:
    """Answer with JSON."""
    await answer(send, status, json.dumps(value).encode(), content_type="application/json", **headers)
