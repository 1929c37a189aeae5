"""ControlNets and T2I-Adapters as resident modules: read once, shared between runs, freed when there are too many."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from diffusers import ControlNetModel, T2IAdapter

from studio.engine.checks import inspect_weights, stamp_of
from studio.engine.devices import memory_explained, release, with_room
from studio.engine.loader import Model, quiet, read_module
from studio.errors import BrokenModel, StudioError
from studio.inventory import ControlNetCard, UnetShape
from studio.ports import Progress
from studio.stamps import Stamp

STEM = "diffusion_pytorch_model"
KEPT = 8
KEPT_BYTES = 4 * 2**30
CLASSES = {"controlnet": ControlNetModel, "t2i_adapter": T2IAdapter}


@dataclass(frozen=True)
class Net:
    """A ControlNet or T2I-Adapter in memory. Runs share it and change nothing of it.

    Attributes:
        card: what was read.
        module: a `ControlNetModel` that takes maps as `reader` embeds them, or a `T2IAdapter`.
        reader: what turns a map into what the steps use; it sees neither step nor latents, so it runs once a run.
        bytes: size of the weights in memory.
        stamp: its files as they were when it was read.
    """

    card: ControlNetCard
    module: Any
    reader: Any
    bytes: int
    stamp: Stamp

    def read(self, map_: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return, from a (1, 3, height, width) map in 0 .. 1, the embedded map of a ControlNet or the features of an adapter."""
        if self.card.architecture == "t2i_adapter":
            return tuple(self.reader(map_))
        if self.module.config.controlnet_conditioning_channel_order == "bgr":
            # Its forward pass flips the channels of what it gets, so they are flipped beforehand.
            return (self.reader(map_.flip(1)).flip(1),)
        return (self.reader(map_),)


class Resident:
    """The ControlNets in memory, the one not used for longest first."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._nets: dict[ControlNetCard, Net] = {}

    def __len__(self) -> int:
        return len(self._nets)

    def make_ready(self, cards: Sequence[ControlNetCard], model: Model, progress: Progress) -> None:
        """Read those of `cards` that are not here yet, or whose files were written since, and free old ones beyond what is kept.

        Raises:
            BrokenModel: a file is missing, truncated, pickled or does not fit its config or the model; the sentence names it.
            OutOfMemory: the device has no room, even without the others.
        """
        wanted = list(dict.fromkeys(cards))
        self._free([card for card in wanted if card in self._nets and self._nets[card].stamp != stamp_of(card.path)])
        for i, card in enumerate(wanted):
            if card.architecture == "t2i_adapter":
                _check_blocks(card, model)  # one that is here may have been read for another model
            if card not in self._nets:
                progress(i / len(wanted), f"reading the ControlNet {card.name}")
                self._nets[card] = with_room(partial(read_net, card, model), partial(self.free_but, wanted))
            self._nets[card] = self._nets.pop(card)
        self._trim(wanted)

    def net(self, card: ControlNetCard) -> Net:
        """Return a ControlNet that was made ready.

        Raises:
            StudioError: it was not.
        """
        if card not in self._nets:
            raise StudioError(f"The ControlNet {card.name} is not loaded; prepare the plan first.")
        return self._nets[card]

    def keep_for(self, unet: UnetShape) -> None:
        """Free those that do not fit a U-Net."""
        self._free([card for card in self._nets if card.misfit(unet)])

    def keep_in(self, dtype: torch.dtype) -> None:
        """Free those in another number format."""
        self._free([card for card, net in self._nets.items() if net.module.dtype != dtype])

    def free_but(self, wanted: Sequence[ControlNetCard] = ()) -> bool:
        """Free all but those of `wanted`; whether there were any."""
        others = [held for held in self._nets if held not in wanted]
        self._free(others)
        return bool(others)

    def _trim(self, wanted: Sequence[ControlNetCard]) -> None:
        for card in [held for held in self._nets if held not in wanted]:
            if len(self._nets) > KEPT or sum(net.bytes for net in self._nets.values()) > KEPT_BYTES:
                self._free([card])

    def _free(self, cards: Sequence[ControlNetCard]) -> None:
        for card in cards:
            del self._nets[card]
        if cards:
            release(self._device)


def read_net(card: ControlNetCard, model: Model) -> Net:
    """Read a ControlNet to where the model is, in the number format of its U-Net.

    Raises:
        BrokenModel: a file is missing, truncated, pickled or does not fit its config or the model; the sentence names it.
        OutOfMemory: the device has no room.
    """
    found = stamp_of(card.path)
    weights = inspect_weights(card.name, card.path, stem=STEM)
    placement = model.placement
    with memory_explained(placement.device, doing=f"loading {card.name}"), quiet():
        module = read_module(card.name, weights, CLASSES[card.architecture])
        module = module.to(placement.device, placement.dtype)
    size = sum(weight.numel() * weight.element_size() for weight in module.parameters())
    if card.architecture == "t2i_adapter":
        return Net(card, module, module, size, found)
    reader, module.controlnet_cond_embedding = module.controlnet_cond_embedding, torch.nn.Identity()
    return Net(card, module, reader, size, found)


def _check_blocks(card: ControlNetCard, model: Model) -> None:
    """An adapter's features are as large as each level before it is halved; plain blocks add them after."""
    plain = [block for block in model.unet.down_blocks[:-1] if not getattr(block, "has_cross_attention", False)]
    if plain:
        raise BrokenModel(
            f"{card.name} cannot be used: a T2I-Adapter needs text attention on all levels but the last, which {model.card.name} has not."
        )
