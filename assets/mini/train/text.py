"""Stage `text`: teaches the text encoder which facts a caption states, before any picture is involved; afterwards it stays frozen.

A few learned queries read all 77 states (as the U-Net's cross-attention will) and must name every slot of the caption.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTokenizer

from ..models import TOKENS, WIDTH, new_text_encoder
from ..tokens import load_tokenizer, write_tokenizer
from ..world.captions import SLOTS, Caption, Writer
from ..world.scene import sample_scene
from .loop import Pace, learn
from .precision import FAST, autocast

BATCH = 128
SCENES = 40_000_000


class SlotReader(nn.Module):
    """One learned query per slot attends over the states and names the slot's value."""

    def __init__(self) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(len(SLOTS), WIDTH) * 0.1)
        self.key, self.value = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.heads = nn.ModuleList(nn.Linear(WIDTH, len(values)) for values in SLOTS.values())

    def forward(self, states: Tensor) -> list[Tensor]:
        """States (N, 77, WIDTH) to one (N, values) score table per slot."""
        read = functional.scaled_dot_product_attention(
            self.queries.expand(states.shape[0], 1, -1, -1), self.key(states)[:, None], self.value(states)[:, None]
        )[:, 0]
        return [head(read[:, index]) for index, head in enumerate(self.heads)]


class Reader(nn.Module):
    """The text encoder and its slot reader, trained together."""

    def __init__(self, encoder: CLIPTextModel) -> None:
        super().__init__()
        self.encoder, self.slots = encoder, SlotReader()

    def forward(self, ids: Tensor) -> list[Tensor]:
        return self.slots(self.encoder(ids).last_hidden_state)


def token_ids(tokenizer: CLIPTokenizer, texts: list[str]) -> Tensor:
    """Token ids, int64 (N, 77)."""
    found = cast("Any", tokenizer)(texts, padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt")
    return cast("Tensor", found.input_ids)


def load_reader(run: Path) -> Callable[[list[str]], Tensor]:
    """A function from N texts to the frozen text encoder's states, in FAST precision (N, 77, 128)."""
    tokenizer = cast("CLIPTokenizer", load_tokenizer(run / "tokenizer"))
    encoder = cast("CLIPTextModel", CLIPTextModel.from_pretrained(run / "text_encoder", dtype=FAST)).eval()

    def read(texts: list[str]) -> Tensor:
        with torch.no_grad():
            return encoder(token_ids(tokenizer, texts)).last_hidden_state

    return read


def caption_batch(seed: int, count: int = BATCH) -> list[Caption]:
    """Captions of fresh random scenes; one in fifty is empty."""
    rng = np.random.default_rng(seed)
    writer = Writer(rng)
    empty = Caption("", dict.fromkeys(SLOTS, ""))
    return [empty if rng.random() < 0.02 else writer.caption(sample_scene(SCENES + seed * count + row)) for row in range(count)]


def targets(captions: list[Caption]) -> Tensor:
    """Index of each slot's stated value, int64 (N, slots)."""
    return torch.tensor([[values.index(caption.slots[slot]) for slot, values in SLOTS.items()] for caption in captions])


def train_text(run: Path, minutes: float) -> CLIPTextModel:
    """Write the tokenizer, train, and write `<run>/text_encoder`."""
    torch.manual_seed(2)
    write_tokenizer(run / "tokenizer")
    tokenizer = cast("CLIPTokenizer", load_tokenizer(run / "tokenizer"))
    reader = Reader(new_text_encoder(len(tokenizer), (cast("int", tokenizer.bos_token_id), cast("int", tokenizer.eos_token_id))))

    def loss_of(step: int) -> Tensor:
        captions = caption_batch(step)
        wanted = targets(captions)
        with autocast():
            scores = reader(token_ids(tokenizer, [caption.text for caption in captions]))
        return torch.stack([functional.cross_entropy(score.float(), wanted[:, index]) for index, score in enumerate(scores)]).mean()

    reader.load_state_dict(learn(reader, loss_of, Pace(minutes, 1e-3, warm=0.05, average=0.99), run, "text"))
    reader.encoder.save_pretrained(run / "text_encoder")
    (run / "text-accuracy.txt").write_text(f"{slot_accuracy(reader, tokenizer):.4f}\n")
    return reader.encoder


def slot_accuracy(reader: Reader, tokenizer: CLIPTokenizer) -> float:
    """Share of fresh captions whose every slot is read right."""
    captions = caption_batch(9_000_000, 512)
    with torch.no_grad():
        scores = reader(token_ids(tokenizer, [caption.text for caption in captions]))
    right = torch.stack([score.argmax(1) for score in scores], 1) == targets(captions)
    print({slot: round(float(right[:, index].float().mean()), 4) for index, slot in enumerate(SLOTS)})
    return float(right.all(1).float().mean())
