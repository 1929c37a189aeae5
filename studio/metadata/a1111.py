"""The A1111 line of a picture of ours, as A1111 and Civitai read it.

Order and spelling follow `create_infotext` of stable-diffusion-webui 1.10 and Mikubill's ControlNet units. Both readers look at texts
alone, so what would mislead them is changed where that does not change the picture: CLIP's tokenizer lowers all letters and takes
every white space for one blank. Civitai cuts at "Negative prompt:" anywhere, takes the first line that begins with "Steps: " for the
settings, and drops lines that begin with "Template: "; it reads no names with commas, colons or quotes, and no tag with a folder.
"""

import re
from collections.abc import Iterator

from studio.metadata.infotext import quote
from studio.metadata.record import Record
from studio.metadata.samplers import to_a1111
from studio.provenance import Mark
from studio.request import ControlUse, GenerationRequest, LoraUse
from studio.settings import VERSION

_MISLEADING = re.compile(r"negative prompt:|^\s*(?:steps|template|negative template):", re.IGNORECASE | re.MULTILINE)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_FITS = {"stretch": "Just Resize", "crop": "Crop and Resize", "pad": "Resize and Fill"}
_MODES = {"balanced": "Balanced", "prompt": "My prompt is more important", "control": "ControlNet is more important"}
_MODULES = {
    "lineart_standard": "lineart_standard (from white bg & black line)",
    "invert": "invert (from white bg & black line)",
    "teed": "softedge_teed",
    "anyline": "softedge_anyline",
    "depth_anything": "depth_anything_v2",
}


def line(record: Record) -> str:
    """Return the text: prompt with its LoRA tags, negative prompt, and the pairs in one line."""
    request = record.request
    tags = " ".join(f"<lora:{tag_name(use.name)}:{_weights(use)}>" for use in request.loras)
    negative = _prompt(request.negative_prompt)
    pairs = ", ".join(f"{key}: {value}" for key, value in _pairs(record))
    return "\n".join(filter(None, (f"{_prompt(request.prompt)} {tags}".strip(), f"Negative prompt: {negative}" if negative else "", pairs)))


def tag_name(name: str) -> str:
    """Return a LoRA's name as it stands in a tag: without its folder, and without what a tag cannot hold."""
    return re.sub(r"[,:<>\"\s]+", "_", name.rpartition("/")[2]) or "_"


def plain_name(name: str) -> str:
    """Return a name without what either reader takes for something else; the hash beside it tells exactly what is meant."""
    return re.sub(r"[,:\"\s]+", " ", name).strip()


def _prompt(text: str) -> str:
    lowered = _MISLEADING.sub(lambda found: found[0].lower(), _CONTROLS.sub(" ", text))
    return "\n".join(map(str.strip, lowered.split("\n"))).strip()


def _weights(use: LoraUse) -> str:
    text_weight = use.weight if use.text_encoder_weight is None else use.text_encoder_weight
    # By place the first number is the text encoder's there; by name both programs mean the same.
    return f"{use.weight:g}" if text_weight == use.weight else f"te={text_weight:g}:unet={use.weight:g}"


def _pairs(record: Record) -> Iterator[tuple[str, str]]:
    request, provenance = record.request, record.provenance
    sampler, schedule = to_a1111(request.scheduler)
    yield "Steps", str(request.steps)
    yield "Sampler", quote(sampler)
    yield "Schedule type", schedule
    yield "CFG scale", repr(request.guidance_scale)
    yield "Seed", str(request.seed)
    if request.width and request.height:
        yield "Size", f"{request.width}x{request.height}"
    if provenance and provenance.model.hash:
        yield "Model hash", provenance.model.hash[:10]
    if model := plain_name(provenance.model.name if provenance else request.model or ""):
        yield "Model", model
    # Noise is drawn on the CPU, whatever device the model runs on.
    yield "RNG", "CPU"
    for index, use in enumerate(request.controls):
        net = provenance.controlnets[index] if provenance and index < len(provenance.controlnets) else None
        yield f"ControlNet {index}", quote(_unit(use, net))
    if hashes := _lora_hashes(request, provenance.loras if provenance else ()):
        yield "Lora hashes", quote(hashes)
    yield "Version", f"Studio {VERSION}"


def _lora_hashes(request: GenerationRequest, marks: tuple[Mark, ...]) -> str:
    known = {tag_name(mark.name): mark.addnet_hash for mark in marks if mark.addnet_hash}
    return ", ".join(f"{name}: {known[name]}" for name in dict.fromkeys(tag_name(use.name) for use in request.loras) if name in known)


def _unit(use: ControlUse, net: Mark | None) -> str:
    """Return one ControlNet unit's fields; a comma or colon inside a value would empty the whole unit there."""
    name = plain_name(net.name if net else use.model or "None")
    short = f" [{net.hash[:8]}]" if net and net.hash else ""
    settings = use.settings
    fields = {
        "Module": plain_name(_MODULES.get(use.preprocessor, use.preprocessor)),
        "Model": f"{name}{short}",
        "Weight": use.weight,
        "Resize Mode": _FITS[use.fit],
        "Processor Res": int(settings.get("resolution", 512)),
        "Threshold A": settings.get("low", settings.get("value", settings.get("score", 0.5))),
        "Threshold B": settings.get("high", settings.get("length", 0.5)),
        "Guidance Start": use.start,
        "Guidance End": use.end,
        "Pixel Perfect": False,
        "Control Mode": _MODES[use.mode],
    }
    return ", ".join(f"{key}: {value}" for key, value in fields.items())
