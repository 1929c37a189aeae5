"""The addresses that are the studio's own rather than gradio's: the description of the HTTP API, and MCP where it is switched on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from studio.service import Studio
from studio.ui import asgi
from studio.ui.openapi import document
from studio.ui.routes import MCP, OPENAPI


class OwnRoutes:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, studio: Studio, *, mcp: bool) -> None:
        self._app, self._studio, self._wanted = app, studio, mcp
        self._mcp: ASGIApp | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator["OwnRoutes"]:
        """Keep what the addresses need running, and return this."""
        if not self._wanted:
            yield self
            return
        # Imported here because the library takes a second and few ask for it.
        from studio.ui.mcp import McpServer  # noqa: PLC0415

        server = McpServer(self._studio)
        async with server.running():
            self._mcp = server
            yield self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is the studio's own."""
        path: Any = scope.get("path")
        if scope["type"] != "http" or path not in (OPENAPI, MCP):
            await self._app(scope, receive, send)
        elif path == OPENAPI:
            await asgi.say(send, 200, document())
        elif self._mcp:
            await self._mcp(scope, receive, send)
        else:
            await asgi.tell(send, 404, "MCP is switched off; start the studio with --mcp.")
