"""A studio on the fake engine with its page served on a free port, for the tests of the page and of the endpoint."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from studio.app import lasting
from studio.engine.fake import FakeEngine, FakeInventory, FakeTokens
from studio.service import Studio
from studio.settings import Settings
from studio.ui.serve import serve


@dataclass(frozen=True)
class Served:
    """What a test needs of a running page."""

    studio: Studio
    address: str
    data_dir: Path


@contextmanager
def served(studio: Studio, settings: Settings) -> Iterator[Served]:
    """Open a studio and serve its page."""
    studio.resume()
    with studio.open():
        server = serve(studio, settings, port=first_port())
        try:
            yield Served(studio, server.address, settings.data_dir)
        finally:
            server.close()


@contextmanager
def served_fake(data_dir: Path, *, step_seconds: float) -> Iterator[Served]:
    """Serve the page over the fake engine; one step takes `step_seconds`."""
    settings = Settings(data_dir=data_dir, engine="fake")
    studio = Studio(lambda: FakeEngine(step_seconds=step_seconds), lasting(FakeInventory(), FakeTokens(), settings))
    with served(studio, settings) as page:
        yield page


def first_port() -> int:
    """Return where to look for a free port; test runs side by side begin in different places, lest they reach for the same one."""
    return 17860 + os.getpid() % 1000 * 10
