"""Counts prompt tokens with a model folder's own CLIP tokenizer.

Uses the `tokenizers` library alone: transformers takes seconds to import, holds the interpreter meanwhile, and is busy
with the engine just when the first prompt is typed.
"""

import json
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

from studio.errors import BrokenModel
from studio.inventory import ModelCard

if TYPE_CHECKING:
    from tokenizers import Tokenizer

WINDOW = 77
REMEMBERED = 4
# From Radford et al.'s CLIP: words, single digits, runs of other signs, English contractions.
_PIECES = r"""<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""


class FolderTokens:
    """Implements `ports.Tokens`. Reads a folder's tokenizer at the first count and keeps the few last used."""

    def __init__(self) -> None:
        self._known: OrderedDict[Path, tuple[Tokenizer, int]] = OrderedDict()
        self._lock = threading.Lock()

    def count(self, model: ModelCard, text: str) -> tuple[int, int]:
        """Return (tokens of the text, tokens that fit), both without the start and end marks.

        Raises:
            BrokenModel: the folder's tokenizer is missing or damaged.
        """
        tokenizer, window = self._tokenizer(model)
        return len(tokenizer.encode(text, add_special_tokens=False).ids), window - 2

    def _tokenizer(self, model: ModelCard) -> tuple["Tokenizer", int]:
        with self._lock:
            if model.path not in self._known:
                self._known[model.path] = read_tokenizer(model)
                if len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
            self._known.move_to_end(model.path)
            return self._known[model.path]


def read_tokenizer(model: ModelCard) -> tuple["Tokenizer", int]:
    """Return (tokenizer, window) of a model folder; the window counts the start and end marks.

    Raises:
        BrokenModel: a file is missing or damaged.
    """
    folder = model.path / "tokenizer"
    try:
        window = _window(folder / "tokenizer_config.json")
        if (folder / "tokenizer.json").is_file():
            from tokenizers import Tokenizer  # noqa: PLC0415

            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            # A folder saved after a pipeline used it pads and cuts every text to the window.
            tokenizer.no_padding()
            tokenizer.no_truncation()
            return tokenizer, window
        vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
        merges = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
        pairs = [tuple(line.split()) for line in merges if line and not line.startswith("#version")]
        return _clip(vocabulary, [(left, right) for left, right in pairs]), window
    except FileNotFoundError as error:
        raise BrokenModel(f"{model.name} cannot be used: tokenizer/{Path(error.filename).name} is missing.") from error
    except Exception as error:
        # The library raises bare exceptions for a vocabulary that does not fit its merges.
        raise BrokenModel(f"{model.name} cannot be used: its tokenizer folder is damaged ({error}).") from error


def _window(config: Path) -> int:
    if not config.is_file():
        return WINDOW
    window = int(json.loads(config.read_text(encoding="utf-8")).get("model_max_length") or WINDOW)
    # transformers writes an enormous number where no window is known.
    return window if window <= 10 * WINDOW else WINDOW


def _clip(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> "Tokenizer":
    """Build CLIP's tokenizer as `transformers.CLIPTokenizer` does."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers  # noqa: PLC0415

    tokenizer = Tokenizer(
        models.BPE(
            vocab=vocabulary,
            merges=merges,
            continuing_subword_prefix="",
            end_of_word_suffix="</w>",
            unk_token="<|endoftext|>",
        )
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.add_special_tokens(["<|startoftext|>", "<|endoftext|>"])
    return tokenizer
