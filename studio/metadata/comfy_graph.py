"""Walking a graph of ComfyUI: what a link leads to, and whether the way there is understood.

A node is {"class_type", "inputs"}, a link [id, output]. Nodes that nobody knows are walked through, and then what is found is only near.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

MAX_NODES = 2000
MAX_LOOKS = 1_000_000
_ZEROED = "ConditioningZeroOut"
# Hold one value and hand it on as it is.
_HOLDERS = re.compile(
    r"Primitive\w*|Reroute|(?:String|Int|Float|Seed)(?: ?Literal| ?Constant)?|(?:STRING|INT|FLOAT)Constant|StringConstantMultiline"
    r"|Text Multiline|Seed \(rgthree\)"
)
_ENCODERS = re.compile(r"CLIPTextEncode(?:SDXL|SDXLRefiner|Flux|SD3)?")
# Hand words on as they are; what else they do is remarked on by their names.
_PASSING = re.compile(r"ControlNetApply\w*|T2IAdapter\w*|FluxGuidance|Reroute")
_TEXTS = ("populated_text", "text", "text_g", "t5xxl", "clip_g", "text_l", "clip_l", "string", "prompt", "value")
_NUMBERS = ("value", "seed", "noise_seed", "int", "float", "number")


class Graph:
    """The first `MAX_NODES` nodes by their ids, and how many inputs may still be looked at on the ways through them.

    Every question walks through all that leads to a link, so in a forged graph, where much leads to much, many of them would never end.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        """Pass over what is no node."""
        self.nodes: Mapping[str, Mapping[str, Any]] = {key: node for key, node in islice(data.items(), MAX_NODES) if isinstance(node, dict)}
        self.left = MAX_LOOKS


@dataclass(frozen=True)
class Found:
    """What a link leads to, None where nothing does, and why that is only near; empty where it is that."""

    value: Any
    why: str = ""


def inputs_of(node: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a node's inputs."""
    found = node.get("inputs") if node else None
    return found if isinstance(found, dict) else {}


def kind_of(node: Mapping[str, Any] | None) -> str:
    """Return a node's class, shortened."""
    return str(node.get("class_type"))[:60] if node else ""


def target(graph: Graph, link: Any) -> Mapping[str, Any] | None:
    """Return the node that a link names."""
    whole = isinstance(link, list) and len(link) == 2 and isinstance(link[0], str | int)
    return graph.nodes.get(str(link[0])) if whole else None


def walk(graph: Graph, link: Any, *, stop: str = "") -> Iterator[Mapping[str, Any]]:
    """Yield the nodes that lead to a link, the nearest first, each once, while the graph has looks left.

    Past nodes of the class `stop` it does not go.
    """
    waiting, seen = [link], set[str]()
    for at in waiting:
        node = target(graph, at)
        if node is None or str(at[0]) in seen:
            continue
        graph.left -= 1 + len(inputs_of(node))
        if graph.left < 0:
            return
        seen.add(str(at[0]))
        yield node
        if not stop or kind_of(node) != stop:
            waiting.extend(value for value in inputs_of(node).values() if isinstance(value, list))


def upstream(graph: Graph, link: Any, *names: str) -> tuple[str, dict[str, Any]]:
    """Return class and inputs of the nearest node before a link that has one of these inputs; nothing where none has."""
    for node in walk(graph, link):
        inputs = inputs_of(node)
        if any(name in inputs for name in names):
            return kind_of(node), inputs
    return "", {}


def number_at(graph: Graph, value: Any) -> Found:
    """Follow an input to its number."""
    return _held(graph, value, _NUMBERS, int | float | str)


def text_at(graph: Graph, value: Any) -> Found:
    """Follow an input to its text."""
    return _held(graph, value, _TEXTS, str)


def _held(graph: Graph, value: Any, names: tuple[str, ...], kinds: Any) -> Found:
    if not isinstance(value, list):
        return Found(value if isinstance(value, kinds) else None)
    strange = ""
    for node in walk(graph, value):
        if not strange and not _HOLDERS.fullmatch(kind_of(node)):
            strange = f"it comes through {kind_of(node)}, and what that does is not known here"
        for name in names:
            if isinstance(found := inputs_of(node).get(name), kinds):
                return Found(found, strange)
    return Found(None)


def words(graph: Graph, link: Any, side: str) -> Found:
    """Return the words that lead to a sampler's `side`, "positive" or "negative"."""
    why = ""
    for _ in range(MAX_NODES):
        node = target(graph, link)
        kind, inputs = kind_of(node), inputs_of(node)
        if kind == _ZEROED:
            return Found("", "its conditioning is zeroed there, and an empty text, which is taken for it, is not the same")
        if _ENCODERS.fullmatch(kind):
            found = _encoded(graph, inputs)
            return Found(found.value, why or found.why)
        passing = bool(_PASSING.fullmatch(kind))
        why = why if passing or why else f"it reaches the sampler through {kind}, and what that does to it is not known here"
        # A node that hands on both kinds of words has them at its first two outputs.
        if all(isinstance(inputs.get(each), list) for each in ("positive", "negative")):
            link = inputs[{0: "positive", 1: "negative"}.get(link[1], side) if isinstance(link[1], int) else side]
        elif passing:
            link = _only_link(inputs)
        else:
            return _behind(graph, link, side, why)
    return Found(None)


def _only_link(inputs: Mapping[str, Any]) -> Any:
    return next((inputs[key] for key in ("conditioning", "positive", "") if isinstance(inputs.get(key), list)), None)


def _encoded(graph: Graph, inputs: Mapping[str, Any]) -> Found:
    """Return what an encoder is given: one text, or one for each of the model's text encoders."""
    given = [text_at(graph, inputs[name]) for name in _TEXTS if name in inputs]
    texts = [found for found in given if isinstance(found.value, str)]
    first = next((found for found in texts if found.value), texts[0] if texts else Found(None))
    if len({found.value for found in texts}) > 1:
        return Found(first.value, "each text encoder has its own text there, and one of them is taken for all")
    return Found(first.value, next((found.why for found in given if found.why), ""))


def _behind(graph: Graph, link: Any, side: str, why: str) -> Found:
    """Return the words behind a node that is not known, or that mixes them."""
    for node in walk(graph, link, stop=_ZEROED):
        inputs = inputs_of(node)
        if isinstance(inputs.get(side), str):
            return Found(inputs[side], why)
        found = next((found for name in _TEXTS if isinstance((found := text_at(graph, inputs.get(name))).value, str)), None)
        if found:
            return Found(found.value, why)
    return Found(None)
