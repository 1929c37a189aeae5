"""The family a LoRA was made for, from the shapes of its layers, else from what its maker wrote."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from studio.families import family_of
from studio.loras.layers import Layer
from studio.loras.safetensors_header import RawHeader

_XL = "Stable Diffusion XL"
_WRITTEN: tuple[tuple[str, str, int | None], ...] = (
    ("xl", _XL, 2048),
    ("flux", "Flux", None),
    ("sd3", "Stable Diffusion 3", None),
    ("stable-diffusion-3", "Stable Diffusion 3", None),
    ("sd_v1", "Stable Diffusion 1.x", 768),
    ("stable-diffusion-v1", "Stable Diffusion 1.x", 768),
    ("sd_v2", "Stable Diffusion 2.x", 1024),
    ("stable-diffusion-v2", "Stable Diffusion 2.x", 1024),
)
"""(what the maker's text contains, label, text width)."""


@dataclass(frozen=True)
class Lineage:
    """`label` is what people read, empty when nothing tells; `width` the width of the text states, where it is known.

    `certain` is whether shapes tell it, not only words.
    """

    label: str
    width: int | None
    certain: bool = True


UNKNOWN = Lineage("", None)


def lineage_of(layers: Sequence[Layer], modules: Collection[tuple[str, str]], raw: RawHeader) -> Lineage:
    """Return the family. `modules` are all (component, name), also of kinds that cannot be applied."""
    components = {component for component, _ in modules}
    if "transformer" in components or any(_is_transformer(name) for _, name in modules):
        return _transformer([name for _, name in modules])
    if components & {"text 2", "text 3"}:
        return Lineage(_XL, 2048)
    width = next(
        (layer.shapes[0][1] for layer in layers if layer.component == "unet" and layer.name.endswith(("attn2_to_k", "attn2_to_v"))), None
    )
    if width is None:
        written = _written(raw.metadata)
        if written.label:
            return written
        width = next((layer.shapes[0][1] for layer in layers if layer.component == "text" and "_proj" in layer.name), None)
    return UNKNOWN if width is None else Lineage(_label(width), width)


def _label(width: int) -> str:
    return _XL if width == 2048 else family_of(width).label


def _is_transformer(name: str) -> bool:
    return any(
        mark in name for mark in ("double_blocks", "single_blocks", "single_transformer_blocks", "joint_blocks", "joint_transformer")
    )


def _transformer(names: Sequence[str]) -> Lineage:
    if any("single_" in name or "double_blocks" in name for name in names):
        return Lineage("Flux", None)
    if any("joint_" in name or "add_k_proj" in name for name in names):
        return Lineage("Stable Diffusion 3", None)
    if any("blocks_0_cross_attn" in name for name in names):
        return Lineage("Wan", None)
    return Lineage("a diffusion transformer", None)


def _written(metadata: Mapping[str, str]) -> Lineage:
    text = f"{metadata.get('ss_base_model_version', '')} {metadata.get('modelspec.architecture', '')}".lower()
    return next((Lineage(label, width, certain=False) for mark, label, width in _WRITTEN if mark in text), UNKNOWN)
