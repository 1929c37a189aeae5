"""An engine without weights: the whole studio runs on it in milliseconds, for tests and for work on the page.

Its pictures depend on every field of the request, as real ones do, and form out of noise over the steps.
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from studio.engine.fake_loras import LORAS, MODULES
from studio.engine.fake_presets import MemoryPresets
from studio.events import Agreement
from studio.images import content_key
from studio.inventory import ControlNetCard, Inventory, ModelCard, UnetShape
from studio.people import Person
from studio.plan import Plan
from studio.ports import Draw, EngineFacts, Offer, Parts, Progress
from studio.pose import Pose
from studio.pose.reading import read_map
from studio.request import ControlUse
from studio.weights import DEFAULT, TABLE

SHAPE = UnetShape(latent_channels=4, widths=(32, 64), context_width=32)
CARD = ModelCard(
    name="Fake",
    path=Path("fake"),
    family="sd",
    prediction_type="epsilon",
    native_size=256,
    multiple_of=8,
    bytes=0,
    unet=SHAPE,
    modules=MODULES,
    hash=hashlib.sha256(b"Fake").hexdigest(),
)
CONTROLNETS = tuple(
    ControlNetCard(
        name=f"fake-{kind}", path=Path("fake", kind), kind=kind, unet=SHAPE, bytes=0, hash=hashlib.sha256(kind.encode()).hexdigest()
    )
    for kind in ("sketch", "depth", "pose")
)
PREVIEW_SIDE = 32


@dataclass(frozen=True)
class FakeInventory:
    """Offers one fake model, its ControlNets and LoRAs."""

    def read(self) -> Inventory:
        """Return the fake cards."""
        return Inventory((CARD,), controlnets=CONTROLNETS, loras=LORAS)


@dataclass(frozen=True)
class FakeTokens:
    """Counts words."""

    def count(self, model: ModelCard, text: str) -> tuple[int, int]:
        """Return (words, 75)."""
        return len(text.split()), 75


@dataclass(frozen=True)
class MemoryPictures:
    """Keeps pictures for as long as the studio runs."""

    known: dict[str, Image.Image] = field(default_factory=dict)
    others: dict[str, "MemoryPictures"] = field(default_factory=dict)

    def keep(self, picture: Image.Image) -> str:
        """Keep a picture and return its key."""
        key = content_key(picture)
        self.known[key] = picture
        return key

    def get(self, key: str) -> Image.Image | None:
        """Return the picture of a key, or None."""
        return self.known.get(key)

    def of(self, person: Person) -> "MemoryPictures":
        """Return the pictures of one person; the owner's are these."""
        return self if person.role == "owner" else self.others.setdefault(person.id, MemoryPictures())


@dataclass(frozen=True)
class FakeAnnotator:
    """Takes every picture for a map already."""

    def annotate(self, picture: Image.Image, use: ControlUse, size: tuple[int, int], progress: Progress) -> Image.Image:
        """Return the picture in the wanted size."""
        return picture.convert("RGB").resize(size)

    def people(self, picture: Image.Image, use: ControlUse, size: tuple[int, int], progress: Progress) -> Pose | None:
        """Return the people that are drawn in the picture."""
        return read_map(self.annotate(picture, use, size, progress))

    def measure(self, picture: Image.Image, control: Image.Image, use: ControlUse) -> Agreement:
        """Say that nothing is measured."""
        return Agreement("edges", None, "", "The fake annotator measures nothing.")

    def offers(self, kind: str) -> list[Offer]:
        """Offer the one that takes a picture for a map."""
        return [Offer(TABLE[DEFAULT], "ready", "")]


def fake_parts() -> Parts:
    """Return parts that need neither weights nor a disk."""
    return Parts(FakeInventory(), FakeTokens(), MemoryPictures(), FakeAnnotator(), MemoryPresets(MemoryPictures()))


@dataclass
class FakeRun:
    """A run whose picture clears from noise; `index` is all the state it has."""

    plan: Plan
    step_seconds: float
    index: int = 0

    @property
    def total(self) -> int:
        """Model evaluations the run takes."""
        return self.plan.evaluations

    def advance(self) -> None:
        """Take one step; it lasts `step_seconds`."""
        time.sleep(self.step_seconds)
        self.index += 1

    def preview(self) -> Draw:
        """Return a function that draws the present state at a small size."""
        index = self.index
        scale = PREVIEW_SIDE / max(self.plan.width, self.plan.height)
        size = max(1, round(self.plan.width * scale)), max(1, round(self.plan.height * scale))
        return lambda: [paint(self.plan, seed, size=size, clear=index / self.total) for seed in self.plan.seeds]

    def finish(self) -> Iterator[Image.Image]:
        """Paint the pictures."""
        size = self.plan.width, self.plan.height
        return (paint(self.plan, seed, size=size, clear=1.0) for seed in self.plan.seeds)

    def snapshot(self) -> Self:
        """Return a copy that goes on by itself."""
        return replace(self)


class FakeEngine:
    """Implements `ports.Engine` without a model. `step_seconds` is how long one evaluation takes."""

    def __init__(self, *, step_seconds: float = 0.05) -> None:
        self._step_seconds = step_seconds
        self._loaded = False

    def load(self, model: ModelCard, progress: Progress) -> None:
        """Report a model as ready."""
        if not self._loaded:
            progress(0.5, f"reading {model.name}")
            progress(1.0, "ready")
        self._loaded = True

    def prepare(self, plan: Plan, progress: Progress) -> None:
        """Nothing else is needed."""

    def start(self, plan: Plan, maps: Sequence[Image.Image] = ()) -> FakeRun:
        """Begin a run."""
        return FakeRun(plan, self._step_seconds)

    def rest(self) -> None:
        """Nothing is held."""

    def describe(self) -> str:
        """Say that nothing real runs here."""
        return "fake engine, no model"

    def facts(self) -> EngineFacts:
        """Say that no library counts here."""
        return EngineFacts({}, "fake engine", "float64")

    def close(self) -> None:
        """Nothing is held."""


def paint(plan: Plan, seed: int, *, size: tuple[int, int], clear: float) -> Image.Image:
    """Draw soft discs over a gradient, RGB, `size` in pixels; `clear` 0 is noise, 1 the finished picture."""
    request = plan.picture_requests()[0].model_copy(update={"seed": seed})
    random = np.random.default_rng(list(hashlib.sha256(request.model_dump_json().encode()).digest()))
    width, height = size
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    picture: NDArray[np.float64] = random.random(3) * (1 - y[..., None]) + random.random(3) * y[..., None]
    for _ in range(4):
        inside = 1 / (1 + np.exp(60 * (np.hypot(x - random.random(), y - random.random()) - 0.08 - 0.2 * random.random())))
        picture = picture + inside[..., None] * (random.random(3) - picture)
    picture = picture * clear + random.random(picture.shape) * (1 - clear)
    return Image.fromarray((picture * 255).astype(np.uint8), "RGB")
