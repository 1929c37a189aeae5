"""Pictures of NovelAI: PNG texts `Software`, `Description` and `Comment` (JSON), or the same hidden in the alpha channel.

Source: NovelAI's image-metadata reader. The hidden form is one bit a pixel, the lowest of alpha, down the columns: "stealth_pngcomp",
then the length in bits (32, big end first), then gzip of a JSON object with the texts; "stealth_pnginfo" is the same without gzip.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from studio.metadata import wording
from studio.metadata.containers import KNOWN, MAX_TEXT_BYTES, unpack
from studio.metadata.json_text import objects, part, rows
from studio.metadata.reading import Draft, Reading, Wanted
from studio.metadata.samplers import from_k

_MARKS = (b"stealth_pngcomp", b"stealth_pnginfo")


def recognised(texts: Mapping[str, str]) -> bool:
    """Whether a PNG's texts are NovelAI's."""
    comment = objects(texts.get("Comment", ""))
    return "prompt" in comment and ("uc" in comment or texts.get("Software") == "NovelAI")


def read(texts: Mapping[str, str]) -> Reading:
    """Read a PNG's texts."""
    data = objects(texts.get("Comment", ""))
    draft = Draft()
    caption, negative = (part(data, key, "caption") for key in ("v4_prompt", "v4_negative_prompt"))
    prompt = caption.get("base_caption") or data.get("prompt") or texts.get("Description")
    draft.texts(prompt, negative.get("base_caption") or data.get("uc"), wording.NOVELAI)
    draft.numbers(steps=data.get("steps"), guidance_scale=data.get("scale"), seed=data.get("seed"))
    draft.size(data.get("width"), data.get("height"))
    if sampler := data.get("sampler"):
        schedule = str(data.get("noise_schedule") or "")
        draft.sampler(from_k(str(sampler), schedule), f"{sampler} {schedule}")
    draft.model = Wanted((texts.get("Source") or "NovelAI")[:300])
    for row in (*rows(caption, "char_captions"), *rows(negative, "char_captions")):
        words = row.get("char_caption") if isinstance(row, dict) else ""
        draft.remark("character prompt", "missing", "there is one prompt here; put these words into it", words)
    _others(draft, data)
    draft.noise("NovelAI")
    return draft.reading("NovelAI")


def _others(draft: Draft, data: Mapping[str, Any]) -> None:
    for key in ("cfg_rescale", "uncond_scale", "sm", "sm_dyn", "dynamic_thresholding", "skip_cfg_above_sigma"):
        if data.get(key) not in (None, False, 0) and (key, data[key]) != ("uncond_scale", 1):
            draft.remark(key, "approximated", "this studio has no such setting", data[key])
    kind = data.get("request_type")
    if kind not in (None, "PromptGenerateRequest"):
        draft.remark("strength", "missing", "it was made from another picture, which the file does not carry", data.get("strength", kind))
    for key in ("reference_strength", "reference_strength_multiple"):
        if data.get(key):
            draft.remark(key, "missing", "it was made after another picture, which the file does not carry", data[key])


def hidden(picture: Image.Image, *, name: str) -> dict[str, Any]:
    """Return the texts hidden in a picture's alpha channel: NovelAI's, or `parameters` of A1111's kin; empty where there are none.

    Raises:
        BadPicture: what is hidden unfolds beyond all bounds, or is damaged.
    """
    if picture.mode != "RGBA":
        return {}
    bits = np.asarray(picture)[..., 3].T.reshape(-1) & 1
    head = np.packbits(bits[: 8 * 19]).tobytes()
    if head[:15] not in _MARKS:
        return {}
    length = int.from_bytes(head[15:19], "big")
    if length > min(bits.size - 8 * 19, 8 * MAX_TEXT_BYTES):
        return {}
    content = np.packbits(bits[8 * 19 : 8 * 19 + length]).tobytes()
    text = (unpack(content, name=name, gzip=True) if head[:15] == _MARKS[0] else content).decode("utf-8", "replace")
    data = objects(text)
    if not data.keys() & set(KNOWN):
        return {"parameters": text}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in data.items()}
