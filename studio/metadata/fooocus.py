"""Pictures of Fooocus with its own scheme: a JSON object as PNG text `parameters` or EXIF UserComment.

Source: `FooocusMetadataParser` and `flags.py` of Fooocus 2.5. LoRAs stand as [name, weight, hash] or as `lora_combined_1`:
"name : weight"; hashes are the first ten digits of SHA-256; `resolution` is a text such as "(1152, 896)".
"""

import re
from collections.abc import Mapping
from typing import Any

from studio.metadata.json_text import objects, rows
from studio.metadata.reading import Draft, Reading, Wanted, hashes, number, stem
from studio.metadata.samplers import from_k

_STEPS = {"quality": 60, "speed": 30, "extreme speed": 8, "lightning": 4, "hyper-sd": 4}


def recognised(text: str) -> bool:
    """Whether a text is one of these."""
    return bool({"base_model", "full_prompt", "adm_guidance"} & objects(text).keys())


def read(text: str) -> Reading:
    """Read a text."""
    data = objects(text)
    draft = Draft()
    draft.texts(data.get("prompt"), data.get("negative_prompt"))
    draft.numbers(
        steps=data.get("steps", _STEPS.get(str(data.get("performance", "")).lower())),
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
    draft.other_noise("Fooocus")
    return draft.reading("Fooocus")


def _loras(data: Mapping[str, Any]) -> list[Wanted]:
    found = []
    for row in rows(data, "loras"):
        if isinstance(row, list) and len(row) >= 2 and stem(row[0]):
            found.append(Wanted(stem(row[0]), hashes(*row[2:3]), float(number(row[1]) or 0)))
    for index in range(1, 11):
        name, colon, weight = str(data.get(f"lora_combined_{index}") or "").rpartition(" : ")
        if colon and stem(name) not in ("None", *(lora.name for lora in found)):
            found.append(Wanted(stem(name), (), float(number(weight) or 0)))
    return found


def _others(draft: Draft, data: Mapping[str, Any]) -> None:
    if data.get("styles") not in (None, "", "[]", []):
        draft.remark("styles", "missing", "styles are put into the prompt there; the words they added are not here", data["styles"])
    for key in ("sharpness", "adm_guidance", "adaptive_cfg", "freeu"):
        if key in data:
            draft.remark(key, "approximated", "this studio has no such setting", data[key])
    if stem(data.get("refiner_model")) not in ("", "None"):
        draft.remark("refiner_model", "missing", "no second model takes over here", data["refiner_model"])
