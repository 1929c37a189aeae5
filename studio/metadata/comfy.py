"""Pictures of ComfyUI, as well as can be: the graph of nodes as PNG text `prompt`, {id: {"class_type", "inputs"}}.

Source: ComfyUI's API format; a link is [id, output]. A sampler is found, then what leads to it: texts, latent size, model and LoRAs.
Nodes that nobody knows are walked through along their links; what comes out of them is near at best, and each is remarked on.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from studio.metadata import wording
from studio.metadata.comfy_graph import Found, Graph, inputs_of, kind_of, number_at, text_at, upstream, walk, words
from studio.metadata.json_text import objects
from studio.metadata.reading import Draft, Reading, Wanted, number, stem
from studio.metadata.samplers import from_k

_KNOWN = re.compile(
    r"KSampler(?:Advanced|Select)?|SamplerCustom(?:Advanced)?|CLIPTextEncode(?:SDXL|SDXLRefiner|Flux|SD3)?|Empty\w*Latent\w*"
    r"|CheckpointLoader(?:Simple)?|UNETLoader|(?:Dual|Triple)?CLIPLoader|LoraLoader(?:ModelOnly)?|VAE(?:Decode|Encode)\w*|LoadImage\w*"
    r"|SaveImage\w*|PreviewImage|Primitive\w*|Reroute|\w*Note|RandomNoise|CFGGuider|BasicGuider|\w*Scheduler|ConditioningZeroOut"
)
_REASONS = {
    "VAELoader": "the model's own autoencoder is used here",
    "CLIPSetLastLayer": "all of the text encoder's layers are used here",
}
_EMPTY = re.compile(r"Empty\w*Latent\w*")
_SCHEDULES = {"KarrasScheduler": "karras", "ExponentialScheduler": "exponential"}
_FILE = re.compile(r".+\.(?:safetensors|ckpt|pt|bin)", re.IGNORECASE)
_PIPE = re.compile(r"(?i)pipe|tuple|context")
_STACKED = re.compile(r"(?i)lora(?:_name)?_?(\d{1,3})")


def recognised(text: str) -> bool:
    """Whether a text is such a graph."""
    # Sites put facts of their own beside the nodes.
    return any(isinstance(node, dict) and "class_type" in node for node in objects(text).values())


def read(text: str) -> Reading:
    """Read a graph."""
    graph = Graph(objects(text))
    draft = Draft()
    if not (samplers := _samplers(graph)):
        draft.remark("graph", "missing", "no sampler that is known here stands in it")
    else:
        inputs = inputs_of(samplers[0])
        kind, guider = upstream(graph, inputs.get("guider"), "cfg", "conditioning")
        if kind == "BasicGuider":
            # It follows the prompt alone, which is what a guidance of 1 does.
            guider = {"positive": guider.get("conditioning"), "model": guider.get("model"), "cfg": 1}
        inputs = {**guider, **inputs}
        _prompts(draft, graph, inputs)
        _numbers(draft, graph, inputs)
        _spacing(draft, graph, inputs)
        _weights(draft, graph, inputs.get("model", _pipe(inputs)))
        _start(draft, graph, inputs)
    if len(samplers) > 1:
        draft.remark("samplers", "approximated", "only the first of them is taken over", len(samplers))
    if graph.left < 0:
        draft.remark("graph", "missing", "so much in it leads to so much that not all could be followed")
    _others(draft, graph)
    draft.noise("ComfyUI")
    return draft.reading("ComfyUI")


def _samplers(graph: Graph) -> list[Mapping[str, Any]]:
    """Return the samplers, first those that start from noise."""
    found = [node for node in graph.nodes.values() if "Sampler" in str(node.get("class_type")) and "latent_image" in inputs_of(node)]
    return sorted(found, key=lambda node: not _whole(graph, inputs_of(node)))


def _whole(graph: Graph, inputs: Mapping[str, Any]) -> bool:
    noised = inputs.get("add_noise") not in ("disable", False) and not number(inputs.get("start_at_step"))
    return noised and _denoise(graph, inputs).value in (1, None)


def _denoise(graph: Graph, inputs: Mapping[str, Any]) -> Found:
    _, sigmas = upstream(graph, inputs.get("sigmas"), "denoise")
    found = number_at(graph, inputs.get("denoise", sigmas.get("denoise")))
    return Found(number(found.value), found.why)


def _prompts(draft: Draft, graph: Graph, inputs: Mapping[str, Any]) -> None:
    found = {name: _words_of(graph, inputs, side) for name, side in _SIDES.items()}
    draft.texts(found["prompt"].value, found["negative_prompt"].value, wording.COMFY)
    for name, each in found.items():
        if each.value is None:
            draft.remark(name, "missing", "no words that can be read here lead to the sampler")
        elif each.why:
            draft.remark(name, "approximated", each.why)


def _words_of(graph: Graph, inputs: Mapping[str, Any], side: str) -> Found:
    if inputs.get(side):
        return words(graph, inputs[side], side)
    if inputs.get("positive"):
        return Found("")  # guided by the prompt alone
    kind, holder = upstream(graph, _pipe(inputs), side)
    found = words(graph, holder[side], side) if isinstance(holder.get(side), list) else text_at(graph, holder.get(side))
    return Found(found.value, found.why or f"it reaches the sampler through {kind}, and what that does to it is not known here")


def _pipe(inputs: Mapping[str, Any]) -> Any:
    """Return the link by which some samplers are given model and words together."""
    return next((value for key, value in inputs.items() if _PIPE.search(key) and isinstance(value, list)), None)


_SIDES = {"prompt": "positive", "negative_prompt": "negative"}


def _numbers(draft: Draft, graph: Graph, inputs: Mapping[str, Any]) -> None:
    """Take the numbers, each from where it may stand: inputs of a node and their name."""
    latent, size = upstream(graph, inputs.get("latent_image"), "width", "height", "empty_latent_width")
    _, noise = upstream(graph, inputs.get("noise"), "noise_seed", "seed")
    _, sigmas = upstream(graph, inputs.get("sigmas"), "steps")
    places: dict[str, list[tuple[Mapping[str, Any], str]]] = {
        "steps": [(inputs, "steps"), (sigmas, "steps")],
        "guidance_scale": [(inputs, "cfg")],
        "seed": [(inputs, "seed"), (inputs, "noise_seed"), (noise, "noise_seed"), (noise, "seed")],
        "width": [(size, "width"), (size, "empty_latent_width")],
        "height": [(size, "height"), (size, "empty_latent_height")],
    }
    for field, keys in places.items():
        given = next((holder[key] for holder, key in keys if key in holder), None)
        found = number_at(graph, given)
        draft.numbers(**{field: found.value})
        if given is not None and found.value is None:
            draft.remark(field, "missing", "no number that can be read here leads to it")
        elif found.why:
            draft.remark(field, "approximated", found.why)
        elif field in ("width", "height") and size and not _EMPTY.fullmatch(latent):
            draft.remark(field, "approximated", f"it is that of {latent}, and what that does is not known here")
    first, last, steps = (number(inputs.get(key)) for key in ("start_at_step", "end_at_step", "steps"))
    if first or (last is not None and steps is not None and last < steps):
        draft.remark("steps", "approximated", f"this sampler made only those from {first or 0} to {last}")


def _spacing(draft: Draft, graph: Graph, inputs: Mapping[str, Any]) -> None:
    kind, names = upstream(graph, inputs.get("sampler"), "sampler_name")
    spacing, spaced = upstream(graph, inputs.get("sigmas"), "scheduler", "steps")
    sampler = text_at(graph, inputs.get("sampler_name", names.get("sampler_name")))
    schedule = text_at(graph, inputs.get("scheduler", spaced.get("scheduler", _SCHEDULES.get(spacing))))
    if not isinstance(sampler.value, str):
        draft.remark("scheduler", "missing", "the node that names the sampler is not known here", kind)
        return
    draft.sampler(from_k(sampler.value, schedule.value or ""), f"{sampler.value} {schedule.value or spacing}".strip())
    if spacing and "scheduler" not in spaced:
        draft.remark("scheduler", "approximated", f"the noise levels are those of {spacing}, with bounds of its own")
    if why := sampler.why or schedule.why:
        draft.remark("scheduler", "approximated", why)


def _weights(draft: Draft, graph: Graph, link: Any) -> None:
    for node in walk(graph, link):
        inputs = inputs_of(node)
        name = text_at(graph, inputs.get("ckpt_name", inputs.get("unet_name"))).value
        if name and draft.model is None:
            draft.model = Wanted(stem(name))
        # They are met from the last to the first.
        draft.loras[:0] = _loras(graph, node)


def _loras(graph: Graph, node: Mapping[str, Any]) -> Iterator[Wanted]:
    """Yield the LoRAs that a node names: the loaders' one, numbered ones, or {"lora", "strength", "on"}."""
    kind, inputs = kind_of(node), inputs_of(node)
    for key, value in inputs.items():
        numbered = _STACKED.fullmatch(key)
        if isinstance(value, dict) and isinstance(value.get("lora"), str):
            name, keys, given = value["lora"], ("strength", "strengthTwo"), value
            if value.get("on") is False:
                continue
        elif key == "lora_name":
            weight = "strength_model" if "strength_model" in inputs else "lora_model_strength"
            text = "strength_clip" if "strength_clip" in inputs else "lora_clip_strength"
            name, keys, given = text_at(graph, value).value, (weight, text), inputs
        elif numbered and isinstance(value, str):
            if _is_off(inputs, place := numbered[1]):
                continue
            name, keys, given = value, _stacked_weights(inputs, place), inputs
        elif "lora" in key.lower() and isinstance(value, str) and _FILE.fullmatch(value):
            name, keys, given = value, ("", ""), inputs
        else:
            continue
        if stem(name) not in ("", "None"):
            yield _wanted(graph, stem(name), [given.get(each) for each in keys], kind)


