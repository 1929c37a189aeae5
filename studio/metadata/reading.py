"""What was read out of a picture before this machine is looked at: fields, wanted models and LoRAs by name and hash, and remarks."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from studio.metadata.record import Record

Verdict = Literal["exact", "approximated", "missing"]


@dataclass(frozen=True)
class Wanted:
    """A model, LoRA or ControlNet as the picture names it; `hashes` are whole or shortened."""

    name: str
    hashes: tuple[str, ...] = ()
    weight: float = 1.0
    text_encoder_weight: float | None = None


@dataclass(frozen=True)
class Remark:
    """Something that is not taken over exactly: `subject` is a request field or what the other program calls it."""

    subject: str
    verdict: Verdict
    why: str
    value: str = ""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a picture says.

    Attributes:
        dialect: the program whose format it is.
        fields: plain request fields, not yet judged.
        model: the model it names.
        loras: the LoRAs it names.
        remarks: what the reader could not take over as it is.
        record: the whole, where the picture is ours.
    """

    dialect: str
    fields: Mapping[str, object] = field(default_factory=dict)
    model: Wanted | None = None
    loras: tuple[Wanted, ...] = ()
    remarks: tuple[Remark, ...] = ()
    record: Record | None = None


class Draft:
    """Collects what a reader finds; what is not there or no number is left out."""

    def __init__(self) -> None:
        self.fields: dict[str, object] = {}
        self.remarks: list[Remark] = []
        self.loras: list[Wanted] = []
        self.model: Wanted | None = None

    def texts(self, prompt: object, negative: object) -> None:
        """Take the two prompts."""
        for name, text in (("prompt", prompt), ("negative_prompt", negative)):
            if isinstance(text, str):
                self.fields[name] = text

    def numbers(self, **found: object) -> None:
        """Take numbers by their request fields, given as numbers or texts."""
        for name, value in found.items():
            read = number(value)
            if read is not None:
                self.fields[name] = read
            elif value not in (None, ""):
                self.remark(name, "missing", "it is no number", value)

    def size(self, width: object, height: object) -> None:
        """Take width and height."""
        self.numbers(width=width, height=height)

    def sampler(self, choice: tuple[str, str], said: str) -> None:
        """Take a scheduler's row, and why it is only near."""
        row, why = choice
        if row:
            self.fields["scheduler"] = row
        if why:
            self.remark("scheduler", "approximated" if row else "missing", why, said)

    def remark(self, subject: str, verdict: Verdict, why: str, value: object = "") -> None:
        """Note what is not taken over as it is."""
        self.remarks.append(Remark(subject[:80], verdict, why, shown(value)))

    def other_noise(self, program: str) -> None:
        """Note that a seed means another picture here."""
        if "seed" in self.fields:
            self.remark("seed", "approximated", f"{program} draws its noise otherwise, so the same seed makes another picture here")

    def reading(self, dialect: str) -> Reading:
        """Return what was found."""
        fields = dict(self.fields)
        return Reading(dialect=dialect, fields=fields, model=self.model, loras=tuple(self.loras), remarks=tuple(self.remarks))


def number(value: object) -> int | float | None:
    """Read a finite number, a whole one where it is; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        read = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(read):
        return None
    if isinstance(value, int) or (isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d{1,40}\s*", value)):
        return int(value)
    return int(read) if read.is_integer() and abs(read) < 2**53 else read


def stem(name: object) -> str:
    """Return a file's name as a model's: without folders and without the suffix of weights."""
    last = re.split(r"[\\/]", name)[-1] if isinstance(name, str) else ""
    return re.sub(r"\.(safetensors|ckpt|pt|pth|bin|gguf|sft)$", "", last, flags=re.IGNORECASE).strip()[:300]


def hashes(*found: object) -> tuple[str, ...]:
    """Return those of some values that are SHA-256 or its beginning, in small letters."""
    texts = (text.strip().lower().removeprefix("0x").removeprefix("sha256:") for text in found if isinstance(text, str))
    return tuple(text for text in texts if re.fullmatch(r"[0-9a-f]{8,64}", text))


def shown(value: object) -> str:
    """Return a value as a report shows it, at most 120 characters."""
    text = " ".join(str(value).split()) if isinstance(value, str | int | float) else ""
    return text if len(text) <= 120 else text[:117] + "..."
