"""From what a picture says to a request that this machine can make, and a report on how faithful that is. Pure."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from studio.inventory import Inventory
from studio.metadata.reading import Reading, Remark, Verdict, Wanted, shown
from studio.metadata.record import Record
from studio.provenance import Mark, Provenance
from studio.request import MAX_LORAS, MAX_SEED, ControlUse, GenerationRequest, LoraUse, info, limits

SCALARS = ("prompt", "negative_prompt", "scheduler", "steps", "guidance_scale", "seed", "width", "height")
# Without these no other program made a picture, though some leave their usual value out of the file.
NEEDED = ("scheduler", "steps", "guidance_scale")
MAX_LINES = 200
MAX_NAMED = 50
MAX_WHY = 400


class _Card(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def hash(self) -> str: ...
    def answers_to(self, digest: str) -> bool: ...


Card = TypeVar("Card", bound=_Card)


@dataclass(frozen=True)
class Line:
    """One line of the report: a setting, what the picture says, and how it is taken over."""

    subject: str
    value: str
    verdict: Verdict
    why: str = ""


@dataclass(frozen=True)
class Recall:
    """What a picture's settings become here.

    Attributes:
        dialect: the program whose format they were in.
        request: what can be made of them on this machine.
        lines: the report, settings in the request's order first.
        said: the request's fields about which the picture says something.
        provenance: by what the picture was made, where it says so.
    """

    dialect: str
    request: GenerationRequest
    lines: tuple[Line, ...]
    said: frozenset[str] = frozenset()
    provenance: Provenance | None = None

    def count(self, verdict: Verdict) -> int:
        """Return how many lines have a verdict."""
        return sum(line.verdict == verdict for line in self.lines)


def recall(reading: Reading, inventory: Inventory, *, has_picture: Callable[[str], bool]) -> Recall:
    """Match a reading with what is on this machine.

    Args:
        reading: what the picture says.
        inventory: what is here; models and LoRAs are found by hash first, then by name.
        has_picture: whether an input picture of that hash is kept here.
    """
    if reading.record:
        return _own(reading, reading.record, inventory, has_picture)
    model, line = _model(reading.model, inventory)
    card = next((card for card in inventory.models if model in (None, card.name)), None)
    fields, lines = _scalars(reading, multiple=card.multiple_of if card else 8)
    loras, told = _loras(reading.loras, inventory)
    request = GenerationRequest.parse({**fields, "model": model, "loras": loras})
    remarks = [_line(remark) for remark in reading.remarks if remark.subject not in SCALARS]
    said = frozenset([*fields, "loras", "controls", *(["model"] if model else [])])
    return Recall(reading.dialect, request, _shortened([*lines, *line, *told, *remarks]), said)


def _shortened(lines: list[Line]) -> tuple[Line, ...]:
    """Return the first lines of a report, and say how many there are besides."""
    if len(lines) <= MAX_LINES:
        return tuple(lines)
    left = len(lines) - MAX_LINES + 1
    return (*lines[: MAX_LINES - 1], Line("Others", f"{left} more", "missing", "they are more than are listed here"))


def _own(reading: Reading, record: Record, inventory: Inventory, has_picture: Callable[[str], bool]) -> Recall:
    """Take our own request over as it is, but for weights and pictures that are not here."""
    request, provenance = record.request, record.provenance
    lines = [Line(_title(name), shown(getattr(request, name)), "exact") for name in SCALARS if getattr(request, name) not in ("", None)]
    mark = provenance.model if provenance else Mark(name=(request.model or "")[:300])
    model, line = _model(_wanted(mark), inventory) if mark.name else (None, [])
    loras, told = _loras([_wanted_lora(i, use, provenance) for i, use in enumerate(request.loras)], inventory)
    controls, units = _controls(request.controls, provenance, inventory, has_picture)
    remarks = [_line(remark) for remark in reading.remarks]
    if provenance and provenance.batch > 1:
        why = "made alone it may differ in single bits, which cannot be seen; Verify makes the whole batch"
        remarks.append(Line("Batch", f"{provenance.place + 1} of {provenance.batch}", "approximated", why))
    whole = request.model_copy(update={"model": model, "loras": tuple(map(LoraUse.model_validate, loras)), "controls": controls})
    said = frozenset(name for name in GenerationRequest.model_fields if name != "model" or model)
    return Recall(reading.dialect, whole, (*lines, *line, *told, *units, *remarks), said, provenance)


def _wanted(mark: Mark) -> Wanted:
    return Wanted(mark.name, tuple(filter(None, (mark.hash, mark.tensor_hash, mark.addnet_hash))))


def _wanted_lora(index: int, use: LoraUse, provenance: Provenance | None) -> Wanted:
    marks = provenance.loras if provenance else ()
    known = _wanted(marks[index]).hashes if index < len(marks) and marks[index].name == use.name else ()
    return Wanted(use.name, known, use.weight, use.text_encoder_weight)


def _scalars(reading: Reading, *, multiple: int) -> tuple[dict[str, Any], list[Line]]:
    """Bring the plain fields into their bounds, and say so."""
    fields: dict[str, Any] = {}
    lines = []
    for name in SCALARS:
        remarks = [remark for remark in reading.remarks if remark.subject == name]
        value = next((remark.value for remark in remarks), "")
        why = ""
        if name in reading.fields:
            said = reading.fields[name]
            fields[name], why = _bounded(name, said, multiple=multiple)
            value = value if value and name == "scheduler" else shown(said)
        elif not remarks:
            if name in NEEDED and reading.fields:
                lines.append(Line(_title(name), "", "missing", "the picture does not say it"))
            continue
        reasons = dict.fromkeys(filter(None, (why, *(remark.why for remark in remarks))))
        near: Verdict = "approximated" if reasons else "exact"
        lines.append(Line(_title(name), value, near if name in fields else "missing", "; ".join(reasons)[:MAX_WHY]))
    return fields, lines


def _bounded(name: str, said: Any, *, multiple: int) -> tuple[Any, str]:
    """Return a value the field accepts, and why it is another one than was said; empty when it is the same."""
    if isinstance(said, str):
        text = said.encode("utf-8", "replace").decode()
        why = "" if text == said else "broken characters in it are question marks here"
        return (text[:10_000], "it is cut to 10,000 characters") if len(text) > 10_000 else (text, why)
    if name == "seed":
        seed = int(said) % (MAX_SEED + 1)
        return seed, "" if seed == said else f"seeds have 32 bits here, so {seed} is set"
    least, most = limits(name)
    value = min(max(said, least), most)
    if name in ("width", "height"):
        value = min(max(math.ceil(least / multiple), round(value / multiple)), int(most // multiple)) * multiple
        return value, "" if value == said else f"{value} is set, as it must be a multiple of {multiple} from {least:g} to {most:g} here"
    value = float(value) if name == "guidance_scale" else int(value)
    return value, "" if value == said else f"{value:g} is set, as it goes from {least:g} to {most:g} here"


def _model(wanted: Wanted | None, inventory: Inventory) -> tuple[str | None, list[Line]]:
    if wanted is None or not (wanted.name or wanted.hashes):
        return None, []
    card, verdict, why = _match(wanted, inventory.models)
    usual = f"; {inventory.models[0].name} is used instead" if inventory.models else ""
    return card.name if card else None, [Line("Model", _named(wanted), verdict, why if card else why + usual)]


def _loras(wanted: Sequence[Wanted], inventory: Inventory) -> tuple[list[dict[str, Any]], list[Line]]:
    found: dict[str, dict[str, Any]] = {}
    lines = []
    full = f"there is room for {MAX_LORAS} LoRAs here"
    for one in wanted[:MAX_NAMED]:
        card, verdict, why = _match(one, inventory.loras)
        if card and card.name not in found and len(found) == MAX_LORAS:
            card, verdict, why = None, "missing", full
        near = [one.note]
        if card:
            use, brought = _use(card.name, one)
            near = [brought, "it is named more than once, and what is said last counts" if card.name in found else "", one.note]
            found[card.name] = use
        reasons = list(filter(None, near))
        verdict = "approximated" if card and reasons else verdict
        lines.append(Line("LoRA", f"{_named(one)}, weight {one.weight:g}", verdict, "; ".join(filter(None, (why, *reasons)))[:MAX_WHY]))
    if len(wanted) > MAX_NAMED:
        lines.append(Line("LoRA", f"{len(wanted) - MAX_NAMED} more", "missing", full))
    return list(found.values()), lines


def _use(name: str, one: Wanted) -> tuple[dict[str, Any], str]:
    """Return a LoRA's entry, and why its weights are others than were said; empty when they are the same."""
    least, most = limits("loras.weight")
    said = one.weight, one.text_encoder_weight
    unet, text = (None if weight is None else min(max(float(weight), least), most) for weight in said)
    why = "" if (unet, text) == said else f"its weight is brought into {least:g} to {most:g}"
    return {"name": name, "weight": unet, "text_encoder_weight": text}, why


