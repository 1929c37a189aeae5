"""Pictures of SwarmUI: a JSON object with `sui_image_params` as PNG text `parameters` or EXIF UserComment.

Source: SwarmUI's documented metadata format. `sui_models` gives hashes as 0x and the SHA-256 of the tensors alone; LoRAs stand in two
lists, names and weights, or in texts with commas.
"""

from typing import Any

from studio.metadata.json_text import objects, part, rows
from studio.metadata.reading import Draft, Reading, Wanted, hashes, number, stem
from studio.metadata.samplers import from_k
from studio.metadata.webui import tagged

_TAKEN = {
    *("prompt", "negativeprompt", "model", "seed", "steps", "cfgscale", "width", "height", "aspectratio", "sampler", "scheduler"),
    *("comfyuisampler", "comfyuischeduler", "loras", "loraweights", "swarm_version", "images", "automaticvae", "batchsize"),
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
    prompt, tags = tagged(str(said.get("prompt") or ""))
    draft.texts(prompt, said.get("negativeprompt"))
    draft.numbers(steps=said.get("steps"), guidance_scale=said.get("cfgscale"), seed=said.get("seed"))
    draft.size(said.get("width"), said.get("height"))
    sampler, schedule = (str(said.get(key) or said.get(f"comfyui{key}") or "") for key in ("sampler", "scheduler"))
    if sampler or schedule:
        draft.sampler(from_k(sampler or "euler", schedule), f"{sampler} {schedule}")
    if name := stem(said.get("model")):
        draft.model = Wanted(name, hashes(digests.get(name)))
    names, weights = _list(said.get("loras")), _list(said.get("loraweights"))
    found = [(stem(name), number(weights[i]) if i < len(weights) else 1.0) for i, name in enumerate(names)]
    found += [(stem(name), weight) for name, weight, _ in tags if stem(name) not in {known for known, _ in found}]
    draft.loras.extend(Wanted(name, hashes(digests.get(name)), 1.0 if weight is None else float(weight)) for name, weight in found if name)
    for key, value in list(said.items())[:60]:
        if key not in _TAKEN and value not in (None, "", False):
            init = key.startswith("initimage")
            why = "it was made from another picture, which the file does not carry" if init else "this studio has no such setting"
            draft.remark(key, "missing" if init else "approximated", why, value)
    draft.other_noise("SwarmUI")
    return draft.reading("SwarmUI")


def _list(found: Any) -> list[Any]:
    if isinstance(found, str):
        return [part.strip() for part in found.split(",")][:100] if found.strip() else []
    return found[:100] if isinstance(found, list) else []
