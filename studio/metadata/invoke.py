"""Pictures of InvokeAI: a JSON object as PNG text `invokeai_metadata`.

Source: `CoreMetadataInvocation` of InvokeAI 3 to 5. A model is {"name", "hash", "base"}, before version 4 {"model_name", "base_model"};
its hashes are BLAKE3 unless they say sha256, so most are found by name.
"""

import re
from collections.abc import Mapping
from typing import Any

from studio.metadata import wording
from studio.metadata.json_text import objects, part, rows
from studio.metadata.reading import Draft, Reading, Verdict, Wanted, hashes, number, stem
from studio.metadata.samplers import from_invoke

_REASONS: Mapping[str, tuple[Verdict, str]] = {
    "clip_skip": ("approximated", "all of the text encoder's layers are used here"),
    "strength": ("missing", "it was made from another picture, which the file does not carry"),
    "generation_mode": ("missing", "it was made from another picture, which the file does not carry"),
    "vae": ("approximated", "the model's own autoencoder is used here"),
    "refiner_model": ("missing", "no second model takes over here"),
    "positive_style_prompt": ("approximated", "there is one prompt here"),
    "negative_style_prompt": ("approximated", "there is one prompt here"),
    **dict.fromkeys(
        ("controlnets", "t2iAdapters", "ipAdapters", "ref_images"),
        ("missing", "the file does not carry the control picture; give it in the Control section"),
    ),
}
_TAKEN = {
    *("positive_prompt", "negative_prompt", "steps", "cfg_scale", "seed", "width", "height", "scheduler", "model", "loras", "rand_device"),
    "app_version",
}
_NO_PICTURE = re.compile(r"\w*txt2img")


def recognised(text: str) -> bool:
    """Whether a text is one of these."""
    return "positive_prompt" in objects(text) or "generation_mode" in objects(text)


def read(text: str) -> Reading:
    """Read a text."""
    data = objects(text)
    draft = Draft()
    draft.texts(data.get("positive_prompt"), data.get("negative_prompt"), wording.INVOKE)
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
    draft.noise("InvokeAI", alike=data.get("rand_device") == "cpu")
    return draft.reading("InvokeAI")


def _wanted(named: Mapping[str, Any], *, weight: float = 1.0) -> Wanted:
    digest = named.get("hash")
    known = hashes(digest)
    other = digest[:80] if isinstance(digest, str) and not known else ""
    return Wanted(stem(named.get("name") or named.get("model_name")), known, weight, other_hash=other)


def _others(draft: Draft, data: Mapping[str, Any]) -> None:
    """Remark on everything that is not taken over; what stands in a list is told one by one."""
    for key, value in data.items():
        if key in _TAKEN or value in (None, "", 0, False, [], {}) or (key == "generation_mode" and _NO_PICTURE.fullmatch(str(value))):
            continue
        verdict, why = _REASONS.get(key, ("approximated", "this studio has no such setting"))
        for each in rows(data, key) or [value]:
            named = each if isinstance(each, dict) else {}
            model = part(named, "control_model") or part(named, "model") or named
            draft.remark("ControlNet" if key == "controlnets" else key, verdict, why, model.get("name") or model.get("model_name") or each)
