"""What happens to a job, as immutable values. The engine side pushes them, readers pull them.

A job's stream is: Queued (again when its place changes), Started, Loading while its model is read, Annotated per ControlNet unit,
Step for each evaluation with a Preview of the newest, and exactly one terminal event (Finished, Failed or Cancelled).
"""

from dataclasses import dataclass
from typing import Literal

from PIL import Image

from studio.provenance import Provenance
from studio.request import GenerationRequest


@dataclass(frozen=True, kw_only=True)
class Queued:
    """The job waits. `position` counts the jobs before it; 0 means it is next or runs."""

    job_id: str
    position: int


@dataclass(frozen=True, kw_only=True)
class Started:
    """The job left the queue; the engine is at it."""

    job_id: str


@dataclass(frozen=True, kw_only=True)
class Loading:
    """A model is being made ready. `fraction` is 0 .. 1, `message` says what is read now.

    `job_id` is empty when the model is loaded ahead of any job.
    """

    job_id: str
    model: str
    fraction: float
    message: str


@dataclass(frozen=True, kw_only=True)
class Annotated:
    """The map that ControlNet unit `unit` of the request will follow, RGB, of the pictures' size."""

    job_id: str
    unit: int
    map: Image.Image


@dataclass(frozen=True, kw_only=True)
class Step:
    """`index` of `total` model evaluations are done, `seconds` after the first began."""

    job_id: str
    index: int
    total: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The picture as the model expects it after `index` evaluations; made when somebody looks.

    `jpeg` shows the pictures of a batch as one sheet, `columns` to a row. `cost` is the processor time spent on
    previews so far, as a fraction of the run's time.
    """

    job_id: str
    index: int
    jpeg: bytes
    columns: int
    cost: float


@dataclass(frozen=True)
class Agreement:
    """How well a picture follows the map of one ControlNet unit.

    Attributes:
        measure: `edges`: F1 of edges within 2 pixels of 256, 1 is best; `depth`: rank correlation of depth, 1 is best;
            `joints`: mean distance of joints as a share of the figure's height, 0 is best.
        value: the measure, or None where it cannot be taken.
        word: the value in words; empty without one.
        note: one sentence: what the value consists of, or why there is none.
    """

    measure: Literal["edges", "depth", "joints"]
    value: float | None
    word: Literal["follows closely", "follows loosely", "hardly follows", ""]
    note: str


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The pictures, RGB, and per picture the concrete request that makes it again and how it follows the request's ControlNet units.

    `agreements` has an entry per picture, in it one per unit; it is empty when the request has no units. `kept` has the pictures' ids
    in the history; it is empty when nothing is kept. `provenances` says per picture by what it was made.
    """

    job_id: str
    images: tuple[Image.Image, ...]
    requests: tuple[GenerationRequest, ...]
    seconds: float
    agreements: tuple[tuple[Agreement, ...], ...] = ()
    kept: tuple[str, ...] = ()
    provenances: tuple[Provenance, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The job ended without a result; `message` is one sentence for a person."""

    job_id: str
    message: str
    hint: str = ""


@dataclass(frozen=True, kw_only=True)
class Cancelled:
    """The job was stopped after `index` evaluations; the Preview of the last one stays readable."""

    job_id: str
    index: int


Terminal = Finished | Failed | Cancelled
Event = Queued | Started | Loading | Annotated | Step | Preview | Terminal
