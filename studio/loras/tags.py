"""`<lora:name:weight>` and `<lora:name:weight:text weight>` in a prompt, as people write it since A1111."""

import math
import re
from dataclasses import dataclass

TAG = re.compile(r"<lora:([^:<>]+)((?::[^:<>]*)*)>", re.IGNORECASE)


@dataclass(frozen=True)
class Tag:
    """What one tag says; `text` is the tag itself, `text_weight` None means the same as `weight`."""

    text: str
    name: str
    weight: float
    text_weight: float | None


def without_tags(prompt: str) -> str:
    """Return the prompt without its tags; one without any is returned as it is."""
    return re.sub(r" {2,}", " ", TAG.sub("", prompt)).strip() if TAG.search(prompt) else prompt


def find_tags(prompt: str) -> list[Tag]:
    """Return the tags of a prompt, in order. Weights are 1 unless said; `te=` and `unet=` may name them.

    Raises:
        ValueError: a weight is no number; the message names the tag.
    """
    return [_read(found[0], found[1].strip(), found[2].split(":")[1:]) for found in TAG.finditer(prompt)]


def _read(text: str, name: str, given: list[str]) -> Tag:
    places = {"unet": math.nan, "te": math.nan}
    for i, part in enumerate(given):
        key, equals, value = part.rpartition("=")
        place = key.strip().lower() if equals else ("unet", "te", "")[min(i, 2)]
        try:
            weight = float(value)
        except ValueError:
            weight = math.nan
        if place not in places or not math.isfinite(weight):
            raise ValueError(
                f"{text[:60]} is no LoRA tag; write <lora:name:0.8>, or <lora:name:0.8:0.5> with a weight for the text encoder"
            )
        places[place] = weight
    unet, te = places["unet"], places["te"]
    return Tag(text, name, 1.0 if math.isnan(unet) else unet, None if math.isnan(te) else te)
