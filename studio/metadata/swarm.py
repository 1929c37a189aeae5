"""Pictures of SwarmUI: a JSON object with `sui_image_params` as PNG text `parameters` or EXIF UserComment.

Source: SwarmUI's documented metadata format. `sui_models` gives hashes as 0x and the SHA-256 of the tensors alone; LoRAs stand in two
lists, names and weights (a third one where the text encoder's differ), or in texts with commas.
"""

from collections.abc import Mapping
from typing import Any

from studio.metadata import wording
from studio.metadata.json_text import objects, part, rows
from studio.metadata.reading import Draft, Reading, Wanted, hashes, number, stem
from studio.metadata.samplers import from_k

_TAKEN = {
    *("prompt", "negativeprompt", "model", "seed", "steps", "cfgscale", "width", "height", "sampler", "scheduler", "loras", "loraweights"),
    *("comfyuisampler", "comfyuischeduler", "loratencweights", "swarm_version", "images", "automaticvae", "batchsize"),
}


def recognised(text: str) -> bool:
    """Whether a text is one of these."""
    return "sui_image_params" in objects(text)


def read(text: str) -> Reading:
    """Read a text."""
    data = objects(text)
    said = part(data, "sui_image_params")
    digests = {stem(row.get("name")): row.get("hash") for row in rows(data, "sui_models") if isinstance(row, dict)}
    draft = Draft()
    draft.texts(str(said.get("prompt") or ""), str(said.get("negativeprompt") or ""), wording.SWARM)
    draft.numbers(steps=said.get("steps"), guidance_scale=said.get("cfgscale"), seed=said.get("seed"))
    draft.size(said.get("width"), said.get("height"))
    sampler, schedule = (str(said.get(key) or said.get(f"comfyui{key}") or "") for key in ("sampler", "scheduler"))
    draft.sampler(from_k(sampler or "euler", schedule), f"{sampler} {schedule}".strip() or "not said")
    if not sampler:
        # It is only written where somebody switched it on.
        why = "the picture does not name the sampler, and Euler is what SwarmUI takes for most models"
        draft.remark("scheduler", "approximated", why, schedule or "not said")
    if name := stem(said.get("model")):
        draft.model = Wanted(name, hashes(digests.get(name)))
    draft.loras.extend(_loras(said, digests))
    draft.take_tags(lambda name: hashes(digests.get(stem(name))))
    _others(draft, data, said)
    draft.noise("SwarmUI")
    return draft.reading("SwarmUI")


def _loras(said: Mapping[str, Any], digests: Mapping[str, Any]) -> list[Wanted]:
    found = []
    weights, texts = ([number(weight) for weight in _list(said.get(key))] for key in ("loraweights", "loratencweights"))
    for index, file in enumerate(_list(said.get("loras"))):
        weight, text = (row[index] if index < len(row) else None for row in (weights, texts))
        if name := stem(file):
            note = "" if weight is not None or not weights else "its weight is no number"
            unet = 1.0 if weight is None else float(weight)
            found.append(Wanted(name, hashes(digests.get(name)), unet, None if text in (None, unet) else float(text), note))
    return found


def _others(draft: Draft, data: Mapping[str, Any], said: Mapping[str, Any]) -> None:
    for key, value in said.items():
        if key in _TAKEN or value in (None, "", False) or (key == "aspectratio" and "width" in said):
            continue
        init = key.startswith(("initimage", "controlnet"))
        why = "it was made from another picture, which the file does not carry" if init else "this studio has no such setting"
        draft.remark(key, "missing" if init else "approximated", why, value)
    for key in ("prompt", "negativeprompt"):
        template = part(data, "sui_extra_data").get(f"original_{key}")
        if isinstance(template, str) and template != said.get(key):
            why = "the prompt is what was drawn from it, and the template is not taken over"
            draft.remark(f"original_{key}", "approximated", why, template)


def _list(found: Any) -> list[Any]:
    if isinstance(found, str):
        return [part.strip() for part in found.split(",")][:100] if found.strip() else []
    return found[:100] if isinstance(found, list) else []
