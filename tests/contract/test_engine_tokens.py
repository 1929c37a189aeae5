"""The token counter agrees with the tokenizer that the engine encodes with, and reads damaged folders as such."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import CLIPTokenizer

from studio.engine.tokens import FolderTokens
from studio.errors import BrokenModel
from studio.inventory import ModelCard

TEXTS = ["", "a red cat", "The THE the", "émoji 🎈 日本 مرحبا", "it's 1234 -- ok?!", "tabs\t\nand  spaces ", "<|endoftext|>x", "x" * 500]


def test_counts_as_transformers_does(tiny_card: ModelCard) -> None:
    theirs = CLIPTokenizer.from_pretrained(tiny_card.path / "tokenizer")
    ours = FolderTokens()
    assert [ours.count(tiny_card, text) for text in TEXTS] == [(len(theirs(text)["input_ids"]) - 2, 75) for text in TEXTS]


def test_counts_any_text_as_transformers_does(tiny_card: ModelCard) -> None:
    theirs, ours = CLIPTokenizer.from_pretrained(tiny_card.path / "tokenizer"), FolderTokens()

    @settings(max_examples=60, deadline=None)
    @given(st.text(max_size=60))
    def agree(text: str) -> None:
        assert ours.count(tiny_card, text)[0] == len(theirs(text)["input_ids"]) - 2

    agree()


@pytest.mark.parametrize(("name", "data"), [("vocab.json", None), ("merges.txt", None), ("vocab.json", "{"), ("merges.txt", "a b c d")])
def test_damage_is_one_sentence(name: str, data: str | None, tiny_copy: Path, tiny_card: ModelCard) -> None:
    file = tiny_copy / "tokenizer" / name
    file.unlink()
    if data is not None:
        file.write_text(data)
    with pytest.raises(BrokenModel, match="tokenizer"):
        FolderTokens().count(replace(tiny_card, path=tiny_copy), "a")


def test_counting_imports_no_torch(tiny_card: ModelCard) -> None:
    code = f"""
import sys
from pathlib import Path
from studio.engine import hub
from studio.engine.tokens import FolderTokens
from studio.inventory import ModelCard, UnetShape
path = Path({str(tiny_card.path)!r})
shape = UnetShape(4, (16, 32), 32)
card = ModelCard(name="x", path=path, family="sd", prediction_type="epsilon", native_size=64, multiple_of=8, bytes=0, unet=shape)
assert FolderTokens().count(card, "a red cat")[0] > 0
import studio, studio.service
assert not {{"torch", "transformers", "diffusers", "gradio"}} & set(sys.modules), sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_folder_that_a_pipeline_saved_after_use_counts_the_text_alone(tiny_copy: Path, tiny_card: ModelCard) -> None:
    used = CLIPTokenizer.from_pretrained(tiny_copy / "tokenizer")
    used("a red cat", padding="max_length", max_length=77, truncation=True)
    used.save_pretrained(tiny_copy / "tokenizer")
    assert '"padding":{' in "".join((tiny_copy / "tokenizer" / "tokenizer.json").read_text().split())
    config = tiny_copy / "tokenizer" / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"model_max_length": None}))
    ours, plain = FolderTokens(), FolderTokens()
    for text in TEXTS:
        assert ours.count(replace(tiny_card, path=tiny_copy), text) == plain.count(tiny_card, text)
