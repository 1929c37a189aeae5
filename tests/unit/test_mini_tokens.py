"""Mini's tokenizer files: CLIP's format, every byte covered, every word of the world one token."""

from __future__ import annotations

import json
from pathlib import Path

from assets.mini.tokens import END, START, byte_symbols, write_tokenizer
from assets.mini.world.captions import words_of_the_world


def test_every_byte_has_its_own_symbol() -> None:
    symbols = byte_symbols()
    assert len(set(symbols)) == 256
    assert symbols[ord("a")] == "a"


def test_words_of_the_world_are_single_tokens(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    vocabulary = json.loads((tmp_path / "vocab.json").read_text(encoding="utf-8"))
    assert sorted(vocabulary.values()) == list(range(len(vocabulary)))
    words = {word for phrase in words_of_the_world() for word in phrase.replace(",", "").split() if word.isalpha()}
    assert not [word for word in words if word + "</w>" not in vocabulary]
    assert {START, END} <= set(vocabulary)


def test_committed_tokenizer_is_current(tmp_path: Path) -> None:
    committed = Path(__file__).parents[2] / "assets" / "mini" / "base" / "tokenizer"
    write_tokenizer(tmp_path)
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        assert (committed / name).read_text(encoding="utf-8") == (tmp_path / name).read_text(encoding="utf-8")
