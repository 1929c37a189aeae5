"""Pictures of A1111, Forge and SD.Next, and Fooocus' A1111 scheme: one text of prompt, negative prompt and pairs (see `infotext`).

Sources: `create_infotext` of stable-diffusion-webui 1.10 and of Forge; `processing_info.create_infotext` of SD.Next; Fooocus'
`A1111MetadataParser`; the extra networks' syntax, `<lora:name:text encoder:U-Net>` with `te=` and `unet=`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from studio.metadata import wording
from studio.metadata.infotext import Infotext, parse, values
from studio.metadata.json_text import objects, rows
from studio.metadata.reading import Draft, Reading, Wanted, hashes, number, plain, stem
from studio.metadata.samplers import from_a1111

_TAKEN = {
    *("Steps", "Sampler", "Schedule type", "Scheduler", "CFG scale", "CFG Scale", "Seed", "Size", "Model hash", "Model"),
    *("Lora hashes", "Version"),
    *("RNG", "App", "Hashes", "Lora weights", "LoRA networks", "LoRA hashes", "LoRA tags", "User", "Pipeline", "Operations", "Parser"),
    *("Raw prompt", "Raw negative prompt", "Batch size", "Batch pos", "Batch", "Index", "lora", "model", "Created Date"),
    *("Civitai resources", "Civitai metadata"),
}
_NEUTRAL = {("Clip skip", "1"), ("CLiP-skip", "1"), ("CLiP-skip", "1.0")}
OURS = "Studio's A1111 line"
_LAYERS = "all of the text encoder's layers are used here"
_AUTOENCODER = "the model's own autoencoder is used here"
_DRAWN = "the prompt is what was drawn from it, and the template is not taken over"
_REASONS = {
    "Clip skip": _LAYERS,
    "CLiP-skip": _LAYERS,
    "Denoising strength": "it was made from another picture, or enlarged, which the file does not carry",
    "First pass size": "pictures are not enlarged while they are made here",
    "Hires upscale": "pictures are not enlarged while they are made here",
    "VAE": _AUTOENCODER,
    "VAE hash": _AUTOENCODER,
    "TI hashes": "embeddings are not used here",
    "Refiner": "no second model takes over here",
    **dict.fromkeys(("Template", "Negative Template", "Negative template", "Wildcard prompt", "Wildcard negative prompt"), _DRAWN),
}
_CONTROL = re.compile(r"ControlNet \d+|Control (?:type|model)")


def recognised(text: str) -> bool:
    """Whether a text is one of these; a prompt may well begin like JSON."""
    return bool(parse(text).pairs) and not objects(text)


def read(text: str, *, scheme: str = "") -> Reading:
    """Read a text; `scheme` is Fooocus' mark beside it."""
    found = parse(text)
    pairs = found.pairs
    dialect = _dialect(pairs, scheme)
    draft = Draft()
    _prompts(draft, found)
    draft.numbers(steps=pairs.get("Steps"), guidance_scale=pairs.get("CFG scale", pairs.get("CFG Scale")), seed=pairs.get("Seed"))
    _size(draft, pairs)
    schedule = pairs.get("Schedule type", pairs.get("Scheduler") or pairs.get("Sampler sigma"))
    if sampler := pairs.get("Sampler"):
        draft.sampler(from_a1111(sampler, schedule), " ".join(filter(None, (sampler, schedule))))
    digests = objects(pairs.get("Hashes", ""))
    if pairs.get("Model") or pairs.get("Model hash") or digests.get("model"):
        known = dict.fromkeys(hashes(pairs.get("Model hash"), digests.get("model")))
        draft.model = Wanted(stem(pairs.get("Model", "")), tuple(known))
    _loras(draft, pairs, digests)
    _resources(draft, pairs)
    _others(draft, found, digests)
    if dialect != OURS:
        draft.noise("another program" if dialect == "A1111 text" else dialect, alike=pairs.get("RNG", "GPU") == "CPU")
    return draft.reading(dialect)


def _size(draft: Draft, pairs: Mapping[str, str]) -> None:
    """Take the size that the run had: old versions of A1111 wrote the one of the enlarged picture, and beside it the first pass."""
    width, _, height = pairs.get("Size", "").partition("x")
    first, _, high = pairs.get("First pass size", "").partition("x")
    if "First pass size" in pairs and {first, high} & {"", "0"}:
        why = "the picture was made smaller and enlarged, and the file does not say how small"
        for name, value in (("width", width), ("height", height)):
            draft.remark(name, "approximated", why, value)
    elif first:
        width, height = first, high
    draft.size(width, height)


