"""Pictures of A1111, Forge and SD.Next, and Fooocus' A1111 scheme: one text of prompt, negative prompt and pairs (see `infotext`).

Sources: `create_infotext` of stable-diffusion-webui 1.10 and of Forge; `processing_info.create_infotext` of SD.Next; Fooocus'
`A1111MetadataParser`; the extra networks' syntax, `<lora:name:text encoder:U-Net>` with `te=` and `unet=`.
"""

import re
from collections.abc import Mapping

from studio.metadata.infotext import Infotext, parse, values
from studio.metadata.reading import Draft, Reading, Wanted, hashes, number
from studio.metadata.samplers import from_a1111

_TAG = re.compile(r"<(lora|lyco|hypernet):([^:<>]{1,300})((?::[^:<>]{0,60}){0,6})>", re.IGNORECASE)
_WEIGHTED = re.compile(r"[(\[][^()\[\]]{1,300}[)\]]|\bBREAK\b|\bAND\b")
_TAKEN = {
    *(
        "Steps",
        "Sampler",
        "Schedule type",
        "Scheduler",
        "CFG scale",
        "Seed",
        "Size",
        "Model hash",
        "Model",
        "Lora hashes",
        "Version",
        "RNG",
    ),
    *("App", "Hashes", "Lora weights", "LoRA networks", "LoRA hashes", "User", "Pipeline", "Operations", "Parser", "Batch", "Index"),
    *("Raw prompt", "Raw negative prompt", "Batch size", "Batch pos", "lora", "model"),
}
_REASONS = {
    "Clip skip": "all of the text encoder's layers are used here",
    "Denoising strength": "it was made from another picture, or enlarged, which the file does not carry",
    "Hires upscale": "pictures are not enlarged while they are made here",
    "VAE": "the model's own autoencoder is used here",
    "VAE hash": "the model's own autoencoder is used here",
    "TI hashes": "embeddings are not used here",
    "Refiner": "no second model takes over here",
}
_CONTROL = re.compile(r"ControlNet \d+|Control (?:type|model)")
MAX_REMARKS = 40


def recognised(text: str) -> bool:
    """Whether a text is one of these."""
    return not text.lstrip().startswith("{") and bool(parse(text).pairs)


def read(text: str, *, scheme: str = "") -> Reading:
    """Read a text; `scheme` is Fooocus' mark beside it."""
    found = parse(text)
    pairs = found.pairs
    dialect = _dialect(pairs, scheme)
    draft = Draft()
    _prompts(draft, found)
    width, _, height = pairs.get("Size", "").partition("x")
    draft.numbers(steps=pairs.get("Steps"), guidance_scale=pairs.get("CFG scale"), seed=pairs.get("Seed"))
    draft.size(width, height)
    schedule = pairs.get("Schedule type", pairs.get("Scheduler") or pairs.get("Sampler sigma"))
    if sampler := pairs.get("Sampler"):
        draft.sampler(from_a1111(sampler, schedule), " ".join(filter(None, (sampler, schedule))))
    if pairs.get("Model") or pairs.get("Model hash"):
        draft.model = Wanted(pairs.get("Model", ""), hashes(pairs.get("Model hash")))
    _loras(draft, found)
    _others(draft, pairs)
    if pairs.get("RNG", "GPU") != "CPU":
        draft.other_noise("Another program" if dialect == "A1111 text" else dialect)
    return draft.reading(dialect)


def tagged(prompt: str) -> tuple[str, list[tuple[str, float, float]]]:
    """Return a prompt without its LoRA tags, and per tag (name, weight in the U-Net, weight in the text encoder)."""
    found = []
    for kind, name, rest in _TAG.findall(prompt):
        places: dict[str, float] = {}
        positions = [part for part in rest.split(":")[1:] if "=" not in part]
        named = dict(part.split("=", 1) for part in rest.split(":")[1:] if "=" in part)
        for place, text in (*zip(("te", "unet"), positions, strict=False), *named.items()):
            weight = number(text)
            if weight is not None:
                places[place.strip().lower()] = float(weight)
        text_weight = places.get("te", 1.0)
        if kind.lower() != "hypernet":
            found.append((name.strip(), places.get("unet", text_weight), text_weight))
    bare = re.sub(r" {2,}", " ", _TAG.sub("", prompt)) if _TAG.search(prompt) else prompt
    return re.sub(r" +(?=[,\n])", "", bare).strip() if bare != prompt else prompt, found


def _dialect(pairs: Mapping[str, str], scheme: str) -> str:
    version = pairs.get("Version", "")
    if pairs.get("App") == "SD.Next":
        return "SD.Next"
    if scheme == "a1111" or version.startswith("Fooocus"):
        return "Fooocus"
    if version.startswith("Studio"):
        return "Studio's A1111 line"
    if version.startswith("f") or any(key.startswith(("Module ", "Distilled CFG", "Diffusion in Low Bits")) for key in pairs):
        return "Forge"
    return "A1111" if version.startswith(("v", "1.")) or "Model hash" in pairs else "A1111 text"


def _prompts(draft: Draft, found: Infotext) -> None:
    prompt, _ = tagged(found.pairs.get("Raw prompt", found.prompt))
    negative, _ = tagged(found.pairs.get("Raw negative prompt", found.negative_prompt))
    draft.texts(prompt, negative)
    for name, text in (("prompt", prompt), ("negative_prompt", negative)):
        if weighted := _WEIGHTED.search(text):
            draft.remark(name, "approximated", "weights in brackets, BREAK and AND are read as plain words here", weighted[0])
    if "<hypernet:" in found.prompt.lower():
        draft.remark("hypernet", "missing", "hypernetworks are not used here")


def _loras(draft: Draft, found: Infotext) -> None:
    known = values(found.pairs.get("Lora hashes", ""))
    names = [name.strip() for name in found.pairs.get("LoRA networks", "").split(",") if name.strip()]
    known |= dict(zip((name.split(":")[0] for name in names), found.pairs.get("LoRA hashes", "").replace(" ", "").split(","), strict=False))
    _, tags = tagged(found.prompt)
    for name, text in values(found.pairs.get("Lora weights", "")).items():
        if (weight := number(text)) is not None and name not in {tag[0] for tag in tags}:
            tags.append((name, float(weight), float(weight)))
    for name, weight, text_weight in tags:
        digest = known.get(name) or known.get(re.sub(r"[:,]", "", name), "")
        apart = None if text_weight == weight else text_weight
        draft.loras.append(Wanted(name, hashes(digest), weight, apart))


def _others(draft: Draft, pairs: Mapping[str, str]) -> None:
    """Remark on every pair that is not taken over, so that nothing is passed over in silence."""
    for key, value in list(pairs.items())[:MAX_REMARKS]:
        if _CONTROL.fullmatch(key):
            draft.remark(key, "missing", "the file does not carry the control picture; give it in the Control section", value)
        elif key not in _TAKEN and value not in ("", "None"):
            reason = _REASONS.get(key, "this studio has no such setting")
            draft.remark(key, "missing" if key in ("TI hashes", "Denoising strength") else "approximated", reason, value)
