"""The Model Context Protocol, as a client of its own library speaks it: one tool, behind the same door, with the same sentences."""

import asyncio
import base64
import io
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from mcp.types import ImageContent, TextContent
from PIL import Image

from studio import read_metadata
from studio.access import Quota
from studio.app import access
from studio.engine.fake import FakeEngine, FakeRun, fake_parts
from studio.events import Cancelled
from studio.jobs import Job
from studio.plan import Plan
from studio.service import Studio
from studio.settings import Settings
from studio.ui import api
from tests.aside import awaited
from tests.closed import Closed, closed_fake, closed_studio


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    with closed_fake(tmp_path_factory.mktemp("mcp"), step_seconds=0.05, mcp=True) as closed:
        yield closed


def talk(
    closed: Closed, *calls: dict[str, Any], role: str = "maker", quota: Quota | None = None
) -> tuple[list[Any], list[Any], list[float]]:
    """Return the tools, the answers and the steps that were told on the way."""
    _, secret = closed.access.make_token("maker", name="mcp", quota=quota)
    told: list[float] = []

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        told.append(progress)

    async def run() -> tuple[list[Any], list[Any]]:
        headers = {"Authorization": f"Bearer {secret}"}
        async with (
            streamablehttp_client(f"{closed.address}/mcp", headers=headers) as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = (await session.list_tools()).tools
            return tools, [await session.call_tool("generate", call, progress_callback=heard) for call in calls]

    return *awaited(run()), told


def test_a_picture_comes_with_its_request_and_progress(closed: Closed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "TELL_AGAIN", 0.0)
    tools, (answer,), told = talk(closed, {"prompt": "a red sphere", "seed": 7, "steps": 20})
    assert [tool.name for tool in tools] == ["generate"]
    assert tools[0].inputSchema["properties"]["steps"]["maximum"] == 150
    text, picture = answer.content
    assert isinstance(text, TextContent) and '"seed": 7' in text.text and not answer.isError
    assert isinstance(picture, ImageContent)
    (tmp_path / "out.png").write_bytes(base64.b64decode(picture.data))
    assert read_metadata(tmp_path / "out.png").prompt == "a red sphere"
    assert Image.open(io.BytesIO(base64.b64decode(picture.data))).size == (256, 256)
    assert told and told == sorted(set(told))  # what the protocol asks for


class Noting(Image.Image):
    """A picture that notes of each time its pixels are taken whether an event loop waited for that."""

    taken: list[bool]

    def tobytes(self, *given: Any, **named: Any) -> bytes:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self.taken.append(False)
        else:
            self.taken.append(True)
        return super().tobytes(*given, **named)


@dataclass
class NotingRun(FakeRun):
    taken: list[bool] = None  # type: ignore[assignment]

    def finish(self) -> Iterator[Image.Image]:
        for picture in super().finish():
            picture.__class__ = Noting
            picture.taken = self.taken  # type: ignore[attr-defined]
            yield picture


class NotingEngine(FakeEngine):
    def __init__(self, taken: list[bool]) -> None:
        super().__init__(step_seconds=0)
        self._taken = taken

    def start(self, plan: Plan, maps: Sequence[Image.Image] = ()) -> FakeRun:
        return NotingRun(plan, 0, taken=self._taken)


def test_nobody_waits_while_pictures_are_encoded(tmp_path: Path) -> None:
    settings, taken = Settings(data_dir=tmp_path, engine="fake", mcp=True), list[bool]()
    parts = replace(fake_parts(), access=access(settings))
    with closed_studio(Studio(lambda: NotingEngine(taken), parts), settings) as closed:
        _, (answer,), _ = talk(closed, {"steps": 2, "batch_size": 2})
    assert not answer.isError and len(answer.content) == 3
    assert taken and not any(taken)


def test_a_caller_who_goes_while_the_request_is_taken_in_leaves_no_job(closed: Closed, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, go, jobs = threading.Event(), threading.Event(), list[Job]()

    def slowly(*given: Any, **named: Any) -> Any:
        asked.set()
        assert go.wait(60)
        job, notes = api.submit(*given, **named)
        jobs.append(job)
        return job, notes

    monkeypatch.setattr("studio.ui.mcp.submit", slowly)

    async def run() -> None:
        _, secret = closed.access.make_token("maker", name="gone")
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "generate", "arguments": {"steps": 150}}}
        headers = {"Authorization": f"Bearer {secret}", "Accept": "application/json, text/event-stream"}
        async with httpx.AsyncClient(timeout=60) as client:
            call = asyncio.create_task(client.post(f"{closed.address}/mcp", json=body, headers=headers))
            await asyncio.to_thread(asked.wait, 60)
            call.cancel()
            with suppress(asyncio.CancelledError):
                await call
            await asyncio.sleep(0.5)

    awaited(run())
    go.set()
    until = time.monotonic() + 60
    while not (jobs and jobs[0].state().terminal):
        assert time.monotonic() < until
        time.sleep(0.02)
    assert isinstance(jobs[0].state().terminal, Cancelled)


def test_bad_input_and_a_spent_quota_are_one_sentence(closed: Closed) -> None:
    _, answers, _ = talk(closed, {"steps": 0}, {"steps": 4}, {"steps": 4}, quota=Quota(per_hour=0.3))
    assert [answer.isError for answer in answers] == [True, False, True]
    assert answers[0].content[0].text == "steps must be a whole number from 1 to 150, not 0."
    assert "are used up" in answers[2].content[0].text


def test_it_is_behind_the_same_door(closed: Closed) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accept = {"accept": "application/json, text/event-stream"}
    assert httpx.post(f"{closed.address}/mcp", json=body, headers=accept).status_code == 401
    viewer = closed.access.make_token("viewer", name="eye")[1]
    assert httpx.post(f"{closed.address}/mcp", json=body, headers=accept | {"authorization": f"Bearer {viewer}"}).status_code == 403
    assert httpx.post(f"{closed.address}/mcp", json=body, headers=accept | {"origin": "https://evil.example"}).status_code == 403
