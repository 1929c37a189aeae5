"""Training goes on from the committed weights, on any machine: a fresh module takes over every tensor that still has its shape."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

FILES = ("diffusion_pytorch_model.safetensors", "model.safetensors")


def inherit(module: nn.Module, folder: Path) -> int:
    """Copy the weights of a member's folder into `module` where name and shape agree, and say how many did; 0 without such a folder.

    After a change of the architecture the other tensors stay as they were drawn, and what is kept saves most of the time.
    """
    path = next((folder / name for name in FILES if (folder / name).exists()), None)
    if path is None:
        return 0
    own = module.state_dict()
    kept = {name: value for name, value in load_file(path).items() if name in own and own[name].shape == value.shape}
    with torch.no_grad():
        for name, value in kept.items():
            own[name].copy_(value)
    print(f"{folder.name}: {len(kept)} of {len(own)} tensors are the committed ones")
    return len(kept)
