"""What the lower floors need from the outside, as protocols. Concrete classes are chosen in `app` only."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self, TypeVar

from PIL import Image

from studio.access import Access
from studio.events import Agreement, Finished
from studio.inventory import ControlNetCard, Inventory, LoraCard, ModelCard
from studio.kept import Change, Entry, Leaf, Query, Shelves
from studio.people import OWNER, Person
from studio.plan import Plan
from studio.pose import Pose
from studio.request import ControlUse
from studio.stores import Backlog as Backlog  # noqa: PLC0414
from studio.stores import Drafts as Drafts  # noqa: PLC0414
from studio.stores import Pictures as Pictures  # noqa: PLC0414  (said here, too, as it is one of the ports)
from studio.stores import PresetStore as PresetStore  # noqa: PLC0414
from studio.weights import Row

MEASURES: Mapping[str, Literal["edges", "depth", "joints"]] = {"sketch": "edges", "depth": "depth", "pose": "joints"}
"""By which measure a picture is compared with the map of a kind of control."""

Progress = Callable[[float, str], None]
"""Reports (fraction 0 .. 1, what is being done)."""

Draw = Callable[[], list[Image.Image]]
"""Draws a preview: one small RGB picture per seed, on another thread than the engine's."""

Card = TypeVar("Card", bound=ModelCard | ControlNetCard | LoraCard)


@dataclass(frozen=True)
class EngineFacts:
    """What may make the same request come out otherwise: versions by library, the device in words, the number format of the weights."""

    versions: Mapping[str, str]
    device: str
    precision: str


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

    def preview(self) -> Draw | None:
        """Return a function that draws the present x0 estimate, one small RGB picture per seed, or None for no preview.

        Called on the engine's thread and must not wait; the function it returns is called on another one, once somebody looks.
        """
        ...

    def finish(self) -> Iterator[Image.Image]:
        """Decode the pictures one after the other, RGB, one per seed, each when it is asked for. Called once, after the last step."""
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

    def prepare(self, plan: Plan, progress: Progress) -> None:
        """Make what else the plan needs resident: its ControlNets and LoRAs. The plan's model is loaded.

        Raises:
            StudioError: a file is damaged or does not fit the model; everything else stays as it was.
        """
        ...

    def start(self, plan: Plan, maps: Sequence[Image.Image] = ()) -> Run:
        """Begin a run of a prepared plan.

        Args:
            plan: what to do.
            maps: one conditioning map per entry of `plan.controls`, RGB, of the plan's width and height.

        Raises:
            StudioError: the run cannot be made.
        """
        ...

    def rest(self) -> None:
        """Nothing has been asked for a while: hand back memory that runs have freed; the next one takes it anew. The model stays."""
        ...

    def describe(self) -> str:
        """Say where and how the model runs, such as "CPU, bfloat16"."""
        ...

    def facts(self) -> EngineFacts:
        """Say what a picture made now depends on besides its request and weights."""
        ...

    def close(self) -> None:
        """Free the device."""
        ...


class InventorySource(Protocol):
    """Knows which models, ControlNets and LoRAs are on this machine."""

    def read(self) -> Inventory:
        """Look again and return what is there now."""
        ...


class Hashes(Protocol):
    """Knows the hashes of weights; computes on a thread of its own those that it does not know."""

    def hashed(self, card: Card, *, wait: float = 0.0) -> Card:
        """Return a card with its hashes, or as it is where they are not known after `wait` seconds."""
        ...


class Tokens(Protocol):
    """Counts what a prompt takes of the text encoder's window."""

    def count(self, model: ModelCard, text: str) -> tuple[int, int]:
        """Return (tokens of the text, tokens that fit), both without the start and end marks."""
        ...


@dataclass(frozen=True)
class Offer:
    """A preprocessor and whether it can be used now.

    Attributes:
        row: what it is.
        state: `ready`; `download`: its weights are fetched when it is used first; `offline`: they would be, but the hub cannot be reached.
        says: the same for a person, such as "downloads 99 MB, Apache-2.0"; empty when ready.
    """

    row: Row
    state: Literal["ready", "download", "offline"]
    says: str