def _controls(
    uses: Sequence[ControlUse], provenance: Provenance | None, inventory: Inventory, has_picture: Callable[[str], bool]
) -> tuple[tuple[ControlUse, ...], list[Line]]:
    kept, lines = [], []
    marks = provenance.controlnets if provenance else ()
    for index, use in enumerate(uses):
        label = f"Control {use.kind}"
        if not has_picture(use.image):
            lines.append(Line(label, f"picture {use.image[:10]}", "missing", "its picture is not on this machine; give it again"))
            continue
        wanted = _wanted(marks[index]) if index < len(marks) else Wanted(use.model or "")
        fitting = [net for net in inventory.controlnets if net.kind == use.kind]
        card, verdict, why = _match(wanted, fitting) if wanted.name else (None, "missing", "the picture does not say which ControlNet")
        if card is None and fitting:
            verdict, why = "approximated", f"{why}; the first ControlNet that fits is used"
        kept.append(use.model_copy(update={"model": card.name if card else None}))
        lines.append(Line(label, f"{_named(wanted)}, weight {use.weight:g}", verdict, why))
    return tuple(kept), lines


def _match(wanted: Wanted, cards: Sequence[Card]) -> tuple[Card | None, Verdict, str]:
    """Find a card by hash, then by name; a name whose hash is another one is only near."""
    for card in cards:
        if any(map(card.answers_to, wanted.hashes)):
            return card, "exact", "" if card.name == wanted.name else f"found by its hash as {card.name}"
    names = [card for card in cards if card.name == wanted.name] or [card for card in cards if _bare(card.name) == _bare(wanted.name)]
    if not wanted.name or not names:
        digest = wanted.hashes[0][:12] if wanted.hashes else wanted.other_hash[:24]
        return None, "missing", "it is not on this machine" + (f", hash {digest}" if digest else "")
    card = names[0]
    other = "" if card.name == wanted.name else f" as {card.name}"
    if not wanted.hashes:
        said = f"the picture's hash is of another kind, {wanted.other_hash[:24]}" if wanted.other_hash else "the picture gives no hash"
        return card, "approximated", f"found by its name{other}; {said}"
    if not card.hash:
        return card, "approximated", f"found by its name{other}; its hash here is still being computed"
    return (
        card,
        "approximated",
        f"found by its name{other}; its hash here is {card.hash[:10]}, and the picture says {wanted.hashes[0][:12]}",
    )


def _bare(name: str) -> str:
    return name.rpartition("/")[2].lower().replace("_", " ").replace(" ", "")


def _named(wanted: Wanted) -> str:
    return shown(wanted.name) + (f" [{wanted.hashes[0][:10]}]" if wanted.hashes else "")


def _line(remark: Remark) -> Line:
    return Line(_title(remark.subject), remark.value, remark.verdict, remark.why)


def _title(name: str) -> str:
    return str(info(name).title) if name in GenerationRequest.model_fields else name