def _dialect(pairs: Mapping[str, str], scheme: str) -> str:
    version = pairs.get("Version", "")
    if pairs.get("App") == "SD.Next":
        return "SD.Next"
    if scheme == "a1111" or version.startswith("Fooocus"):
        return "Fooocus"
    if version.startswith("Studio"):
        return OURS
    if version.startswith(("f", "neo")) or any(key.startswith(("Module ", "Distilled CFG", "Diffusion in Low Bits")) for key in pairs):
        return "Forge"
    if version.startswith("ComfyUI"):
        return "A1111 text"
    return "A1111" if version.startswith(("v", "1.")) or "Model hash" in pairs else "A1111 text"


def _prompts(draft: Draft, found: Infotext) -> None:
    whole = found.prompt, found.negative_prompt
    typed = found.pairs.get("Raw prompt", whole[0]), found.pairs.get("Raw negative prompt", whole[1])
    draft.texts(*typed, syntax=wording.A1111)
    for name, text, used in zip(("prompt", "negative_prompt"), typed, whole, strict=True):
        if text.strip() != used.strip():
            draft.remark(name, "approximated", "styles added words to it there, which are not taken over", used)


def _loras(draft: Draft, pairs: Mapping[str, str], digests: Mapping[str, Any]) -> None:
    """Take the LoRAs of the tags, then those that stand beside the prompt alone; one that has no weight is only named."""
    known: dict[str, list[object]] = {}
    for name, digest in (*_listed(pairs), *((key[5:], digests[key]) for key in digests if key.lower().startswith("lora:"))):
        known.setdefault(_bare(name), []).append(digest)

    def found(name: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(hashes(*known.get(_bare(name), ()))))

    draft.take_tags(found)
    networks = (part.strip().split(":")[:2] for part in pairs.get("LoRA networks", "").split(","))
    weighted = [*values(pairs.get("Lora weights", "")).items(), *((part[0], part[-1]) for part in networks if part[0])]
    named = draft.named()
    for name, text in weighted:
        if (weight := number(text)) is not None and plain(name) not in named:
            draft.loras.append(Wanted(name, found(name), float(weight)))
            named.add(plain(name))
    for name in dict.fromkeys([name for name, _ in weighted] + list(known)):
        if plain(name) not in named:
            why = "the picture names it, but not how strongly it was used"
            draft.remark("LoRA", "missing", why, " ".join([name, *(f"[{digest[:12]}]" for digest in found(name)[:1])]))


def _listed(pairs: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (name, hash) of A1111's list and of SD.Next's two, whose hashes stand alone and may be fewer."""
    yield from values(pairs.get("Lora hashes", "")).items()
    names, digests = ([part.strip() for part in pairs.get(key, "").split(",") if part.strip()] for key in ("LoRA networks", "LoRA hashes"))
    if len(names) == len(digests):
        yield from zip((name.split(":")[0] for name in names), digests, strict=True)


def _bare(name: str) -> str:
    """A1111 takes colons and commas out of names beside hashes."""
    return re.sub(r"[:,]", "", name).strip()


def _resources(draft: Draft, pairs: Mapping[str, str]) -> None:
    """Take what Civitai's own generator used, which it calls by its pages' names and gives no hashes of."""
    named = draft.named()
    for row in rows(objects(f'{{"rows": {pairs.get("Civitai resources", "[]")}}}'), "rows"):
        if not isinstance(row, dict):
            continue
        kind = str(row.get("type") or "".join(str(row.get("air")).split(":")[3:4])).lower()
        name = stem(row.get("modelName")) or f"Civitai {number(row.get('modelVersionId')) or ''}".strip()
        weight = number(row.get("weight"))
        if kind == "checkpoint":
            draft.model = draft.model or Wanted(name)
        elif kind not in ("lora", "locon", "lycoris", "dora"):
            draft.remark(kind or "resource", "missing", "this studio does not use it", name)
        elif not named:
            note = "the picture does not say how strongly it was used" if weight is None else ""
            draft.loras.append(Wanted(name, (), 1.0 if weight is None else float(weight), note=note))
        elif plain(name) not in named:
            draft.remark("LoRA", "approximated", "Civitai calls one of the others so, or it is not taken over", name)


def _others(draft: Draft, found: Infotext, digests: Mapping[str, Any]) -> None:
    """Remark on every pair that is not taken over, so that nothing is passed over in silence."""
    for key, value in (
        *found.templates.items(),
        *found.pairs.items(),
        *((key, digests[key]) for key in digests if key.startswith("embed:")),
    ):
        if _CONTROL.fullmatch(key):
            draft.remark(key, "missing", "the file does not carry the control picture; give it in the Control section", value)
        elif key not in _TAKEN and value not in ("", "None") and (key, value) not in _NEUTRAL:
            reason = _REASONS.get("TI hashes" if key.startswith("embed:") else key, "this studio has no such setting")
            gone = key.startswith("embed:") or key in ("TI hashes", "Denoising strength")
            draft.remark(key, "missing" if gone else "approximated", reason, value)
