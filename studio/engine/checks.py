"""Looks at a model folder before anything is loaded from it: every file there, whole, and free of pickles.

Knows file formats only; imports neither torch nor diffusers.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.errors import BrokenModel
from studio.inventory import ModelCard
from studio.stamps import Stamp, stamp

# A safetensors header holds one short entry per tensor; a longer one is damage, not a model.
MAX_HEADER_BYTES = 100_000_000
PICKLED = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
CLASSES: Mapping[str, tuple[str, ...]] = {
    "text_encoder": ("CLIPTextModel",),
    "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
    "unet": ("UNet2DConditionModel",),
    "vae": ("AutoencoderKL",),
}
STEMS: Mapping[str, str] = {"text_encoder": "model", "unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model"}
VARIANTS = ("", "fp16")
MERGES = "tokenizer/merges.txt"
# Beside the vocabulary; a folder may do without any of them.
TOKENIZER_CONFIGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
STAMPED = ("*.safetensors", "config.json", "model_index.json", *(f"{part}/*.*" for part in (*CLASSES, "scheduler", "preview_decoder")))


@dataclass(frozen=True)
class Weights:
    """Where one part's weights are: its folder, the variant in the file names (may be empty), their number formats and bytes."""

    folder: Path
    variant: str
    formats: frozenset[str]
    bytes: int


@dataclass(frozen=True)
class Folder:
    """A model folder that passed every check."""

    name: str
    path: Path
    scheduler_config: Mapping[str, Any]
    weights: Mapping[str, Weights]


def stamp_of(folder: Path) -> Stamp:
    """Return the stamp of a model's or ControlNet's files that are read."""
    return stamp(file for pattern in STAMPED for file in sorted(folder.glob(pattern)))


def inspect(card: ModelCard) -> Folder:
    """Check a model folder.

    Raises:
        BrokenModel: the sentence names the first file that is missing, damaged, pickled or of another kind.
    """
    checker = _Checker(card.name, card.path)
    index = checker.json_file("model_index.json")
    for part, allowed in CLASSES.items():
        checker.kind(index, part, allowed=allowed)
    for part in STEMS:
        checker.json_file(f"{part}/config.json")
    checker.tokenizer()
    scheduler = checker.json_file("scheduler/scheduler_config.json")
    return Folder(card.name, card.path, scheduler, {part: checker.weights(part, stem) for part, stem in STEMS.items()})


def inspect_weights(name: str, folder: Path, *, stem: str) -> Weights:
    """Check the weight files of one part, such as `preview_decoder`.

    Raises:
        BrokenModel: a file is missing, damaged or pickled.
    """
    checker = _Checker(name, folder.parent)
    checker.json_file(f"{folder.name}/config.json")
    return checker.weights(folder.name, stem)


