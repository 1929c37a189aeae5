"""What a preset names that is not on this machine: found by its hash under another name, or missing, with what could stand in for it."""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from studio.inventory import ControlNetCard, Inventory, LoraCard, ModelCard
from studio.loras.tags import TAG
from studio.request import shorten

MAX_OFFERS = 50
LABELS = {"model": "Model", "loras": "LoRA", "controlnets": "ControlNet", "pictures": "Picture"}
Names = Mapping[tuple[str, str], str]
"""By (kind, name as the preset has it), the name that takes its place; empty leaves it out."""


@dataclass(frozen=True)
class Finding:
    """Something that a preset names and that is not here as it was.

    Attributes:
        kind: `model`, `loras` or `controlnets`, or `pictures` for a control unit's picture.
        name: as the preset has it.
        state: `renamed`: the same file is here under another name, which is taken; `changed`: another file has that name;
            `missing`: neither name nor file is here.
        says: one sentence.
        taken: the name that takes its place unless somebody chooses another; empty leaves it out.
        offers: what else could, the likeliest first.
    """

    kind: str
    name: str
    state: Literal["renamed", "changed", "missing"]
    says: str
    taken: str = ""
    offers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stock:
    """What is here of one kind: all cards, and the names of those that fit the model."""

    cards: Sequence[ModelCard | ControlNetCard | LoraCard]
    fitting: tuple[str, ...]


def find(
    fields: Mapping[str, Any], hashes: Mapping[str, Mapping[str, str]], stocks: Mapping[str, Stock], kept: Collection[str]
) -> list[Finding]:
    """Look for everything that a preset's fields name.

    Args:
        fields: the fields that would be taken.
        hashes: the preset's hashes, by kind and name.
        stocks: what is here, by kind.
        kept: hashes of the pictures that are here.
    """
    findings = [_found(kind, name, hashes.get(kind, {}).get(name, ""), stocks[kind]) for kind, name in dict.fromkeys(_named(fields))]
    gone = [use for use in fields.get("controls", ()) if use["image"] not in kept]
    findings += [
        Finding("pictures", use["image"], "missing", f"The picture of the {use['kind']} unit is not here; the unit is left out.")
        for use in gone
    ]
    return [finding for finding in findings if finding]


def repaired(fields: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """Return the fields with other names in place; a name that became empty is left out."""
    fixed = dict(fields)
    if fields.get("model") is not None and ("model", fields["model"]) in names:
        fixed["model"] = names["model", fields["model"]]
        if not fixed["model"]:
            # Not the default one: whoever has chosen a model keeps it.
            del fixed["model"]
    if "loras" in fields:
        uses = [use | {"name": names.get(("loras", use["name"]), use["name"])} for use in fields["loras"]]
        fixed["loras"] = [use for use in uses if use["name"]]
    if "controls" in fields:
        units = [use for use in fields["controls"] if names.get(("pictures", use["image"]), "here")]
        fixed["controls"] = [use | {"model": names.get(("controlnets", use["model"] or ""), use["model"]) or None} for use in units]
    if any(("loras", tag[1].strip()) in names for tag in TAG.finditer(fields.get("prompt", ""))):
        fixed["prompt"] = re.sub(r" {2,}", " ", TAG.sub(lambda tag: _retagged(tag, names), fields["prompt"])).strip()
    return fixed


def stocks_of(inventory: Inventory, model: str | None) -> dict[str, Stock]:
    """Say what is here of each kind.

    Args:
        inventory: what is on this machine.
        model: the model that the rest must fit; the default one when None or unknown.
    """
    cards = inventory.models
    card = next((each for each in cards if each.name == model), cards[0] if cards else None)
    loras = tuple(each.name for each in inventory.loras if card is None or each.verdict(card).usable)
    nets = tuple(each.name for each in inventory.controlnets if card is None or not each.misfit(card.unet))
    return {
        "model": Stock(cards, tuple(each.name for each in cards)),
        "loras": Stock(inventory.loras, loras),
        "controlnets": Stock(inventory.controlnets, nets),
    }


def known_hashes(fields: Mapping[str, Any], stocks: Mapping[str, Stock]) -> dict[str, dict[str, str]]:
    """Return the hashes of what some fields name, by kind and name, for a preset that is being saved."""
    found: dict[str, dict[str, str]] = {}
    for kind, name in _named(fields):
        if digits := next((card.hash for card in stocks[kind].cards if card.name == name), ""):
            found.setdefault(kind, {})[name] = digits
    return found


def _named(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if fields.get("model"):
        yield "model", fields["model"]
    yield from (("loras", use["name"]) for use in fields.get("loras", ()))
    yield from (("loras", tag[1].strip()) for tag in TAG.finditer(fields.get("prompt", "")))
    yield from (("controlnets", use["model"]) for use in fields.get("controls", ()) if use["model"])


def _found(kind: str, name: str, digits: str, stock: Stock) -> Finding | None:
    label, offers = LABELS[kind], _offers(name, stock)
    card = _called(kind, name, stock)
    same = next((each for each in stock.cards if digits and each.answers_to(digits)), None)
    # Another file may have taken the name since; what the file holds counts more.
    if card and digits and card.hash and not card.answers_to(digits) and same is None:
        return Finding(kind, name, "changed", f"{label} {shorten(name)} is another file here than when this was saved.", card.name, offers)
    if same is None or (card and card.answers_to(digits)):
        same = card
    if same and same.name == name:
        return None
    if same:
        return Finding(kind, name, "renamed", f"{label} {shorten(name)} is here as {same.name}.", same.name, offers)
    known = f" (SHA-256 {digits[:10]}...)" if digits else ""
    return Finding(kind, name, "missing", f"{label} {shorten(name)}{known} is not here.", "", offers)


def _called(kind: str, name: str, stock: Stock) -> ModelCard | ControlNetCard | LoraCard | None:
    """Find what has a name; a LoRA's may leave its folder out where it is clear."""
    exact = [card for card in stock.cards if card.name == name]
    loose = [card for card in stock.cards if kind == "loras" and card.name.rpartition("/")[2] == name]
    return exact[0] if exact else loose[0] if len(loose) == 1 else None


def _retagged(tag: re.Match[str], names: Names) -> str:
    name = names.get(("loras", tag[1].strip()))
    return tag[0] if name is None else f"<lora:{name}{tag[2]}>" if name else ""


def _offers(name: str, stock: Stock) -> tuple[str, ...]:
    near = difflib.get_close_matches(name, stock.fitting, n=MAX_OFFERS, cutoff=0.3)
    return tuple(dict.fromkeys([*near, *stock.fitting]))[:MAX_OFFERS]