class Annotator(Protocol):
    """Turns a picture into the map a ControlNet follows. Called from several threads."""

    def annotate(self, picture: Image.Image, use: ControlUse, size: tuple[int, int], progress: Progress) -> Image.Image:
        """Return the map of one unit, RGB, of `size` (width, height) in pixels.

        `progress` hears of weights being fetched, and ends the work by raising.

        Raises:
            StudioError: the preprocessor is unknown, its weights cannot be had, or the picture does not suit it.
        """
        ...

    def people(self, picture: Image.Image, use: ControlUse, size: tuple[int, int], progress: Progress) -> Pose | None:
        """Return who is in a pose unit's map of `size`, with hands and faces if it finds them, or None; otherwise as `annotate`."""
        ...

    def measure(self, picture: Image.Image, control: Image.Image, use: ControlUse) -> Agreement:
        """Say how well a finished picture follows the map of one unit, measured on the picture by the unit's own preprocessor.

        Never fetches anything: a measure whose weights are not here has no value, and its note says what is missing.
        """
        ...

    def offers(self, kind: str) -> list[Offer]:
        """Return the preprocessors for a kind of control, in the picker's order."""
        ...


class Gallery(Protocol):
    """Keeps every finished picture. Called from any thread; each person reaches only their own pictures, others are as if not there."""

    def open(self) -> None:
        """Begin; returns at once, and what is asked meanwhile waits."""
        ...

    def keep(self, finished: Finished, person: Person, *, then: Callable[[], None] = lambda: None) -> tuple[str, ...]:
        """Note the pictures of a run for keeping and return their ids; another thread writes them and calls `then` at the end."""
        ...

    def settle(self, timeout: float | None = None) -> bool:
        """Wait until all that was noted is written, or could not be; False when `timeout` seconds were not enough."""
        ...

    def notes(self, person: Person = OWNER) -> tuple[str, ...]:
        """Return what a person should know: which of their pictures could not be kept and why, and to the owner how the history fares."""
        ...

    def page(self, person: Person, query: Query, *, before: int | None = None, count: int = 60) -> Leaf:
        """Return pictures that a query finds, newest first, from below the key `before` on.

        Raises:
            StudioError: the history cannot be read now. So do all below.
        """
        ...

    def shelves(self, person: Person) -> Shelves:
        """Return how much a person has and what can be chosen among."""
        ...

    def entry(self, person: Person, key: str) -> Entry | None:
        """Return a picture's row by its id."""
        ...

    def file(self, person: Person, key: str) -> bytes | None:
        """Return a picture's PNG file with its request inside; None when it is not there."""
        ...

    def thumbnail(self, person: Person, key: str) -> bytes | None:
        """Return a small copy of a picture as JPEG; None when there is no such picture."""
        ...

    def change(self, person: Person, keys: Sequence[str], change: Change) -> int:
        """Star, unstar, put into the trash or take out of it; return how many pictures there were."""
        ...

    def tag(self, person: Person, key: str, tags: Sequence[str], *, before: Sequence[str] = ()) -> tuple[str, ...] | None:
        """Give a picture tags in place of those `before`: others, such as those given in another tab meanwhile, stay.

        Returns all tags that it has now, or None when there is no such picture.

        Raises:
            InvalidRequest: it would have too many.
        """
        ...

    def empty(self, person: Person) -> int:
        """Remove what a person has in the trash for good; return how many pictures that were."""
        ...

    @property
    def promise(self) -> str:
        """One sentence that says how long pictures are kept."""
        ...

    def close(self) -> None:
        """Write what was noted and end."""
        ...


@dataclass(frozen=True)
class Parts:
    """What a studio is put together from, besides its engine.

    Without `hashes` cards count as they are, without `access` there is nobody but the owner, without `gallery` and `backlog` pictures and
    waiting jobs are gone with the studio.
    """

    inventory: InventorySource
    tokens: Tokens
    pictures: Pictures
    annotator: Annotator
    presets: PresetStore
    hashes: Hashes | None = None
    access: Access | None = None
    gallery: Gallery | None = None
    backlog: Backlog | None = None
    drafts: Drafts | None = None
