"""From the LoRAs that were asked for, in the list and in the prompt, to those that will be applied. Pure."""

import difflib
from dataclasses import dataclass
from unicodedata import normalize

from studio.errors import InvalidRequest
from studio.inventory import Inventory, LoraCard, ModelCard
from studio.loras.tags import find_tags, without_tags
from studio.loras.verdict import doubts
from studio.request import MAX_LORAS, GenerationRequest, LoraUse, bounds, limits, shorten


@dataclass(frozen=True)
class PlannedLora:
    """A LoRA with its weights in the U-Net and in the text encoder; `notice` says what of it cannot be applied, if anything."""

    card: LoraCard
    weight: float
    text_encoder_weight: float
    notice: str = ""


def gather(request: GenerationRequest, inventory: Inventory) -> GenerationRequest:
    """Move the `<lora:...>` tags of the prompt into the list, each LoRA once; what is said last counts, tags after the list.

    Raises:
        InvalidRequest: a tag names no LoRA that is here, its weight is out of bounds, it stands in the negative prompt, or there are
            too many LoRAs.
    """
    if tags := _tags("negative_prompt", request.negative_prompt):
        raise InvalidRequest(f"negative_prompt: {tags[0][0]} belongs into the prompt; a weight below 0 pushes away from a LoRA.")
    uses = {}
    for use in request.loras:
        card = _named(use.name, inventory)
        uses[card.name if card else use.name] = use.model_copy(update={"name": card.name}) if card else use
    for _, use in _tags("prompt", request.prompt):
        card = _find(use.name, inventory)
        if card is None:
            raise InvalidRequest(f"prompt: {_absence(use.name, inventory)}")
        uses.pop(card.name, None)
        uses[card.name] = use.model_copy(update={"name": card.name})
    if len(uses) > MAX_LORAS:
        raise InvalidRequest(f"prompt: its LoRA tags and the list name {len(uses)} LoRAs; name at most {MAX_LORAS} at once.")
    return request.model_copy(update={"prompt": without_tags(request.prompt), "loras": tuple(uses.values())})


def plan_lora(index: int, use: LoraUse, model: ModelCard, inventory: Inventory) -> PlannedLora:
    """Find a LoRA and judge it against the model, before anything is loaded.

    Raises:
        InvalidRequest: it is not here, cannot be used, or would not change the model.
    """
    card = _named(use.name, inventory)
    if card is None:
        raise InvalidRequest(f"loras[{index}].name: {_absence(use.name, inventory)}")
    verdict = card.verdict(model)
    if not verdict.usable:
        raise InvalidRequest(f"loras[{index}]: {verdict.sentence}")
    notices = [verdict.sentence] if verdict.state == "partly" else []
    notices.append(doubts(card.name, card.header))
    text_weight = use.weight if use.text_encoder_weight is None else use.text_encoder_weight
    return PlannedLora(card, use.weight, text_weight, " ".join(filter(None, notices)))


def _tags(field: str, prompt: str) -> list[tuple[str, LoraUse]]:
    try:
        found = find_tags(prompt)
    except ValueError as error:
        raise InvalidRequest(f"{field}: {error}.") from error
    least, most = limits("loras.weight")
    for tag in found:
        for weight in (tag.weight, tag.text_weight):
            if weight is not None and not least <= weight <= most:
                raise InvalidRequest(f"{field}: the weight in {shorten(tag.text)} must be {bounds('loras.weight')}, not {weight:g}.")
        if not 0 < len(tag.name) <= 300:
            raise InvalidRequest(f"{field}: {shorten(tag.text)} names no LoRA; write <lora:name:0.8>.")
    return [(tag.text[:60], LoraUse(name=tag.name, weight=tag.weight, text_encoder_weight=tag.text_weight)) for tag in found]


def _find(name: str, inventory: Inventory) -> LoraCard | None:
    """Find a tag's LoRA; tags of other programs leave the folder out, which will do where it is clear."""
    loose = [card for card in inventory.loras if _alike(card.name.rpartition("/")[2], name)]
    return _named(name, inventory) or (loose[0] if len(loose) == 1 else None)


def _named(name: str, inventory: Inventory) -> LoraCard | None:
    """Find a LoRA by its whole name."""
    found = sorted((card for card in inventory.loras if _alike(card.name, name)), key=lambda card: card.name != name)
    return found[0] if found else None


def _alike(one: str, other: str) -> bool:
    """Whether two names look the same: some systems write an accent as a sign of its own."""
    return normalize("NFC", one) == normalize("NFC", other)


def _absence(name: str, inventory: Inventory) -> str:
    """Say why there is no LoRA of that name, and what to do."""
    for broken in inventory.broken_loras:
        if broken.name == name:
            return broken.problem
    if "\\" in name or name.startswith(("/", "~")) or ".." in name.split("/"):
        return f"{shorten(name)} is a path; give a name as the list shows it."
    near = difflib.get_close_matches(name, [card.name for card in inventory.loras], n=1)
    return f"{shorten(name)} is not here; " + (f"did you mean {near[0]}?" if near else "choose one of the list, or take it out.")
