"""What was read out of a picture before this machine is looked at: fields, wanted models and LoRAs by name and hash, and remarks."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from studio.characters import whole
from studio.metadata.record import Record
from studio.metadata.wording import Syntax, Tag, untagged
from studio.schedulers import TABLE

Verdict = Literal["exact", "approximated", "missing"]


@dataclass(frozen=True)
class Wanted:
    """A model, LoRA or ControlNet as the picture names it.

    Attributes:
        name: what it is called there.
        hashes: SHA-256, whole or shortened, of the file or its tensors.
        weight, text_encoder_weight: of a LoRA.
        note: why it is only near, whatever is found here; empty where nothing speaks against it.
        other_hash: a hash of another kind, by which nothing is found here, but people may find it.
    """

    name: str
    hashes: tuple[str, ...] = ()
    weight: float = 1.0
    text_encoder_weight: float | None = None
    note: str = ""
    other_hash: str = ""


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
        self._tags: list[Tag] = []

    def texts(self, prompt: object, negative: object, syntax: Syntax) -> None:
        """Take the two prompts without their LoRA tags, and remark on signs that mean nothing here."""
        for name, text in (("prompt", prompt), ("negative_prompt", negative)):
            if not isinstance(text, str):
                continue
            bare, tags = untagged(text, unet_first=syntax.unet_first)
            self.fields[name] = bare
            if found := syntax.signs.search(bare):
                self.remark(name, "approximated", syntax.why, found[0])
            if name == "prompt":
                self._tags.extend(tags)
            elif tags:
                self.remark(name, "approximated", "LoRA tags are taken out of it, as they do nothing there", tags[0].name)

    def take_tags(self, digests: Callable[[str], tuple[str, ...]] = lambda name: (), *, note: str = "") -> None:
        """Take the LoRAs that tags in the prompt name, but for those that are taken already.

        Args:
            digests: hashes by a tag's name.
            note: why these are only near.
        """
        known = self.named()
        for tag in self._tags:
            if tag.kind == "hypernet":
                self.remark("hypernet", "missing", "hypernetworks are not used here", tag.name)
            elif plain(tag.name) not in known:
                apart = None if tag.text_weight == tag.weight else tag.text_weight
                reasons = "; ".join(filter(None, (tag.note, note)))
                self.loras.append(Wanted(tag.name, digests(tag.name), tag.weight, apart, reasons))
        self._tags.clear()

    def named(self) -> set[str]:
        """Return the names, as `plain` gives them, of the LoRAs that are taken already."""
        return {plain(lora.name) for lora in self.loras}

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

    def noise(self, program: str, *, alike: bool = False) -> None:
        """Note where a seed means another picture here; `alike`: the noise that a run begins with is drawn as here."""
        if "seed" not in self.fields:
            return
        row = TABLE.get(str(self.fields.get("scheduler")))
        if not alike:
            self.remark("seed", "approximated", f"{program} draws its noise otherwise, so the same seed makes another picture here")
        elif row and row.stochastic:
            self.remark("seed", "approximated", f"{row.name} adds noise at each step, and {program} draws that otherwise")

    def reading(self, dialect: str) -> Reading:
        """Return what was found."""
        self.take_tags(note=f"it is a tag in the prompt, and the picture does not say whether {dialect} used it")
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


def plain(name: str) -> str:
    """Return a name as LoRAs are compared inside one picture: without folder and without what A1111 takes out beside hashes."""
    return re.sub(r"[:,]", "", stem(name)).lower()


def shown(value: object) -> str:
    """Return a value as a report shows it, at most 120 characters."""
    text = " ".join(whole(str(value)).split()) if isinstance(value, str | int | float) else ""
    return text if len(text) <= 120 else text[:117] + "..."
