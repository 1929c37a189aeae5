"""Which entries of a vocabulary merges must make, and model folders that are sound."""

import json
from pathlib import Path

from studio.engine.checks import inspect, unmade
from studio.storage.inventory import describe

MINI = Path(__file__).parents[2] / "assets" / "mini" / "base"


def test_minis_folder_is_sound() -> None:
    assert inspect(describe("Mini", MINI)).name == "Mini"


def test_every_entry_of_minis_vocabulary_comes_from_a_merge() -> None:
    vocabulary = json.loads((MINI / "tokenizer" / "vocab.json").read_text(encoding="utf-8"))
    lines = (MINI / "tokenizer" / "merges.txt").read_text(encoding="utf-8").splitlines()[1:]
    made = [line.replace(" ", "") for line in lines]
    assert not unmade(vocabulary, set(made), [])
    assert unmade(vocabulary, set(made[:400]), []) == set(made[400:])


def test_symbols_and_special_tokens_need_no_merge() -> None:
    entries = ["a", "a</w>", "Ġ", "</w>", "an", "an</w>", "<3</w>", "<|startoftext|>", "<unk>", "[PAD]", "mask", "begin", "new", "end"]
    vocabulary = {entry: number for number, entry in enumerate(entries)}
    configs = [
        {"mask_token": {"content": "mask", "lstrip": False}, "bos_token": "begin"},
        {"additional_special_tokens": ["new"], "added_tokens_decoder": {"7": {"content": "end"}}},
    ]
    assert unmade(vocabulary, set(), configs) == {"an", "an</w>", "<3</w>"}
    assert unmade(vocabulary, {"an</w>"}, [{"end": 13}]) == {"an", "<3</w>", "mask", "begin", "new"}


def test_configs_may_be_nested_deeply() -> None:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    assert unmade({"an": 0}, set(), [{"x": nested}]) == {"an"}
