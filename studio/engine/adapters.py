"""LoRAs on a loaded model: read once, kept, and hung beside its modules while a run needs them. No weight of the model ever changes."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional

from studio.engine.devices import Placement, memory_explained
from studio.errors import BadLora, StudioError
from studio.inventory import LoraCard
from studio.lora_plan import PlannedLora
from studio.loras.header import read_header
from studio.loras.keys import canonical
from studio.loras.layers import Layer
from studio.loras.verdict import Modules, fitting
from studio.ports import Progress

# A LoRA of rank 32 for Stable Diffusion 1.5 takes 38 MB in half precision, so about two dozen of them stay.
RESIDENT_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Branch:
    """What one layer adds to its module's answer: scale x up(down(x)). Hu et al. 2021, arXiv 2106.09685."""

    down: Tensor
    up: Tensor
    scale: float


@dataclass(frozen=True, eq=False)
class Adapter:
    """A LoRA in memory: its branches by module, for the U-Net and for the text encoder."""

    card: LoraCard
    unet: Mapping[str, Branch]
    text: Mapping[str, Branch]

    @property
    def bytes(self) -> int:
        """What it takes on the device."""
        return sum(branch.down.nbytes + branch.up.nbytes for part in (self.unet, self.text) for branch in part.values())


Chosen = tuple[tuple[Mapping[str, Branch], float], ...]
"""Branches by module, with the weight they count; () leaves a component as it is."""


@dataclass(frozen=True)
class Selection:
    """What a run hangs on the two components; `key` tells sets of text branches apart."""

    unet: Chosen
    text: Chosen
    key: tuple[object, ...]


NO_LORAS = Selection((), (), ())


class Hooks:
    """Hangs branches on the modules of one component, which keeps its own weights and, without branches, its own arithmetic."""

    def __init__(self, component: str, root: nn.Module) -> None:
        found = ((name, module) for name, module in root.named_modules() if isinstance(module, nn.Linear | nn.Conv2d))
        self._modules = {canonical(component, name): module for name, module in found}
        self._chosen: Chosen = ()
        self._handles: list[Any] = []

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the weights, by canonical name."""
        return {name: tuple(module.weight.shape) for name, module in self._modules.items()}

    def weight(self, name: str) -> Tensor:
        """Return a module's weight."""
        weight: Tensor = self._modules[name].weight
        return weight

    def hang(self, chosen: Chosen) -> None:
        """Take off what hangs there and hang these; what hangs already stays."""
        if len(chosen) == len(self._chosen) and all(a is c and b == d for (a, b), (c, d) in zip(chosen, self._chosen, strict=True)):
            return
        while self._handles:
            self._handles.pop().remove()
        self._chosen = ()
        for name in dict.fromkeys(name for branches, _ in chosen for name in branches):
            added = [(branches[name], weight * branches[name].scale) for branches, weight in chosen if name in branches]
            self._handles.append(self._modules[name].register_forward_hook(_adding(added)))
        self._chosen = chosen


