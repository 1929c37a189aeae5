"""Pictures of InvokeAI: a JSON object as PNG text `invokeai_metadata`.

Source: `CoreMetadataInvocation` of InvokeAI 3 to 5. A model is {"name", "hash", "base"}, before version 4 {"model_name", "base_model"};
its hashes are BLAKE3 unless they say sha256, so most are found by name.
"""

from collections.abc import Mapping
from typing import Any

from studio.metadata.json_text import objects, part, rows
from studio.metadata.reading import Draft, Reading, Verdict, Wanted, hashes, number, stem
from studio.metadata.samplers import from_invoke

_NOT_HERE = {
    "clip_skip": "all of the text encoder's layers are used here",
    "strength": "it was made from another picture, which the file does not carry",
    "vae": "the model's own autoencoder is used here",
    "refiner_model": "no second model takes over here",
    "positive_style_prompt": "there is one prompt here",
}


def recognised(text: str) -> bool:
    """Whether a text is one of these."""
    return "positive_prompt" in objects(text) or "generation_mode" in objects(text)


def read(text: str) -> Reading:
    """Read a text."""
    data = objects(text)
    draft = Draft()
    draft.texts(data.get("positive_prompt"), data.get("negative_prompt"))
    draft.numbers(steps=data.get("steps"), guidance_scale=data.get("cfg_scale"), seed=data.get("seed"))
    draft.size(data.get("width"), data.get("height"))
    if isinstance(scheduler := data.get("scheduler"), str):
        draft.sampler(from_invoke(scheduler), scheduler)
    if part(data, "model"):
        draft.model = _wanted(part(data, "model"))
    for row in rows(data, "loras"):
        named = part(row, "model") or part(row, "lora") if isinstance(row, dict) else {}
        if named:
            weight = number(row.get("weight"))
            draft.loras.append(_wanted(named, weight=1.0 if weight is None else float(weight)))
    _others(draft, data)
    if data.get("rand_device") != "cpu":
        draft.other_noise("InvokeAI")
    return draft.reading("InvokeAI")


def _wanted(named: Mapping[str, Any], *, weight: float = 1.0) -> Wanted:
    return Wanted(stem(named.get("name") or named.get("model_name")), hashes(named.get("hash")), weight)


def _others(draft: Draft, data: Mapping[str, Any]) -> None:
    for key, why in _NOT_HERE.items():
        if data.get(key):
            verdict: Verdict = "missing" if key in ("strength", "refiner_model") else "approximated"
            draft.remark(key, verdict, why, part(data, key).get("name") or data[key])
    for row in (*rows(data, "controlnets"), *rows(data, "t2iAdapters"), *rows(data, "ipAdapters")):
        name = part(row, "control_model").get("name") if isinstance(row, dict) else ""
        draft.remark("ControlNet", "missing", "the file does not carry the control picture; give it in the Control section", name)
