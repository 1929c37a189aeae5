"""Switching between two resident LoRAs, U-Net and text encoder, against one denoising step. Bound: 1.

python -m tests.benchmarks.lora_switch
"""

import sys
import tempfile
from pathlib import Path

import torch

from studio.engine.diffusers_engine import DiffusersEngine
from studio.inventory import Inventory
from studio.loras.safetensors_header import read_raw
from studio.plan import resolve
from studio.request import LoraUse
from studio.settings import Settings
from studio.storage.inventory import describe
from studio.storage.loras import LoraFolders
from tests.benchmarks.pairs import compare, conclude
from tests.benchmarks.studios import arguments, request
from tests.lora_files import write_lora

MARKS = ("attn1", "attn2", "proj_in", "proj_out", "ff.net", "q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")


def main() -> int:
    options = arguments(__doc__ or "")
    card = describe(options.model.name, options.model)
    engine = DiffusersEngine(Settings(preview="none", device="cpu"))
    engine.load(card, lambda *_: None)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("one", "two"):
            write_lora(Path(folder, f"{name}.safetensors"), attention(options.model), rank=16, dialect="peft", size=0.01)
        here = Inventory((card,), loras=LoraFolders([Path(folder)]).read()[0])
        plans = [resolve(request(1, steps=150, loras=(LoraUse(name=name),)), here, entropy=0) for name in ("one", "two")]
        for plan in plans:
            engine.prepare(plan, lambda *_: None)
        run = engine.start(plans[0])
        adapters = run.model.adapters
        chosen = [adapters.select(plan.loras) for plan in plans]

        def switch(number: int) -> None:
            adapters.unet.hang(chosen[number % 2].unet)
            adapters.text.hang(chosen[number % 2].text)

        def step(_: int) -> None:
            adapters.unet.hang(run.loras.unet)
            run.advance()

        count = sum(len(branches) for branches, _ in chosen[0].unet + chosen[0].text)
        print(f"{card.name}, {engine.describe()}, {count} modules, 256 x 256, {torch.get_num_threads()} threads", flush=True)
        return conclude(compare("switch / step", first=switch, second=step, pairs=options.pairs, bound=1.0))


def attention(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the weights that LoRAs usually change, by dotted name."""
    found: dict[str, tuple[int, ...]] = {}
    for part in ("unet", "text_encoder"):
        for key, tensor in read_raw(next((folder / part).glob("*.safetensors"))).tensors.items():
            if key.endswith(".weight") and len(tensor.shape) in (2, 4) and any(mark in key for mark in MARKS):
                found[key.removesuffix(".weight")] = tensor.shape
    return found


if __name__ == "__main__":
    sys.exit(main())
