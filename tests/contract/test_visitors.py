"""Fifty visitors at once through the real server, with Mini: everybody gets their own pictures and previews, and nobody else's."""

import base64
import gc
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from gradio_client import Client

from studio import read_metadata, worker
from studio.access import Quota
from studio.app import build
from studio.settings import Settings
from studio.ui.render import data_uri
from tests.closed import Closed, closed_studio
from tests.ui.browserless import Page

VISITORS = 50
WATCHERS = 5
STEPS = 2
MEGABYTE = 10**6


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Closed]:
    monkeypatch.setattr(worker, "REST_AFTER", 3.0)
    settings = Settings(data_dir=tmp_path, threads=1)
    with closed_studio(build(settings), settings) as closed:
        yield closed


def prompt_of(number: int) -> str:
    """Every visitor asks for something that only they ask for."""
    return f"a large red sphere on grass, asked by visitor {number:03}"


def call(closed: Closed, number: int, folder: Path) -> tuple[int, Any]:
    """Ask as one visitor, with a token of their own."""
    _, secret = closed.access.make_token("maker", name=f"visitor {number}", quota=Quota(per_hour=100))
    patient = {"timeout": 200}
    headers = {"Authorization": f"Bearer {secret}"}
    client = Client(closed.address, headers=headers, verbose=False, download_files=str(folder), httpx_kwargs=patient)
    job = client.submit({"prompt": prompt_of(number), "seed": number, "steps": STEPS, "width": 64, "height": 64}, api_name="/generate")
    return number, (job.result(timeout=200), job.outputs())


def watch(closed: Closed, number: int) -> list[tuple[str, Any]]:
    """Ask on the page and look at every preview, as a browser does."""
    with closed.http(closed.guest("maker", quota=Quota(per_hour=100)), timeout=200) as http:
        page = Page(http, f"visitor-watching-{number:03}")
        job = page.generate(prompt=prompt_of(1000 + number), seed=1000 + number, steps=8, width=64, height=64)["job"]
        seen, version, newest = [], -1, -1
        while True:
            view = page.call("stage", "poll", [job, version, newest])
            seen.append((view["prompt"], view["preview"]))
            if view["over"]:
                picture = page.call("stage", "picture", [job, 0])
                return [*seen, ("file", picture["png"])]
            version, newest = view["version"], view["seen"]


@pytest.mark.slow
def test_fifty_at_once_get_their_own_and_only_that(closed: Closed, tmp_path: Path) -> None:
    # Loads the model, and takes the memory that fifty clients in this process keep; what a second crowd adds would never come back.
    with ThreadPoolExecutor(VISITORS) as pool:
        list(pool.map(lambda number: call(closed, number, tmp_path / f"first-{number}"), range(2000, 2000 + VISITORS)))
    before = memory()
    made, views = crowd(closed, tmp_path)
    after = memory()
    assert sorted(made) == list(range(VISITORS))
    owners: Counter[str] = Counter()
    for number, (answer, outputs) in made.items():
        assert [request["prompt"] for request in answer["requests"]] == [prompt_of(number)]
        (path,) = answer["images"]
        assert read_metadata(Path(path)).prompt == prompt_of(number)
        owners[Path(path).read_bytes().hex()] += 1
        # Nothing that came on the way names another visitor.
        assert set(re.findall(r"asked by visitor (\d+)", str(outputs))) == {f"{number:03}"}
    assert len(owners) == VISITORS, "two visitors have the same file"
    for number, seen in views.items():
        assert {prompt for prompt, _ in seen[:-1]} == {prompt_of(1000 + number)}
        file = tmp_path / f"watched-{number}.png"
        file.write_bytes(base64.b64decode(seen[-1][1]))
        assert read_metadata(file).prompt == prompt_of(1000 + number)
    assert_previews_are_their_own(closed, views)
    grown = (after - before) / MEGABYTE
    print(f"{grown:.0f} MB more after the second crowd")
    assert grown < 100


def crowd(closed: Closed, folder: Path) -> tuple[dict[int, Any], dict[int, list[tuple[str, Any]]]]:
    """Let everybody ask at the same moment."""
    made: dict[int, Any] = {}
    views: dict[int, list[tuple[str, Any]]] = {}
    start = threading.Barrier(VISITORS + WATCHERS)

    def one(number: int) -> None:
        start.wait()
        key, answer = call(closed, number, folder / f"visitor-{number}")
        made[key] = answer

    def other(number: int) -> None:
        start.wait()
        views[number] = watch(closed, number)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(VISITORS)]
    threads += [threading.Thread(target=other, args=(number,)) for number in range(WATCHERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return made, views


def assert_previews_are_their_own(closed: Closed, views: dict[int, list[tuple[str, Any]]]) -> None:
    """Nobody saw a frame that another one saw, and the last frame of each is the one that was drawn of their own run last."""
    frames = {number: {preview for _, preview in seen[:-1] if preview} for number, seen in views.items()}
    counted = Counter(frame for each in frames.values() for frame in each)
    assert counted and set(counted.values()) == {1}
    made = {job.plan.request.prompt: job.state().preview for job in closed.studio._jobs.values()}
    for number, seen in views.items():
        last = next((preview for _, preview in reversed(seen[:-1]) if preview), "")
        newest = made[prompt_of(1000 + number)]
        assert last == (data_uri(newest.jpeg) if newest else "")


def memory() -> int:
    """Return the bytes in use once the engine rests, which is when it hands back what runs have freed."""
    time.sleep(worker.REST_AFTER + 1)
    gc.collect()
    return psutil.Process().memory_info().rss
