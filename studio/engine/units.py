"""The ControlNet units of a run: what they add to the U-Net's levels at one step."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from studio.engine.controls import Net
from studio.plan import PlannedControl

# Factors of the mode "prompt", deepest last: those of "My prompt is more important" in the A1111 ControlNet extension (soft_injection in
# its scripts/hook.py), which took the first from the ControlNet repository (guess mode: strength * 0.825 ** (12 - i) for 13 outputs).
SOFT_BASE = 0.825
SOFT_ADAPTER = (0.25, 0.62, 0.825, 1.0)


@dataclass(frozen=True)
class Unit:
    """One unit of a run; shared by the run's snapshots, as nothing in it changes.

    Attributes:
        control: the unit as planned.
        net: the resident ControlNet.
        read: what the ControlNet made of the map, for one row.
    """

    control: PlannedControl
    net: Net
    read: tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Rows:
    """What the U-Net gets at one step.

    Attributes:
        sample: (rows, channels, h, w), the negative rows first when guided.
        timestep: 0-d.
        text: (rows, window, width).
        guided: whether half of the rows are negative ones.
    """

    sample: torch.Tensor
    timestep: torch.Tensor
    text: torch.Tensor
    guided: bool

    def positive(self) -> "Rows":
        """Return the rows of the prompt alone."""
        return Rows(self.sample.chunk(2)[1], self.timestep, self.text.chunk(2)[1], guided=False)


def make_unit(control: PlannedControl, net: Net, drawn: Image.Image) -> Unit:
    """Give a resident ControlNet its map, RGB, of the size of the result."""
    weight = next(net.module.parameters())
    with torch.inference_mode():
        channels = net.module.config.in_channels if net.card.architecture == "t2i_adapter" else 3
        return Unit(control, net, net.read(map_tensor(drawn, channels).to(weight.device, weight.dtype)))


def map_tensor(drawn: Image.Image, channels: int = 3) -> torch.Tensor:
    """Return a map as (1, channels, height, width), float32 in 0 .. 1, as diffusers' `control_image_processor` does."""
    pixels = np.asarray(drawn.convert("RGB" if channels == 3 else "L"), np.float32) / 255
    return torch.from_numpy(np.atleast_3d(pixels)).permute(2, 0, 1)[None]


def residuals(units: Sequence[Unit], rows: Rows, *, index: int, total: int) -> dict[str, Any]:
    """Run the units that act at evaluation `index` of `total`, and return what they add as keywords for the U-Net's call.

    Zhang, Rao and Agrawala 2023 (arXiv 2302.05543) for ControlNet, Mou et al. 2023 (arXiv 2302.08453) for T2I-Adapter.
    """
    nets: list[list[torch.Tensor]] = []
    adapters: list[list[torch.Tensor]] = []
    for unit in units:
        if unit.control.acts(index, total):
            controlnet = unit.net.card.architecture == "controlnet"
            (nets if controlnet else adapters).append(_steer(unit, rows) if controlnet else _adapt(unit, rows))
    added: dict[str, Any] = {}
    if nets:
        *added["down_block_additional_residuals"], added["mid_block_additional_residual"] = _sum(nets)
    if adapters:
        added["down_intrablock_additional_residuals"] = _sum(adapters)
    return added


def _steer(unit: Unit, rows: Rows) -> list[torch.Tensor]:
    """Return a ControlNet's outputs, one per residual of the U-Net's encoder and the middle one last."""
    use = unit.control.use
    half = rows.guided and _prompt_rows_only(unit)
    seen = rows.positive() if half else rows
    down, middle = unit.net.module(
        seen.sample,
        seen.timestep,
        encoder_hidden_states=seen.text,
        controlnet_cond=unit.read[0],
        conditioning_scale=use.weight,
        guess_mode=use.mode == "control",
        return_dict=False,
    )
    outputs = [*down, middle]
    if use.mode == "prompt":
        outputs = [output * SOFT_BASE ** (len(outputs) - 1 - i) for i, output in enumerate(outputs)]
    return [torch.cat([torch.zeros_like(output), output]) for output in outputs] if half else outputs


def _adapt(unit: Unit, rows: Rows) -> list[torch.Tensor]:
    """Return an adapter's features, for one row, or for each when the negative rows get none."""
    use = unit.control.use
    count = len(unit.read)
    factors = (SOFT_ADAPTER[:1] * count + SOFT_ADAPTER)[-count:] if use.mode == "prompt" else (1.0,) * count
    # New tensors at every step, as the U-Net may add to them in place.
    outputs = [feature * (use.weight * factor) for feature, factor in zip(unit.read, factors, strict=True)]
    if not (rows.guided and _prompt_rows_only(unit)):
        return outputs
    pictures = len(rows.sample) // 2
    spread = [output.expand(pictures, -1, -1, -1) for output in outputs]
    return [torch.cat([torch.zeros_like(output), output]) for output in spread]


def _prompt_rows_only(unit: Unit) -> bool:
    """Whether negative rows go without: the mode "control" (guess mode), and ControlNets that were trained so."""
    return unit.control.use.mode == "control" or bool(unit.net.module.config.get("global_pool_conditions", False))


def _sum(outputs: Sequence[Sequence[torch.Tensor]]) -> list[torch.Tensor]:
    first, *others = outputs
    total = list(first)
    for other in others:
        total = [left + right for left, right in zip(total, other, strict=True)]
    return total
