"""A process that keeps pictures until it is killed, for the tests of power cuts. A fork server starts it in milliseconds."""

import itertools
import multiprocessing
from multiprocessing.connection import Connection
from pathlib import Path

from PIL import Image

from studio.events import Finished
from studio.people import OWNER, Person
from studio.request import GenerationRequest
from studio.storage.history import DiskHistory

GUEST = Person("guest/one", "maker", "One")


def server() -> "multiprocessing.context.ForkServerContext":
    """Return a context whose processes have all modules loaded already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.writers"])
    return context


def finished(seed: int, *, prompt: str = "a red sphere", count: int = 1, run: str = "", **fields: object) -> Finished:
    """Return a run's end: small pictures whose colour tells their seed."""
    requests = tuple(
        GenerationRequest.parse({"prompt": prompt, "seed": seed + i, "model": "Fake", "width": 64, "height": 64, **fields})
        for i in range(count)
    )
    images = tuple(Image.new("RGB", (64, 64), colour(seed + i)) for i in range(count))
    return Finished(job_id=run or f"run-{seed}", images=images, requests=requests, seconds=1.0)


def colour(seed: int) -> tuple[int, int, int]:
    return seed % 256, seed // 256 % 256, 77


def keep_for_ever(folder: Path, first: int, told: Connection) -> None:
    """Keep one picture after the other, every third a guest's; each id is told once it is on the disk."""
    history = DiskHistory(folder)
    history.open()
    told.send("open")
    for seed in itertools.count(first):
        (key,) = history.keep(finished(seed), GUEST if seed % 3 == 0 else OWNER)
        history.settle()
        assert history.notes() == ()
        told.send((seed, key))
