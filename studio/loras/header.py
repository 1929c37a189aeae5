"""A LoRA file as its header describes it: layers, rank, alpha, the family it was made for, trigger words, and what cannot be applied."""

import re
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from studio.errors import BadLora
from studio.loras.keys import LAYER_ROLES, read_key
from studio.loras.layers import PEFT_SETTINGS, Layer, json_object, make_layer
from studio.loras.lineage import UNKNOWN, Lineage, lineage_of
from studio.loras.safetensors_header import RawHeader, read_raw

SHOWN_WORDS = 12
PEFT_CONFIG = "adapter_config.json"
MAX_CONFIG = 1 << 20
_ALPHA_FORMATS: Mapping[str, str] = {
    "F64": "<d", "F32": "<f", "F16": "<e", "I64": "<q", "I32": "<i", "I16": "<h", "I8": "<b", "U8": "<B",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a LoRA's header says.

    Attributes:
        layers: the plain layers.
        kinds: modules by the name of a kind that cannot be applied.
        unknown: the first keys that no dialect knows; `unknown_count` is how many there are.
        dialect: who wrote the keys.
        made_for: the family it was made for.
        alpha: the first layer's alpha, as far as the header's reader saw one.
        dora: whether there are DoRA scales.
        words: trigger words and the commonest tags it was trained on.
        base: name of the model it was trained on, as its maker wrote it; may be empty.
        own_hash: SHA-256 of its tensors as its maker wrote it (`sshs_model_hash`), 64 hexadecimal digits; may be empty.
    """

    layers: tuple[Layer, ...] = ()
    kinds: Mapping[str, int] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    unknown_count: int = 0
    dialect: str = ""
    made_for: Lineage = UNKNOWN
    alpha: float | None = None
    dora: bool = False
    words: tuple[str, ...] = ()
    base: str = ""
    own_hash: str = ""

    @property
    def ranks(self) -> tuple[int, ...]:
        """The ranks that occur, ascending."""
        return tuple(sorted({layer.rank for layer in self.layers}))

    def touches(self, component: str) -> bool:
        """Whether there are layers for a component, such as `text`."""
        return any(layer.component == component for layer in self.layers)


def read_header(path: Path) -> Header:
    """Read what a LoRA file's header says; takes about a millisecond.

    Raises:
        BadLora: the file is a pickle, cut short, forged, or its layers do not fit together.
    """
    raw = _with_settings(read_raw(path), path)
    header = understand(raw, name=path.name)
    return header if header.alpha is not None else _with_alpha(header, raw, path)


def understand(raw: RawHeader, *, name: str) -> Header:
    """Sort a header's keys into layers.

    Raises:
        BadLora: matrices have whole numbers, or shapes that cannot belong together.
    """
    modules: dict[tuple[str, str], dict[str, str]] = {}
    unknown, dialects = [], Counter[str]()
    for key in raw.tensors:
        read = read_key(key)
        if read is None:
            unknown.append(key)
            continue
        dialects[read.dialect] += 1
        roles = modules.setdefault((read.component, read.name), {})
        if read.role in roles and read.role in LAYER_ROLES:
            raise BadLora(f"{name} cannot be used: {key[:80]!r} stands there in two dialects; fetch the file again.")
        roles[read.role] = key
    layers, kinds = [], Counter[str]()
    for (component, module), roles in modules.items():
        foreign = next((role for role in roles if role not in LAYER_ROLES), None)
        if foreign:
            kinds[foreign] += 1
        elif "down" in roles and "up" in roles:
            layers.append(make_layer(raw, (component, module), roles, name=name))
        else:
            unknown.extend(roles.values())
    return Header(
        layers=tuple(layers),
        kinds=dict(kinds.most_common()),
        unknown=tuple(unknown[:3]),
        unknown_count=len(unknown),
        dialect=dialects.most_common(1)[0][0] if dialects else "",
        made_for=lineage_of(layers, modules, raw),
        alpha=next((layer.usual for layer in layers[:1]), None),
        dora=any("dora" in roles for roles in modules.values()),
        words=trigger_words(raw.metadata),
        base=_first(raw.metadata, "ss_sd_model_name", "ss_base_model_version", "modelspec.architecture"),
        own_hash=_own_hash(raw.metadata),
    )


def trigger_words(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Return the maker's trigger phrase, then the commonest training tags, each once; at most a dozen."""
    words = [word.strip() for word in metadata.get("modelspec.trigger_phrase", "").split(",")]
    counts = Counter[str]()
    for tags in json_object(metadata.get("ss_tag_frequency", "")).values():
        if isinstance(tags, dict):
            counts.update({tag.strip(): count for tag, count in tags.items() if type(count) is int and 0 < count < 10**9})
    # Folders are called such as "10_zkz style": repeats, then the words.
    folders = [re.sub(r"^\d+_", "", folder) for folder in json_object(metadata.get("ss_dataset_dirs", ""))]
    words += [tag for tag, _ in counts.most_common(SHOWN_WORDS)] or folders
    readable = [word[:80] for word in dict.fromkeys(words) if word and word.isprintable()]
    return tuple(readable[:SHOWN_WORDS])


def _with_settings(raw: RawHeader, path: Path) -> RawHeader:
    """Take over what peft, whose files hold matrices alone, writes into a file of its own beside them, alpha above all."""
    beside = path.with_name(PEFT_CONFIG)
    if PEFT_SETTINGS in raw.metadata or not any(key.startswith("base_model.model.") for key in raw.tensors):
        return raw
    try:
        with beside.open("rb") as file:
            text = file.read(MAX_CONFIG).decode()
    except FileNotFoundError:
        return raw
    except (OSError, UnicodeDecodeError) as error:
        raise BadLora(f"{path.name} cannot be used: {PEFT_CONFIG} beside it cannot be read; fetch both files again.") from error
    return replace(raw, metadata={**raw.metadata, PEFT_SETTINGS: text})


def _with_alpha(header: Header, raw: RawHeader, path: Path) -> Header:
    """Read the first layer's alpha, a few bytes, so that it can be shown."""
    key = next((layer.alpha for layer in header.layers if layer.alpha), None)
    place = raw.tensors[key] if key else None
    if place is None or place.shape not in ((), (1,)) or place.dtype not in (*_ALPHA_FORMATS, "BF16"):
        return header
    with path.open("rb") as file:
        start = 8 + int.from_bytes(file.read(8), "little")
        file.seek(start + place.begin)
        content = file.read(place.end - place.begin)
    if place.dtype == "BF16":
        content = b"\0\0" + content
    value = float(struct.unpack(_ALPHA_FORMATS.get(place.dtype, "<f"), content)[0])
    return replace(header, alpha=value if abs(value) < 1e6 else None)


def _own_hash(metadata: Mapping[str, str]) -> str:
    written = metadata.get("sshs_model_hash", "").removeprefix("0x").lower()
    return written if re.fullmatch(r"[0-9a-f]{64}", written) else ""


def _first(metadata: Mapping[str, str], *names: str) -> str:
    return next((text[:100] for name in names if (text := metadata.get(name, "").strip()) not in ("", "None")), "")
