"""The Model Context Protocol at `/mcp`: one tool, `generate`, with the request's own schema. Whoever may use `/generate` may use it.

The protocol's library serves it; gradio's own MCP server would call this server back over HTTP, without being let in.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.types import CallToolResult, ImageContent, TextContent, Tool
from starlette.types import Receive, Scope, Send

from studio import metadata
from studio.errors import StudioError
from studio.jobs import Job
from studio.people import Person
from studio.service import Studio
from studio.settings import VERSION
from studio.ui.api import notices_of, progress, submit
from studio.ui.openapi import request_schema
from studio.ui.routes import WITH_PICTURES
from studio.ui.who import person_of

_ABOUT = "Make pictures from a prompt with the diffusion model of this studio. All fields are optional; the answer has the pictures as PNG."


class McpServer:
    """An ASGI application. Each call stands alone: no sessions are kept."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._server: Server[Any, Any] = Server("studio", version=VERSION)
        self._server.list_tools()(self._tools)  # type: ignore[no-untyped-call]
        # The request's own validation has the better sentences.
        self._server.call_tool(validate_input=False)(self._call)
        self._sessions = StreamableHTTPSessionManager(self._server, stateless=True, max_request_body_size=WITH_PICTURES)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve for as long as this lasts."""
        async with self._sessions.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        await self._sessions.handle_request(scope, receive, send)

    async def _tools(self) -> list[Tool]:
        return [Tool(name="generate", description=_ABOUT, inputSchema=request_schema())]

    async def _call(self, name: str, arguments: dict[str, Any]) -> CallToolResult:
        if name != "generate":
            return _failed("The only tool here is generate.")
        person = person_of(self._server.request_context.request)
        visitor = f"mcp {person.pass_id}"
        try:
            job, notes = await self._submitted(arguments, visitor, person)
            told = -1
            async for shown in progress(self._studio, job):
                # The protocol asks that progress grows with each message, and ends a call by itself when the caller has gone.
                if shown["step"] > told:
                    told = shown["step"]
                    await self._report(shown)
            # Encoding takes a second for large pictures, and others are being answered meanwhile.
            return await asyncio.to_thread(_answer, self._studio, job, notes)
        except StudioError as error:
            return _failed(f"{error} {error.hint}".strip())

    async def _submitted(self, arguments: dict[str, Any], visitor: str, person: Person) -> tuple[Job, list[str]]:
        """Queue a request. Taking its pictures in goes on on its thread when the caller has gone; then nobody waits for the job."""
        asked = asyncio.create_task(asyncio.to_thread(submit, self._studio, arguments, visitor=visitor, person=person))
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            asked.add_done_callback(self._unwanted)
            raise

    def _unwanted(self, asked: asyncio.Task[tuple[Job, list[str]]]) -> None:
        if not asked.cancelled() and asked.exception() is None:
            self._studio.stop(asked.result()[0])

    async def _report(self, shown: dict[str, Any]) -> None:
        context = self._server.request_context
        if context.meta and context.meta.progressToken is not None:
            await context.session.send_progress_notification(
                context.meta.progressToken,
                shown["step"],
                total=shown["steps"],
                message=shown["says"],
                related_request_id=str(context.request_id),
            )


def _answer(studio: Studio, job: Job, notes: list[str]) -> CallToolResult:
    """Return a finished job's requests and pictures.

    Raises:
        StudioError: the job failed or was stopped.
    """
    result = job.result()
    requests = [made.model_dump() for made in result.requests]
    told = {"requests": requests, "notices": notices_of(studio, job), "notes": notes}
    files = [metadata.encode(image, result.record(place)) for place, image in enumerate(result.images)]
    pictures = [ImageContent(type="image", mimeType="image/png", data=base64.b64encode(file).decode()) for file in files]
    return CallToolResult(content=[TextContent(type="text", text=json.dumps(told)), *pictures])


def _failed(sentence: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=sentence)], isError=True)
