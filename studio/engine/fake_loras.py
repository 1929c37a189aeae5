"""LoRAs of the fake model: two that fit it and one of another family, as headers without files."""

import hashlib
from pathlib import Path

from studio.inventory import LoraCard
from studio.loras.header import Header
from studio.loras.layers import Layer
from studio.loras.lineage import Lineage
from studio.loras.verdict import Modules

_KEY, _TEXT = "down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k", "encoder_layers_0_mlp_fc1"
MODULES = Modules({_KEY: (32, 32)}, {_TEXT: (64, 32)})


def _lora(name: str, *, made_for: str, width: int, words: tuple[str, ...] = ()) -> LoraCard:
    layers = tuple(
        Layer(component, module, f"{module}.down", f"{module}.up", ((4, width), (wide, 4)), None, None, False)
        for component, module, wide in (("unet", _KEY, 32), ("text", _TEXT, 64))
    )
    header = Header(layers=layers, dialect="kohya", made_for=Lineage(made_for, width), alpha=4.0, words=words)
    whole, tensors = (hashlib.sha256(f"{name} {part}".encode()).hexdigest() for part in ("whole", "tensors"))
    path = Path("fake", f"{name}.safetensors")
    return LoraCard(name=name, path=path, bytes=1_200_000, header=header, hash=whole, tensor_hash=tensors)


LORAS = (
    _lora("clay", made_for="Stable Diffusion", width=32, words=("clay figure", "soft light")),
    _lora("ink", made_for="Stable Diffusion", width=32),
    _lora("xl-look", made_for="Stable Diffusion XL", width=2048),
)
