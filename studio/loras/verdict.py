"""Whether a LoRA fits a model, said before anything is loaded, and which layer goes to which module when it is."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from studio.loras.header import Header
from studio.loras.keys import canonical
from studio.loras.layers import Layer
from studio.loras.safetensors_header import RawHeader

Shapes = Mapping[str, tuple[int, ...]]
COMPONENTS: Mapping[str, str] = {"unet": "U-Net", "text": "text encoder"}
_LINEAR_TEXT = ("_q_proj", "_k_proj", "_v_proj", "_out_proj", "_fc1", "_fc2")


@dataclass(frozen=True)
class Modules:
    """Shapes of the weights that LoRAs can change, (out, in) or (out, in, height, width), by canonical name."""

    unet: Shapes
    text: Shapes

    def of(self, component: str) -> Shapes:
        """Return the modules of `unet` or `text`; there are none of others."""
        return {"unet": self.unet, "text": self.text}.get(component, {})


@dataclass(frozen=True)
class Host:
    """A model, as a LoRA sees it. `modules` is None where they could not be read."""

    name: str
    family: str
    width: int
    modules: Modules | None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How a LoRA fits a model.

    Attributes:
        state: `fits`, `partly`, `unsure` (the model's weights could not be looked at), or why it is refused: `family`, `keys`
            (none is known), `nothing` (no module is in the model), `kind` (of a kind that cannot be applied).
        sentence: the same for a person.
        counts: (modules in the model, modules in the file) by component.
    """

    state: Literal["fits", "partly", "unsure", "family", "keys", "nothing", "kind"]
    sentence: str
    counts: Mapping[str, tuple[int, int]]

    @property
    def usable(self) -> bool:
        """Whether a run with it may begin."""
        return self.state in ("fits", "partly", "unsure")


def unet_shapes(raw: RawHeader) -> Shapes:
    """Return what LoRAs can change of a U-Net, from the header of its weights."""
    weights = ((key.removesuffix(".weight"), tensor.shape) for key, tensor in raw.tensors.items() if key.endswith(".weight"))
    return {canonical("unet", module): shape for module, shape in weights if len(shape) in (2, 4)}


def text_shapes(raw: RawHeader) -> Shapes:
    """Return what LoRAs can change of a CLIP text encoder, from the header of its weights."""
    weights = (
        (canonical("text", key.removesuffix(".weight")), tensor.shape) for key, tensor in raw.tensors.items() if key.endswith(".weight")
    )
    return {name: shape for name, shape in weights if name.endswith(_LINEAR_TEXT)}


def fitting(layers: Sequence[Layer], modules: Modules) -> list[Layer]:
    """Return the layers whose module is in the model, with shapes that fit."""
    return [layer for layer in layers if _fits(layer, modules.of(layer.component).get(layer.name))]


def judge(name: str, header: Header | None, host: Host) -> Verdict:
    """Say whether the LoRA `name` fits a model."""
    if header is None:
        return Verdict(state="unsure", sentence=f"{name} was not looked at.", counts={})
    total = Counter(layer.component for layer in header.layers)
    if not header.layers:
        return _no_layers(name, header)
    made = header.made_for
    foreign = bool(made.label) and made.width != host.width
    if host.modules is None and not (foreign and made.certain):
        counts = {component: (count, count) for component, count in total.items()}
        return Verdict(state="unsure", sentence=f"The weights of {host.name} could not be looked at.", counts=counts)
    applied = Counter(layer.component for layer in fitting(header.layers, host.modules)) if host.modules else Counter[str]()
    counts = {component: (applied[component], count) for component, count in total.items()}
    if foreign and (made.certain or not applied):
        # The families share names and even shapes of some modules, so part of a foreign file would apply, to no good.
        return Verdict(state="family", sentence=_other_family(name, header, host), counts=counts)
    if not applied:
        return Verdict(state="nothing", sentence=_nothing(name, header, host), counts=counts)
    if applied.total() < total.total() or header.kinds or header.unknown_count:
        return Verdict(state="partly", sentence=_partly(name, header, host, counts), counts=counts)
    return Verdict(state="fits", sentence=f"Fits {host.name}: applies to {told(counts)}.", counts=counts)


def told(counts: Mapping[str, tuple[int, int]]) -> str:
    """Say such as "32 of 32 modules of the U-Net and 4 of 4 of the text encoder"."""
    parts = [
        f"{applied} of {total} in the {COMPONENTS.get(component, component)}"
        for component, (applied, total) in sorted(counts.items(), reverse=True)
    ]
    return "modules: " + " and ".join(parts)


def doubts(name: str, header: Header | None) -> str:
    """Say why a LoRA may look different here from where it was made, in a sentence each; empty where nothing is known against it."""
    if header is None:
        return ""
    said = [f"{name} is a DoRA; its scales are left out, so it looks different from where they are used."] if header.dora else []
    # All other writers put alpha into the file, or mean the rank.
    if header.dialect == "peft" and header.alpha is None:
        said.append(f"{name} does not say how strong it was meant; put the adapter_config.json that came with it beside it.")
    return " ".join(said)


def _no_layers(name: str, header: Header) -> Verdict:
    if header.kinds:
        kind = next(iter(header.kinds))
        sentence = f"{name} is of the kind {kind}, which cannot be applied here; use a plain LoRA or LoCon of it."
        return Verdict(state="kind", sentence=sentence, counts={})
    first = header.unknown[0][:60] if header.unknown else ""
    return Verdict(state="keys", sentence=f"{name} holds no keys of a LoRA (its first is {first!r}); use another file.", counts={})


def _other_family(name: str, header: Header, host: Host) -> str:
    made = header.made_for
    made_for = f"{made.label} (text width {made.width})" if made.width else made.label
    return (
        f"{name} was made for {made_for}, and {host.name} is {host.family} (text width {host.width}); "
        "choose a model of its family or another LoRA."
    )


def _nothing(name: str, header: Header, host: Host) -> str:
    return (
        f"None of the {len(header.layers)} modules of {name}, such as {header.layers[0].name[:80]}, fits one of {host.name}, "
        "so it would change nothing; choose another LoRA."
    )


def _partly(name: str, header: Header, host: Host, counts: Mapping[str, tuple[int, int]]) -> str:
    left: list[str] = []
    if host.modules is not None:
        applied = set(fitting(header.layers, host.modules))
        left += [layer.name for layer in header.layers if layer not in applied][:1]
    left += [f"its {kind} part" for kind in header.kinds] + list(header.unknown[:1])
    return f"{name} applies only in part to {host.name} ({told(counts)}); left out is such as {left[0][:80]}."


def _fits(layer: Layer, shape: tuple[int, ...] | None) -> bool:
    if shape is None:
        return False
    down, up = layer.shapes
    # A linear pair fits a 1 x 1 convolution, and the other way round.
    kernel = down[2:] or (1, 1)
    return (up[0], down[1]) == shape[:2] and kernel == (shape[2:] or (1, 1))