def _is_off(inputs: Mapping[str, Any], place: str) -> bool:
    """Whether a stack's entry is switched off, or left over behind its count."""
    count = number(inputs.get("lora_count"))
    return inputs.get(f"switch_{place}") == "Off" or (count is not None and int(place) > count)


def _stacked_weights(inputs: Mapping[str, Any], place: str) -> tuple[str, str]:
    """Return the names of a stack entry's weights, for the U-Net and the text encoder, as the common stacks call them."""
    simple = inputs.get("input_mode") == "simple"
    unet = ("strength", "model_weight", "lora_wt" if simple else "model_str", "lora_wt")
    text = ("clip_weight",) if simple else ("clip_weight", "clip_str")
    found = [next((f"{name}_{place}" for name in names if f"{name}_{place}" in inputs), "") for names in (unet, text)]
    return found[0], found[1]


def _wanted(graph: Graph, name: str, given: list[Any], kind: str) -> Wanted:
    found = [number_at(graph, value) for value in given]
    weight, text = (number(each.value) for each in found)
    unet = 1.0 if weight is None else float(weight)
    if kind == "LoraLoaderModelOnly":
        text = 0
    note = next((each.why for each in found if each.why), "" if weight is not None else f"how strongly {kind} uses it is not known here")
    return Wanted(name, (), unet, None if text is None or float(text) == unet else float(text), note=note)


def _start(draft: Draft, graph: Graph, inputs: Mapping[str, Any]) -> None:
    """Remark on what it began with, where that was not noise alone."""
    denoise = _denoise(graph, inputs).value
    given = any(kind_of(node).startswith(("LoadImage", "VAEEncode")) for node in walk(graph, inputs.get("latent_image")))
    if given or denoise not in (1, None):
        draft.remark("denoise", "missing", "it was made from another picture, which the file does not carry", denoise)


def _others(draft: Draft, graph: Graph) -> None:
    for kind in sorted({kind_of(node) for node in graph.nodes.values()}):
        if "ControlNet" in kind or "T2IAdapter" in kind:
            draft.remark(kind, "missing", "the file does not carry the control picture; give it in the Control section")
        elif not _KNOWN.fullmatch(kind):
            draft.remark(kind, "approximated", _REASONS.get(kind, "what this node does is not known here"))
