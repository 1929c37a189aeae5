"""Answers that end the moment somebody is shown out: what runs is cancelled, a stream is closed, and no further byte is told."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from studio.ui import asgi


async def until_ended(ended: asyncio.Event, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request until `ended` is set.

    An answer that has told its length and begun is left to end by itself: it is at most one picture, and cannot be cut short properly.
    """
    answer = _Answer(ended, send)
    work = asyncio.create_task(_run(app, scope, receive, answer))
    waiting = asyncio.create_task(ended.wait())
    try:
        await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if ended.is_set() and not answer.measured:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            await answer.close()
        else:
            await work
    finally:
        waiting.cancel()
        work.cancel()


async def _run(app: ASGIApp, scope: Scope, receive: Receive, answer: "_Answer") -> None:
    await app(scope, receive, answer.tell)


class _Answer:
    """What was sent of an answer."""

    def __init__(self, ended: asyncio.Event, send: Send) -> None:
        self._ended, self._send = ended, send
        self.begun = self.measured = self.over = False

    async def tell(self, message: Message) -> None:
        if self._ended.is_set() and not self.measured:
            return
        if message["type"] == "http.response.start":
            self.begun = True
            self.measured = any(name.lower() == b"content-length" for name, _ in message.get("headers", []))
        elif message["type"] == "http.response.body":
            self.over = not message.get("more_body", False)
        await self._send(message)

    async def close(self) -> None:
        if not self.begun:
            await asgi.tell(self._send, 401, "Your stay here has ended.")
        elif not self.over:
            await self._send({"type": "http.response.body", "body": b""})
