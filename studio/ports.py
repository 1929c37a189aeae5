"""What the lower floors need from the outside, as protocols. Concrete classes are chosen in `app` only."""

from collections.abc import Callable
from typing import Protocol, Self

from PIL import Image

from studio.inventory import Inventory, ModelCard
from studio.plan import Plan

Progress = Callable[[float, str], None]
"""Reports (fraction 0 .. 1, what is being done)."""


class Run(Protocol):
    """One request in progress, as a value: everything that a next step depends on, and nothing shared."""

    @property
    def index(self) -> int:
        """Model evaluations done."""
        ...

    @property
    def total(self) -> int:
        """Model evaluations the run takes."""
        ...

    def advance(self) -> None:
        """Do one model evaluation and the scheduler's step."""
        ...

    def preview(self) -> Callable[[], list[Image.Image]] | None:
        """Return a function that draws the present x0 estimate, one small RGB picture per seed, or None for no preview.

        Called on the engine's thread and must not wait; the function it returns is called on another one.
        """
        ...

    def finish(self) -> list[Image.Image]:
        """Decode the pictures, RGB, one per seed. Called once, after the last step."""
        ...

    def snapshot(self) -> Self:
        """Return an independent copy that goes on from here to the same pictures."""
        ...


class Engine(Protocol):
    """Turns plans into runs. All calls come from one thread, the one that owns the device."""

    def load(self, model: ModelCard, progress: Progress) -> None:
        """Make a model ready; returns at once when it already is.

        Raises:
            StudioError: the sentence names the file that is missing, truncated or unsafe.
        """
        ...

    def start(self, plan: Plan) -> Run:
        """Begin a run of a plan whose model is loaded.

        Raises:
            StudioError: the run cannot be made.
        """
        ...

    def describe(self) -> str:
        """Say where and how the model runs, such as "CPU, bfloat16"."""
        ...

    def close(self) -> None:
        """Free the device."""
        ...


class InventorySource(Protocol):
    """Knows which models are on this machine."""

    def read(self) -> Inventory:
        """Look again and return what is there now."""
        ...


class Tokens(Protocol):
    """Counts what a prompt takes of the text encoder's window."""

    def count(self, model: ModelCard, text: str) -> tuple[int, int]:
        """Return (tokens of the text, tokens that fit), both without the start and end marks."""
        ...
