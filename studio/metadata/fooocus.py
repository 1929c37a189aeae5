"""Pictures of Fooocus with its own scheme: a JSON object as PNG text `parameters` or EXIF UserComment.

Source: `FooocusMetadataParser` and `flags.py` of Fooocus 2.5. LoRAs stand as [name, weight, hash] or as `lora_combined_1`:
"name : weight"; hashes are the first ten digits of SHA-256; `resolution` is a text such as "(1152, 896)".
"""

import re
from collections.abc import Mapping
from typing import Any

from studio.metadata import wording
from studio.metadata.json_text import objects, rows
from studio.metadata.reading import Draft, Reading, Wanted, hashes, number, stem
from studio.metadata.samplers import from_k

STEPS = {"quality": 60, "speed": 30, "extreme speed": 8, "lightning": 4, "hyper-sd": 4}
"""Steps of each performance, in small letters; those of few steps add a LoRA of their own."""
_TAKEN = {
    *(
        "prompt",
        "negative_prompt",
        "steps",
        "guidance_scale",
        "seed",
        "resolution",
        "sampler",
        "scheduler",
        "base_model",
        "base_model_hash",
    ),
    *("loras", "full_prompt", "full_negative_prompt", "metadata_scheme", "version", "created_by", "styles", "performance", "refiner_model"),
}
_NEUTRAL: tuple[Any, ...] = (None, "", "None", "Default (model)", [], {}, False)


def recognised(text: str) -> bool:
    """Whether a text is one of these."""
    return bool({"base_model", "full_prompt", "adm_guidance"} & objects(text).keys())


def read(text: str) -> Reading:
    """Read a text."""
    data = objects(text)
    draft = Draft()
    draft.texts(data.get("prompt"), data.get("negative_prompt"), wording.COMFY)
    draft.numbers(
        steps=data.get("steps", STEPS.get(str(data.get("performance", "")).lower())),
        guidance_scale=data.get("guidance_scale"),
        seed=data.get("seed"),
    )
    sides = re.findall(r"\d{1,5}", str(data.get("resolution", "")))[:2]
    if len(sides) == 2:
        draft.size(*sides)
    if sampler := data.get("sampler"):
        schedule = str(data.get("scheduler", ""))
        draft.sampler(from_k(str(sampler), schedule), f"{sampler} {schedule}")
    draft.model = Wanted(stem(data.get("base_model")), hashes(data.get("base_model_hash")))
    draft.loras.extend(_loras(data))
    _others(draft, data)
    draft.noise("Fooocus")
    return draft.reading("Fooocus")


def _loras(data: Mapping[str, Any]) -> list[Wanted]:
    found = []
    for row in rows(data, "loras"):
        if isinstance(row, list) and len(row) >= 2 and stem(row[0]):
            found.append(_wanted(row[0], row[1], hashes(*row[2:3])))
    for index in range(1, 11):
        name, colon, weight = str(data.get(f"lora_combined_{index}") or "").rpartition(" : ")
        if colon and stem(name) not in ("None", *(lora.name for lora in found)):
            found.append(_wanted(name, weight, ()))
    return found


def _wanted(file: Any, weight: Any, digests: tuple[str, ...]) -> Wanted:
    read = number(weight)
    return Wanted(stem(file), digests, 1.0 if read is None else float(read), note="its weight is no number" if read is None else "")


def _others(draft: Draft, data: Mapping[str, Any]) -> None:
    if data.get("styles") not in (*_NEUTRAL, "[]"):
        draft.remark("styles", "missing", "styles are put into the prompt there; the words they added are not here", data["styles"])
        for name, whole in (("prompt", "full_prompt"), ("negative_prompt", "full_negative_prompt")):
            if data.get(whole) not in (*_NEUTRAL, data.get(name), [data.get(name)]):
                draft.remark(name, "approximated", "styles added words to it there, which are not taken over")
    if STEPS.get(str(data.get("performance")).lower(), 99) <= 8:
        draft.remark("performance", "approximated", "Fooocus adds a LoRA of its own for it", data["performance"])
    if stem(data.get("refiner_model")) not in ("", "None"):
        draft.remark("refiner_model", "missing", "no second model takes over here", data["refiner_model"])
    for key, value in data.items():
        # A refiner's switch says nothing where there is no refiner.
        if key not in _TAKEN and value not in _NEUTRAL and not key.startswith(("lora_combined_", "refiner_")):
            draft.remark(key, "approximated", "this studio has no such setting", value)