class Adapters:
    """The LoRAs of one loaded model. They are kept as long as they fit into `RESIDENT_BYTES`, those used last the longest."""

    def __init__(self, unet: nn.Module, text: nn.Module, placement: Placement) -> None:
        self.unet, self.text = Hooks("unet", unet), Hooks("text", text)
        self._placement = placement
        self._kept: OrderedDict[tuple[object, ...], Adapter] = OrderedDict()

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._kept)

    def make_ready(self, planned: Sequence[PlannedLora], progress: Progress) -> None:
        """Read what is not there yet; LoRAs that do not count are passed over.

        Raises:
            BadLora: a file changed since it was looked at, is damaged, or would change nothing; all else stays as it was.
            OutOfMemory: the device has no room.
        """
        wanted = [lora.card for lora in planned if lora.weight or lora.text_encoder_weight]
        for i, card in enumerate(wanted):
            if _key(card) not in self._kept:
                progress(i / len(wanted), f"reading the LoRA {card.name}")
                with memory_explained(self._placement.device, doing=f"loading {card.name}"):
                    self._kept[_key(card)] = self._read(card)
            self._kept.move_to_end(_key(card))
        held = sum(adapter.bytes for adapter in self._kept.values())
        while held > RESIDENT_BYTES and len(self._kept) > len(wanted):
            held -= self._kept.popitem(last=False)[1].bytes

    def free_but(self, planned: Sequence[PlannedLora]) -> bool:
        """Forget all but those of `planned`; whether there were any."""
        others = self._kept.keys() - {_key(lora.card) for lora in planned}
        for key in others:
            del self._kept[key]
        # What hangs on the modules would be held by them.
        for hooks in (self.unet, self.text):
            hooks.hang(())
        return bool(others)

    def select(self, planned: Sequence[PlannedLora]) -> Selection:
        """Return what a run of these LoRAs hangs on the components.

        Raises:
            StudioError: one was not made ready.
        """
        unet, text, key = [], [], []
        for lora in planned:
            adapter = self._kept.get(_key(lora.card))
            if adapter is None and (lora.weight or lora.text_encoder_weight):
                raise StudioError(f"The LoRA {lora.card.name} is not loaded; load it first.")
            if adapter and adapter.unet and lora.weight:
                unet.append((adapter.unet, lora.weight))
            if adapter and adapter.text and lora.text_encoder_weight:
                text.append((adapter.text, lora.text_encoder_weight))
                key.append((*_key(lora.card), lora.text_encoder_weight))
        return Selection(tuple(unet), tuple(text), tuple(key))

    def _read(self, card: LoraCard) -> Adapter:
        header = read_header(card.path)
        if (card.changed, card.bytes) != ((stat := card.path.stat()).st_mtime_ns, stat.st_size):
            raise BadLora(f"The file of {card.name} changed just now; press Generate again.")
        layers = fitting(header.layers, Modules(self.unet.shapes(), self.text.shapes()))
        if not layers:
            raise BadLora(
                f"None of the {len(header.layers)} modules of {card.name} is in this model, so it would change nothing; take it out."
            )
        parts: dict[str, dict[str, Branch]] = {"unet": {}, "text": {}}
        try:
            with safe_open(card.path, framework="pt", device="cpu") as file:
                for layer in layers:
                    hooks = self.unet if layer.component == "unet" else self.text
                    parts[layer.component][layer.name] = _branch(file, layer, hooks.weight(layer.name), name=card.name)
        except (SafetensorError, OSError) as error:
            raise BadLora(f"{card.path.name} cannot be used: it is damaged; fetch the file again.") from error
        return Adapter(card, parts["unet"], parts["text"])


def _key(card: LoraCard) -> tuple[object, ...]:
    return card.path, card.changed, card.bytes, card.settings


def _branch(file: Any, layer: Layer, like: Tensor, *, name: str) -> Branch:
    """Read one layer in the number format and on the device of the weight it goes with."""
    down, up = (_finite(file.get_tensor(key).to(like.device, like.dtype), name) for key in (layer.down, layer.up))
    if like.ndim == 4:
        down, up = (matrix if matrix.ndim == 4 else matrix[:, :, None, None] for matrix in (down, up))
    else:
        down, up = down.flatten(1), up.flatten(1)
    alpha = float(layer.rank) if layer.usual is None else layer.usual
    if layer.alpha is not None:
        values = _finite(file.get_tensor(layer.alpha).float().flatten(), name)
        if len(values) != 1:
            raise BadLora(f"{name} cannot be used: its alpha is no single number; fetch the file again.")
        alpha = float(values[0])
    return Branch(down.contiguous(), up.contiguous(), alpha / (layer.rank**0.5 if layer.rooted else layer.rank))


def _finite(values: Tensor, name: str) -> Tensor:
    if not bool(torch.isfinite(values).all()):
        raise BadLora(f"{name} cannot be used: it holds numbers that are not finite; fetch another version of it.")
    return values


def _adding(branches: Sequence[tuple[Branch, float]]) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
    """Return a forward hook that adds the branches to a module's answer."""

    def add(module: nn.Module, given: tuple[Tensor, ...], answer: Tensor) -> Tensor:
        for branch, scale in branches:
            if isinstance(module, nn.Conv2d):
                low = functional.conv2d(given[0], branch.down, None, module.stride, module.padding, module.dilation)
                answer = answer + functional.conv2d(low, branch.up) * scale
            else:
                answer = answer + functional.linear(functional.linear(given[0], branch.down), branch.up) * scale
        return answer

    return add
