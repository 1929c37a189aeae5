"""Low-rank additions to linear layers and convolutions, and the two key formats in which such additions are exchanged."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

RANK = 8
UNET_LAYERS = (
    "to_q", "to_k", "to_v", "to_out.0", "net.0.proj", "net.2", "proj_in", "proj_out", "conv1", "conv2", "conv_shortcut",
)  # fmt: skip
TEXT_LAYERS = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
MEMBERS = ("unet", "text_encoder")
DOWN, UP = ".lora_down.weight", ".lora_up.weight"


class Low(nn.Module):
    """A frozen layer plus `lora_up(lora_down(x))`, which starts at zero."""

    def __init__(self, base: nn.Linear | nn.Conv2d, rank: int) -> None:
        super().__init__()
        self.base = base
        self.lora_down: nn.Module
        self.lora_up: nn.Module
        if isinstance(base, nn.Conv2d):
            self.lora_down = nn.Conv2d(base.in_channels, rank, base.kernel_size, base.stride, base.padding, bias=False)
            self.lora_up = nn.Conv2d(rank, base.out_channels, 1, bias=False)
        else:
            self.lora_down = nn.Linear(base.in_features, rank, bias=False)
            self.lora_up = nn.Linear(rank, base.out_features, bias=False)
        nn.init.zeros_(self.lora_up.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.lora_up(self.lora_down(x))


def adapt(module: nn.Module, layers: tuple[str, ...], rank: int = RANK) -> None:
    """Freeze a module and give every layer whose path ends in one of `layers` a low-rank addition."""
    module.requires_grad_(False)
    ends = tuple(f".{layer}" for layer in layers)
    for path, part in list(module.named_modules()):
        if path.endswith(ends) and isinstance(part, nn.Linear | nn.Conv2d):
            parent, _, name = path.rpartition(".")
            setattr(module.get_submodule(parent), name, Low(part, rank))


def pairs(state: dict[str, Tensor], member: str) -> Iterator[tuple[str, Tensor, Tensor]]:
    """(path inside the member, down, up) of every addition in a state whose keys start with the member's name."""
    for key, down in state.items():
        if key.startswith(f"{member}.") and key.endswith(DOWN):
            path = key.removesuffix(DOWN)
            yield path.removeprefix(f"{member}."), down, state[path + UP]


def kohya_name(member: str, path: str) -> str:
    """kohya's name of a layer, to which ".lora_down.weight" and the like are added."""
    prefix = {"unet": "lora_unet_", "text_encoder": "lora_te_text_model_"}[member]
    return prefix + path.removeprefix("text_model.").replace(".", "_")


def kohya_keys(state: dict[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """kohya's names, with an alpha beside each pair (readers scale by alpha over rank, so `up` is written larger); float16."""
    named: dict[str, Tensor] = {}
    for member in MEMBERS:
        for path, down, up in pairs(state, member):
            name = kohya_name(member, path)
            named[name + DOWN] = down.half().contiguous()
            named[name + UP] = (up * (down.shape[0] / alpha)).half().contiguous()
            named[name + ".alpha"] = torch.tensor(alpha, dtype=torch.float16)
    return named


def peft_keys(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """diffusers' names; no alpha, which means alpha = rank; float16."""
    named: dict[str, Tensor] = {}
    for member in MEMBERS:
        for path, down, up in pairs(state, member):
            named[f"{member}.{path}.lora_A.weight"] = down.half().contiguous()
            named[f"{member}.{path}.lora_B.weight"] = up.half().contiguous()
    return named


def take_over(module: nn.Module, keys: dict[str, Tensor]) -> int:
    """Give the additions in `module` the values of a file's keys, either kind, where the shapes agree; how many layers did."""
    taken = 0
    for place, part in module.named_modules():
        if not isinstance(part, Low):
            continue
        member, _, path = place.partition(".")
        kohya, peft = kohya_name(member, path), f"{member}.{path}"
        down = keys.get(kohya + DOWN, keys.get(f"{peft}.lora_A.weight"))
        up = keys.get(kohya + UP, keys.get(f"{peft}.lora_B.weight"))
        if down is None or up is None or (down.shape, up.shape) != (part.lora_down.weight.shape, part.lora_up.weight.shape):
            continue
        scale = float(keys[kohya + ".alpha"]) / down.shape[0] if kohya + ".alpha" in keys else 1.0
        with torch.no_grad():
            part.lora_down.weight.copy_(down)
            part.lora_up.weight.copy_(up * scale)
        taken += 1
    return taken
