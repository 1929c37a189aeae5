"""The layers of a LoRA: pairs of matrices, their module, and the scale their makers meant."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from studio.errors import BadLora
from studio.loras.keys import canonical
from studio.loras.safetensors_header import FLOATS, WHOLE, RawHeader, Tensor

MAX_RANK = 4096
PEFT_SETTINGS = "lora_adapter_metadata"


@dataclass(frozen=True)
class Layer:
    """A pair of matrices that change one module by scale x up x down.

    Attributes:
        component: `unet`, `text`, or what no model here has.
        name: the module, as `keys.canonical` writes it.
        down, up: keys of the two tensors; `shapes` are theirs, (rank, in, ...) and (out, rank, ...).
        alpha: key of the tensor that holds alpha; None: `usual` counts.
        usual: alpha of a layer without a tensor for it; None: its rank.
        rooted: whether the scale is alpha / sqrt(rank) (rsLoRA, arXiv 2312.03732) rather than alpha / rank (arXiv 2106.09685).
    """

    component: str
    name: str
    down: str
    up: str
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    alpha: str | None
    usual: float | None
    rooted: bool

    @property
    def rank(self) -> int:
        """How many directions the layer adds."""
        return self.shapes[0][0]


def make_layer(raw: RawHeader, place: tuple[str, str], roles: Mapping[str, str], *, name: str) -> Layer:
    """Put a layer together from the keys of its roles; `place` is (component, module).

    Raises:
        BadLora: the matrices have whole numbers, or shapes that cannot belong together.
    """
    component, module = place
    down, up = raw.tensors[roles["down"]], raw.tensors[roles["up"]]
    # diffusers' conversion to kohya's keys writes alpha, which is the rank there, as a whole number.
    for role, good in (("down", FLOATS), ("up", FLOATS), ("alpha", FLOATS + WHOLE)):
        key = roles.get(role)
        if key and raw.tensors[key].dtype not in good:
            raise BadLora(f"{name} cannot be used: {key[:80]!r} holds {raw.tensors[key].dtype} numbers, no weights; fetch another version.")
    if not _belong_together(down, up):
        shapes = f"{list(down.shape)} and {list(up.shape)}"
        raise BadLora(f"{name} cannot be used: the shapes {shapes} of {roles['down'][:80]!r} do not belong together; fetch the file again.")
    usual, rooted = _from_peft(raw.metadata, component, module)
    return Layer(component, module, roles["down"], roles["up"], (down.shape, up.shape), roles.get("alpha"), usual, rooted)


def _belong_together(down: Tensor, up: Tensor) -> bool:
    flat = len(down.shape) in (2, 4) and len(up.shape) in (2, 4)
    return flat and 0 < down.shape[0] == up.shape[1] <= MAX_RANK and set(up.shape[2:]) <= {1} and 0 not in down.shape + up.shape


def _from_peft(metadata: Mapping[str, str], component: str, module: str) -> tuple[float | None, bool]:
    """Return (alpha or None, rsLoRA) from peft's settings as diffusers writes them into the metadata.

    A pipeline's are called `component.field`; those of a file that one model saved for itself, `field` alone.
    """
    prefix = {"unet": "unet.", "text": "text_encoder."}.get(component, "?")
    settings = json_object(metadata.get(PEFT_SETTINGS, ""))
    own = {key.removeprefix(prefix): value for key, value in settings.items() if key.startswith(prefix)}
    own = settings if "lora_alpha" in settings else own
    alpha = own.get("lora_alpha")
    patterns = own.get("alpha_pattern")
    # As in peft, the first one that is about the module counts.
    for pattern, value in patterns.items() if isinstance(patterns, dict) else ():
        if _is_about(pattern, component, module):
            alpha = value
            break
    # Compared before it becomes a float, which has no room for an integer of 400 digits.
    usable = alpha is not None and type(alpha) in (int, float) and abs(alpha) < 1e6
    return float(alpha) if usable and alpha is not None else None, own.get("use_rslora") is True


def _is_about(pattern: str, component: str, module: str) -> bool:
    """Whether a pattern, a module's name or its end, means a module. peft takes any regular expression; a stranger's is not run here."""
    whole, name = pattern.startswith("^"), canonical(component, pattern.removeprefix("^").removesuffix("$"))
    return module == name or (not whole and module.endswith("_" + name))


def json_object(text: str) -> dict[str, Any]:
    """Return a JSON object that stands in a text, or an empty one; what strangers wrote there is only ever shown."""
    try:
        data = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
