"""What stands in prompts besides words: LoRA tags, which are taken out, and signs that weigh words elsewhere and are plain text here.

Sources: the extra networks of A1111, `<lora:name:text encoder:U-Net>` with `te=` and `unet=`; SwarmUI's `<lora:name:U-Net:text encoder>`;
the emphasis of A1111, ComfyUI, InvokeAI's Compel and NovelAI.
"""

import math
import re
from dataclasses import dataclass

# As wide as `loras.tags.TAG`, so that no tag stays in a prompt, where it would be taken for a wish.
_TAG = re.compile(r"<(lora|lyco|hypernet):([^:<>]+)((?::[^:<>]*)*)>", re.IGNORECASE)
MAX_TAGS = 1000


@dataclass(frozen=True)
class Syntax:
    """Signs with a meaning in one program's prompts, why they are only near here, and which weight of a LoRA tag comes first there."""

    signs: re.Pattern[str]
    why: str
    unet_first: bool = False


A1111 = Syntax(re.compile(r"\\?[(\[]|\\[)\]]|\bBREAK\b|\bAND\b"), "weights in brackets, BREAK and AND are read as plain words here")
COMFY = Syntax(re.compile(r"\(|\\\)|\bembedding:"), "weights in brackets and embeddings are read as plain words here")
SWARM = Syntax(re.compile(r"\\?[(\[]|\\[)\]]|<\w"), "weights in brackets and tags are read as plain words here", unet_first=True)
INVOKE = Syntax(re.compile(r'\(|[\w")][+-]+(?=[\s,.)]|$)|<\w'), "weights and other signs of Compel are read as plain words here")
# A number is tried from its beginning only: from each of its digits on, a long one would take for ever.
NOVELAI = Syntax(
    re.compile(r"[{}\[\]]|-?(?<!\d)\d+(?:\.\d+)?::"), "weights in braces, square brackets and before :: are read as plain words here"
)


@dataclass(frozen=True)
class Tag:
    """One tag: `kind` is lora, lyco or hypernet; `note` says what of it is not understood."""

    kind: str
    name: str
    weight: float
    text_weight: float
    note: str = ""


def untagged(prompt: str, *, unet_first: bool = False) -> tuple[str, list[Tag]]:
    """Return a prompt without its tags, and the first `MAX_TAGS` of them, in order; a prompt without any is returned as it is."""
    found = [_tag(*each.groups(), unet_first=unet_first) for each, _ in zip(_TAG.finditer(prompt), range(MAX_TAGS), strict=False)]
    if not found:
        return prompt, []
    bare = re.sub(r" {2,}", " ", _TAG.sub("", prompt))
    return re.sub(r" +(?=[,\n])", "", bare).strip(), found


def retagged(prompt: str, *, least: float, most: float) -> tuple[str, list[str]]:
    """Return a prompt of A1111 whose tags mean here what they mean there, and what of them cannot.

    Of two weights that are not named the text encoder's comes first there and the U-Net's here. `least` and `most` bound a weight.
    """
    notes = []

    def rewritten(found: re.Match[str]) -> str:
        tag = _tag(*found.groups(), unet_first=False)
        if tag.kind == "hypernet":
            notes.append(f"hypernetworks are not used here, so {tag.name[:60]} is left out")
            return ""
        unet, text = (min(max(weight, least), most) for weight in (tag.weight, tag.text_weight))
        if (unet, text) != (tag.weight, tag.text_weight):
            notes.append(f"the weight of LoRA {tag.name[:60]} was brought into {least:g} to {most:g}")
        if tag.note:
            notes.append(f"LoRA {tag.name[:60]}: {tag.note}")
        return f"<lora:{tag.name}:{unet:g}>" if unet == text else f"<lora:{tag.name}:te={text:g}:unet={unet:g}>"

    return _TAG.sub(rewritten, prompt), notes


def _tag(kind: str, name: str, rest: str, *, unet_first: bool) -> Tag:
    places: dict[str, float] = {}
    order, position, strange = ("unet", "te") if unet_first else ("te", "unet"), 0, []
    for part in rest.split(":")[1:]:
        place, equals, text = part.rpartition("=")
        if not equals:
            place, position = (order[position] if position < len(order) else ""), position + 1
        weight = _weight(text)
        if place.strip().lower() in order and weight is not None:
            places[place.strip().lower()] = weight
        else:
            strange.append(part.strip() or "an empty weight")
    first, second = order
    lead = places.get(first, 1.0)
    both = {first: lead, second: places.get(second, lead)}
    note = f"what {':'.join(strange)[:40]} means in its tag is not known here" if strange else ""
    return Tag(kind.lower(), name.strip()[:300], both["unet"], both["te"], note)


def _weight(text: str) -> float | None:
    try:
        weight = float(text)
    except ValueError:
        return None
    return weight if math.isfinite(weight) else None
