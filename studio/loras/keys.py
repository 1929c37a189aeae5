"""The dialects of LoRA keys: which module a key is about, and what part of a layer it is. One table, used before and while loading."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_ROLES: tuple[tuple[str, str], ...] = (
    (r"\.lora_down\.weight|\.lora_A(?:\.default)?\.weight|\.lora(?:_linear_layer)?\.down\.weight|_lora\.down\.weight", "down"),
    (r"\.lora_up\.weight|\.lora_B(?:\.default)?\.weight|\.lora(?:_linear_layer)?\.up\.weight|_lora\.up\.weight", "up"),
    (r"\.alpha", "alpha"),
    (r"\.dora_scale|\.lora_magnitude_vector(?:\.default)?(?:\.weight)?", "dora"),
    (r"\.lora_mid\.weight", "LoCon with Tucker layers"),
    (r"\.hada_[wt][12](?:_[ab])?", "LoHa"),
    (r"\.lokr_[wt][12](?:_[ab])?", "LoKr"),
    (r"\.oft_(?:blocks|diag|R\.weight)", "OFT"),
    (r"\.boft_\w+(?:\.weight)?", "BOFT"),
    (r"\.[ab][12]\.weight", "GLoRA"),
    (r"\.on_input", "IA3"),
    (r"\.[wb]_norm", "norm layers"),
    (r"\.diff(?:_b)?", "full difference"),
    (r"\.lora_(?:up|B(?:\.default)?)\.bias", "LoRA with biases"),
)
_ROLE = re.compile("(?P<module>.+?)(?:" + "|".join(f"(?P<r{i}>{pattern})" for i, (pattern, _) in enumerate(_ROLES)) + ")$", re.DOTALL)
LAYER_ROLES = ("down", "up", "alpha", "dora")

_PREFIXES: tuple[tuple[str, str, str], ...] = (
    ("lora_unet_", "unet", "kohya"),
    ("lora_te1_", "text", "kohya"),
    ("lora_te2_", "text 2", "kohya"),
    ("lora_te3_", "text 3", "kohya"),
    ("lora_te_", "text", "kohya"),
    ("lora_transformer_", "transformer", "kohya"),
    ("lycoris_", "unet", "LyCORIS"),
    ("unet.", "unet", "diffusers"),
    ("text_encoder.", "text", "diffusers"),
    ("text_encoder_2.", "text 2", "diffusers"),
    ("text_encoder_3.", "text 3", "diffusers"),
    ("transformer.", "transformer", "diffusers"),
    ("diffusion_model.", "transformer", "native"),
    ("base_model.model.", "", "peft"),
)
_UNET = re.compile(r"(?:down_blocks|up_blocks|mid_block|conv_in|conv_out|time_embedding)[._]")
_TEXT = re.compile(r"(?:text_model[._])?encoder[._]layers[._]")
_OLD_TEXT_NAMES: Mapping[str, str] = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"}


@dataclass(frozen=True)
class Key:
    """What one tensor is.

    Attributes:
        component: `unet`, `text`, `text 2`, `text 3` or `transformer`.
        name: the module as `canonical` writes it.
        role: one of `LAYER_ROLES`, or the name of a kind that cannot be applied.
        dialect: who writes keys like this one.
    """

    component: str
    name: str
    role: str
    dialect: str


def read_key(key: str) -> Key | None:
    """Return what a tensor's key says, or None when it is no key of a LoRA."""
    found = _ROLE.fullmatch(key)
    if not found:
        return None
    role = next(role for i, (_, role) in enumerate(_ROLES) if found[f"r{i}"])
    component, module, dialect = _split(found["module"])
    if not component:
        return None
    if "processor" in module or key.startswith(("down_blocks", "up_blocks", "mid_block")):
        dialect = "diffusers attn_procs"
    return Key(component, canonical(component, module), role, dialect)


def canonical(component: str, module: str) -> str:
    """Write a module's name as kohya does, underscores for dots, without what dialects and library versions differ in."""
    name = module.replace(".", "_").replace("_processor", "")
    if component == "unet":
        return re.sub(r"_to_out$", "_to_out_0", name)
    if component == "text":
        name = name.removeprefix("text_model_")
        return re.sub(r"_self_attn_(to_(?:q|k|v|out))$", lambda found: "_self_attn_" + _OLD_TEXT_NAMES[found[1]], name)
    return name


def _split(module: str) -> tuple[str, str, str]:
    for prefix, component, dialect in _PREFIXES:
        if module.startswith(prefix):
            rest = module.removeprefix(prefix)
            return component or _guess(rest), rest, dialect
    return _guess(module), module, "diffusers"


def _guess(module: str) -> str:
    return "unet" if _UNET.match(module) else "text" if _TEXT.match(module) else ""
