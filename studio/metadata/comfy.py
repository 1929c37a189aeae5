"""Pictures of ComfyUI, as well as can be: the graph of nodes as PNG text `prompt`, {id: {"class_type", "inputs"}}.

Source: ComfyUI's API format; a link is [id, output]. A sampler is found, then what leads to it: texts, latent size, model and LoRAs.
Nodes that nobody knows are walked through along their links, and what is not understood is remarked on.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from studio.metadata.json_text import objects
from studio.metadata.reading import Draft, Reading, Wanted, number, stem
from studio.metadata.samplers import from_k

Graph = Mapping[str, Any]
_MAX_NODES = 2000
_KNOWN = re.compile(
    r"KSampler|CLIPTextEncode|Empty.*Latent|Checkpoint|LoraLoader|VAE|SaveImage|PreviewImage|UNETLoader|CLIPLoader|DualCLIP|Primitive|Note"
    r"|RandomNoise|Guider|SamplerCustom|BasicScheduler|KarrasScheduler"
)


def recognised(text: str) -> bool:
    """Whether a text is such a graph."""
    data = objects(text)
    return bool(data) and all(isinstance(node, dict) for node in data.values()) and any("class_type" in node for node in data.values())


def read(text: str) -> Reading:
    """Read a graph."""
    graph = {key: node for key, node in list(objects(text).items())[:_MAX_NODES] if isinstance(node, dict)}
    draft = Draft()
    sampler = _sampler(graph)
    inputs = _inputs(sampler)
    if not sampler:
        draft.remark("graph", "missing", "no sampler that is known here stands in it")
    positive, negative = inputs.get("positive"), inputs.get("negative")
    if guider := _upstream(graph, inputs.get("guider"), "cfg", "conditioning"):
        positive, negative = guider.get("positive", guider.get("conditioning")), guider.get("negative")
        inputs = {**guider, **inputs}
    draft.texts(_text(graph, positive), _text(graph, negative))
    for holder, keys in _parts(graph, inputs).items():
        draft.numbers(**{holder: next((_value(graph, node[key]) for node, key in keys if key in node), None)})
    _spacing(draft, graph, inputs)
    _weights(draft, graph, inputs.get("model"))
    _others(draft, graph, inputs)
    draft.other_noise("ComfyUI")
    return draft.reading("ComfyUI")


def _inputs(node: Mapping[str, Any] | None) -> dict[str, Any]:
    found = node.get("inputs") if node else None
    return found if isinstance(found, dict) else {}


def _sampler(graph: Graph) -> Mapping[str, Any] | None:
    """Return the first sampler that starts from noise, else the first."""
    found = [node for node in graph.values() if "Sampler" in str(node.get("class_type")) and "latent_image" in _inputs(node)]
    whole = [node for node in found if number(_inputs(node).get("denoise", 1)) == 1]
    return next(iter([*whole, *found]), None)


def _walk(graph: Graph, link: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the nodes that lead to a link, the nearest first, each once."""
    waiting, seen = [link], set[str]()
    while waiting:
        at = waiting.pop(0)
        key = str(at[0]) if isinstance(at, list) and len(at) == 2 and isinstance(at[0], str | int) else ""
        if key in seen or key not in graph:
            continue
        seen.add(key)
        yield graph[key]
        waiting.extend(value for value in _inputs(graph[key]).values() if isinstance(value, list))


def _upstream(graph: Graph, link: Any, *names: str) -> dict[str, Any]:
    """Return the inputs of the nearest node before a link that has one of these inputs."""
    return next((inputs for node in _walk(graph, link) if any(name in (inputs := _inputs(node)) for name in names)), {})


def _value(graph: Graph, value: Any) -> Any:
    """Follow a link to the number or text that a primitive node holds."""
    if not isinstance(value, list):
        return value
    for node in _walk(graph, value):
        for name in ("value", "seed", "noise_seed", "int", "float", "text", "string"):
            if isinstance(found := _inputs(node).get(name), int | float | str):
                return found
    return None


def _text(graph: Graph, link: Any) -> str:
    """Return the words that lead to a link; a node that passes both kinds of words on has them at its first two outputs."""
    for _ in range(_MAX_NODES):
        node = graph.get(str(link[0])) if isinstance(link, list) and len(link) == 2 else None
        inputs = _inputs(node)
        if not {"positive", "negative"} <= inputs.keys():
            break
        link = inputs["negative" if link[1] == 1 else "positive"]
    for node in _walk(graph, link):
        inputs = _inputs(node)
        for name in ("text", "text_g", "text_l", "string", "prompt"):
            if isinstance(found := _value(graph, inputs.get(name)), str):
                return found
    return ""


def _parts(graph: Graph, inputs: dict[str, Any]) -> dict[str, list[tuple[dict[str, Any], str]]]:
    """Return where each number may stand: (inputs of a node, their name)."""
    latent = _upstream(graph, inputs.get("latent_image"), "width", "height")
    noise = _upstream(graph, inputs.get("noise"), "noise_seed", "seed")
    sigmas = _upstream(graph, inputs.get("sigmas"), "steps")
    return {
        "steps": [(inputs, "steps"), (sigmas, "steps")],
        "guidance_scale": [(inputs, "cfg")],
        "seed": [(inputs, "seed"), (inputs, "noise_seed"), (noise, "noise_seed"), (noise, "seed")],
        "width": [(latent, "width")],
        "height": [(latent, "height")],
    }


def _spacing(draft: Draft, graph: Graph, inputs: Mapping[str, Any]) -> None:
    names = _upstream(graph, inputs.get("sampler"), "sampler_name")
    spaced = _upstream(graph, inputs.get("sigmas"), "scheduler")
    sampler = _value(graph, inputs.get("sampler_name", names.get("sampler_name")))
    schedule = _value(graph, inputs.get("scheduler", spaced.get("scheduler")))
    if isinstance(sampler, str):
        schedule = schedule if isinstance(schedule, str) else ""
        draft.sampler(from_k(sampler, schedule), f"{sampler} {schedule}")


def _weights(draft: Draft, graph: Graph, link: Any) -> None:
    for node in _walk(graph, link):
        inputs = _inputs(node)
        name = inputs.get("ckpt_name", inputs.get("unet_name"))
        if isinstance(name, str) and draft.model is None:
            draft.model = Wanted(stem(name))
        if isinstance(lora := inputs.get("lora_name"), str) and stem(lora) not in ("", "None"):
            weight, text = (number(_value(graph, inputs.get(key))) for key in ("strength_model", "strength_clip"))
            unet = 1.0 if weight is None else float(weight)
            # They are met from the last to the first.
            draft.loras.insert(0, Wanted(stem(lora), (), unet, None if text is None or float(text) == unet else float(text)))


def _others(draft: Draft, graph: Graph, inputs: Mapping[str, Any]) -> None:
    if number(inputs.get("denoise", 1)) not in (1, None):
        draft.remark("denoise", "missing", "it was made from another picture, which the file does not carry", inputs["denoise"])
    kinds = {str(node.get("class_type"))[:60] for node in graph.values()}
    samplers = sum("Sampler" in str(node.get("class_type")) and "latent_image" in _inputs(node) for node in graph.values())
    if samplers > 1:
        draft.remark("samplers", "approximated", "only the first of them is taken over", samplers)
    for kind in sorted(kinds):
        if "ControlNet" in kind or "T2IAdapter" in kind:
            draft.remark(kind, "missing", "the file does not carry the control picture; give it in the Control section")
        elif not _KNOWN.search(kind):
            draft.remark(kind, "approximated", "what this node does is not known here")
