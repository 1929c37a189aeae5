"""A studio on the fake engine with its page served on a free port, for the tests of the page and of the endpoint."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from PIL import Image

from studio.app import lasting
from studio.engine.fake import FakeEngine, FakeInventory, FakeRun, FakeTokens
from studio.plan import Plan
from studio.service import Studio
from studio.settings import Settings
from studio.ui.serve import serve


@dataclass(frozen=True)
class Served:
    """What a test needs of a running page."""

    studio: Studio
    address: str
    data_dir: Path


@dataclass
class PatientRun(FakeRun):
    """A run whose later steps take a second each."""

    hurry: Event = field(default_factory=Event)

    def advance(self) -> None:
        """Take one step, at once when there is hurry."""
        self.hurry.wait(self.step_seconds if self.index < 40 else 1.0)
        self.index += 1


class PatientEngine(FakeEngine):
    """Works on a picture of 150 steps for two minutes, lest it is done before a slow browser has looked at it; or until `hurry` is set."""

    def __init__(self, *, step_seconds: float, hurry: Event) -> None:
        super().__init__(step_seconds=step_seconds)
        self._hurry = hurry

    def start(self, plan: Plan, maps: Sequence[Image.Image] = ()) -> FakeRun:
        """Begin a run."""
        return PatientRun(plan, self._step_seconds, hurry=self._hurry)


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
def served_fake(data_dir: Path, *, step_seconds: float, engine: Callable[..., FakeEngine] = FakeEngine) -> Iterator[Served]:
    """Serve the page over the fake engine, or another one of its kind; one step takes `step_seconds`."""
    settings = Settings(data_dir=data_dir, engine="fake")
    studio = Studio(lambda: engine(step_seconds=step_seconds), lasting(FakeInventory(), FakeTokens(), settings))
    with served(studio, settings) as page:
        yield page


def first_port() -> int:
    """Return where to look for a free port; test runs side by side begin in different places, lest they reach for the same one."""
    return 17860 + os.getpid() % 1000 * 10
