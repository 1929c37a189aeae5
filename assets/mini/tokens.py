"""Mini's tokenizer: byte-level byte-pair merges in CLIP's file format, learned from the world's own words and a little plain English."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

from .world.captions import words_of_the_world

START, END = "<|startoftext|>", "<|endoftext|>"
LIMIT = 77
PLAIN = (
    "of with in on at by to is are and or not no very more less its it that this these one two three four some many cat dog"
    " bird tree house car boat mountain sea lake river sky cloud clouds sun moon stars water fire forest garden city street"
    " road flower woman child girl boy face hand eye dark bright warm cold soft hard light shadow reflection clean sharp"
    " blurry bad low worst ugly deformed extra text watermark style art artist drawing sketch clay neon pixel ink lines glass"
    " metal wood paper plastic gray grey brown silver background foreground landscape portrait wide close up view shot camera"
    " lens film cinematic realistic photo photograph illustration digital concept trending"
)


def byte_symbols() -> list[str]:
    """The printable stand-in for each byte 0..255, as CLIP and GPT-2 define it."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, extra = {byte: chr(byte) for byte in printable}, 0
    for byte in range(256):
        if byte not in table:
            table[byte] = chr(256 + extra)
            extra += 1
    return [table[byte] for byte in range(256)]


def learn_merges(words: Counter[str]) -> list[tuple[str, str]]:
    """Byte-pair merges, most frequent first, until every word is one symbol. Words are in byte symbols, without the end mark."""
    splits = {word: (*word[:-1], word[-1] + "</w>") for word in words}
    merges: list[tuple[str, str]] = []
    while True:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, parts in splits.items():
            for pair in pairwise(parts):
                pairs[pair] += words[word]
        if not pairs:
            return merges
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        splits = {word: _join(parts, best) for word, parts in splits.items()}


def _join(parts: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    joined: list[str] = []
    for part in parts:
        if joined and (joined[-1], part) == pair:
            joined[-1] += part
        else:
            joined.append(part)
    return tuple(joined)


def write_tokenizer(folder: Path) -> None:
    """Write vocab.json, merges.txt and the two configuration files."""
    symbols = byte_symbols()
    counts: Counter[str] = Counter()
    for weight, text in ((20, " ".join(words_of_the_world())), (1, PLAIN)):
        for word in text.lower().replace(",", " ").split():
            pieces = [word] if word.isalpha() else []
            for piece in pieces:
                counts["".join(symbols[byte] for byte in piece.encode())] += weight
    merges = learn_merges(counts)
    entries = [*symbols, *(symbol + "</w>" for symbol in symbols), *("".join(pair) for pair in merges), START, END]
    vocabulary = {entry: index for index, entry in enumerate(dict.fromkeys(entries))}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    special = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    config = {**special, "model_max_length": LIMIT, "do_lower_case": True, "tokenizer_class": "CLIPTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2) + "\n", encoding="utf-8")


def load_tokenizer(folder: Path) -> object:
    """The tokenizer through its stock class."""
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(str(folder))