def unmade(vocabulary: Mapping[str, int], made: set[str], configs: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the entries of a CLIP vocabulary that a merge must make and none does: of more than one symbol, and not special.

    Args:
        vocabulary: its entries. A symbol stands for a byte, and bears `</w>` where a word ends.
        made: what the merges make.
        configs: what stands beside it. Special is whatever they name, and what looks so: `<|endoftext|>`, `[PAD]`.
    """
    left = {entry for entry in vocabulary.keys() - made if len(entry.removesuffix("</w>")) > 1}
    looks = {entry for entry in left if entry[0] + entry[-1] in ("<>", "[]") and not entry.endswith("</w>")}
    return left - looks - _texts(configs)


def _texts(configs: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return all texts and keys in the configs: each library and version names special tokens at another place."""
    found, left = set[str](), list[Any](configs)
    while left:
        # Without recursion, which a file nested deeply enough would exhaust.
        value = left.pop()
        if isinstance(value, str):
            found.add(value)
        elif isinstance(value, dict):
            left += [*value, *value.values()]
        elif isinstance(value, list):
            left += value
    return found


@dataclass(frozen=True)
class _Checker:
    name: str
    path: Path

    def broken(self, problem: str) -> BrokenModel:
        return BrokenModel(f"{self.name} cannot be used: {problem}; copy the model folder again.")

    def json_file(self, shown: str) -> dict[str, Any]:
        try:
            data = json.loads((self.path / shown).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise self.broken(f"{shown} is missing") from None
        except (OSError, ValueError, RecursionError) as error:
            raise self.broken(f"{shown} is damaged") from error
        if not isinstance(data, dict):
            raise self.broken(f"{shown} is damaged")
        return data

    def kind(self, index: Mapping[str, Any], part: str, *, allowed: tuple[str, ...]) -> None:
        entry = index.get(part)
        found = entry[1] if isinstance(entry, list) and len(entry) == 2 else None
        if found is None:
            raise self.broken(f"model_index.json names no {part}")
        if found not in allowed:
            raise BrokenModel(f"{self.name} cannot be used: its {part} is a {found}, and this studio runs {allowed[0]} only.")

    def tokenizer(self) -> None:
        folder = self.path / "tokenizer"
        configs = {name: self.json_file(f"tokenizer/{name}") for name in TOKENIZER_CONFIGS if (folder / name).is_file()}
        if not isinstance(configs.get("tokenizer_config.json", {}).get("model_max_length"), int | float | None):
            raise self.broken("tokenizer/tokenizer_config.json is damaged")
        if (folder / "tokenizer.json").is_file():
            # One JSON document with vocabulary and merges, which is no JSON any more once it is cut.
            self.json_file("tokenizer/tokenizer.json")
            return
        vocabulary = self.json_file("tokenizer/vocab.json")
        if set(map(type, vocabulary.values())) != {int}:
            raise self.broken("tokenizer/vocab.json is damaged")
        # The library takes a cut list without a murmur, and prompts become other tokens.
        if lost := len(unmade(vocabulary, self.merged(), configs.values())):
            raise self.broken(
                f"{MERGES} is cut short: {lost:,} of the {len(vocabulary):,} entries of tokenizer/vocab.json come from no merge"
            )

    def merged(self) -> set[str]:
        """Return what the merges make.

        What is beyond the vocabulary is the library's to refuse: CLIP's own list once had five times as many as its vocabulary takes.
        """
        try:
            text = (self.path / MERGES).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise self.broken(f"{MERGES} is missing") from None
        except (OSError, ValueError) as error:
            raise self.broken(f"{MERGES} is damaged") from error
        # At line feeds and spaces alone, as the library does: other white space stands for bytes.
        lines = [line for line in text.split("\n") if line and not line.startswith("#version")]
        if any(line.count(" ") != 1 for line in lines):
            raise self.broken(f"{MERGES} is damaged")
        return {line.replace(" ", "") for line in lines}

    def weights(self, part: str, stem: str) -> Weights:
        folder = self.path / part
        for variant in VARIANTS:
            infix = f".{variant}" if variant else ""
            index = folder / f"{stem}.safetensors.index{infix}.json"
            single = folder / f"{stem}{infix}.safetensors"
            if single.is_file() or index.is_file():
                files = [single] if single.is_file() else [folder / shard for shard in self.shards(index)]
                formats, sizes = zip(*map(self.whole, files), strict=True)
                return Weights(folder, variant, frozenset().union(*formats), sum(sizes))
        pickled = sorted(file.name for file in folder.glob("*") if file.suffix in PICKLED)
        if pickled:
            raise BrokenModel(
                f"{self.name} cannot be used: {part}/{pickled[0]} is a pickled file, which could run programs; "
                f"put {stem}.safetensors in its place."
            )
        raise self.broken(f"{part}/{stem}.safetensors is missing")

    def shards(self, index: Path) -> list[str]:
        shown = f"{index.parent.name}/{index.name}"
        placed = self.json_file(shown).get("weight_map")
        if not isinstance(placed, dict) or not placed:
            raise self.broken(f"{shown} is damaged")
        names = sorted({str(name) for name in placed.values()})
        if any(Path(name).name != name or Path(name).suffix != ".safetensors" for name in names):
            raise self.broken(f"{shown} names files outside its folder")
        return names

    def whole(self, file: Path) -> tuple[set[str], int]:
        """Return the number formats in the file and its size, after checking that its header and all its tensors are there."""
        shown = f"{file.parent.name}/{file.name}"
        try:
            size = file.stat().st_size
            with file.open("rb") as stream:
                length = int.from_bytes(stream.read(8), "little")
                if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
                    raise self.broken(f"{shown} is damaged or cut short")
                header = json.loads(stream.read(length))
            entries = [entry for key, entry in header.items() if key != "__metadata__"]
            formats = {str(entry["dtype"]) for entry in entries}
            expected = 8 + length + max((entry["data_offsets"][1] for entry in entries), default=0)
        except FileNotFoundError:
            raise self.broken(f"{shown} is missing") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
            raise self.broken(f"{shown} is damaged") from error
        if size < expected:
            raise self.broken(f"{shown} is cut short: {size:,} of {expected:,} bytes are there")
        return formats, size
