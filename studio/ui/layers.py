"""The studio's own ASGI layers around gradio's application, in their order: guard, door, openapi and MCP, envelope."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
from starlette.types import ASGIApp

from studio.service import Studio
from studio.ui.door import Door
from studio.ui.envelope import Envelope
from studio.ui.guard import Guard
from studio.ui.hosts import Hosts
from studio.ui.own_routes import OwnRoutes
from studio.ui.rooms import Rooms
from studio.ui.serve import MAX_THREADS


class Layers:
    """Built before gradio's application is there; put around it when it starts, before it answers anybody."""

    def __init__(self, page: gr.Blocks, studio: Studio, files: Path, *, hosts: Hosts, mcp: bool) -> None:
        self.files = files
        self._page, self._studio, self._hosts, self._mcp = page, studio, hosts, mcp
        self._guard: Guard | None = None
        self._door: Door | None = None

    @asynccontextmanager
    async def around(self, app: Any) -> AsyncIterator[None]:
        """Stand around `app` for as long as it is served."""
        # Maps take long, and each takes a thread; who is asking must be looked up all the same.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="studio"))
        async with AsyncExitStack() as stack:
            own = OwnRoutes(Envelope(app.middleware_stack), self._studio, mcp=self._mcp)
            inner: ASGIApp = await stack.enter_async_context(own.running())
            if self._studio.access:
                rooms = Rooms(self._page, self.files)
                inner = self._door = Door(inner, self._studio.access, rooms, hosts=self._hosts)
            app.middleware_stack = self._guard = Guard(inner, self._hosts)
            yield

    def in_place(self, app: Any) -> bool:
        """Whether the layers stand around the application; from now on nobody is let in as gradio itself."""
        if self._door:
            self._door.starting = False
        return self._guard is not None and app.middleware_stack is self._guard

    def publish(self, address: str) -> None:
        """Answer to an address, which is told to those who are invited."""
        if self._guard:
            self._guard.origin = address
        self._hosts.public = urlsplit(address).hostname or ""
        if self._studio.access:
            self._studio.access.address = address
