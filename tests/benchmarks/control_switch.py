"""Switching to another resident ControlNet between two runs, against one guided step with a ControlNet. Bound: 1.

python -m tests.benchmarks.control_switch        the embedded model, with two ControlNets of its size and random weights

A switch is all that lies between two runs: making the plan ready, reading the map, starting the run; rather too much than too little.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from PIL import Image

from studio.engine.diffusers_engine import DiffusersEngine
from studio.engine.runs import DiffusersRun
from studio.inventory import Inventory, ModelCard
from studio.plan import Plan, resolve
from studio.request import ControlUse
from studio.settings import Settings
from studio.storage.controlnets import describe_controlnet
from studio.storage.inventory import describe
from tests.benchmarks.pairs import compare, conclude
from tests.benchmarks.studios import arguments, request


def main() -> int:
    options = arguments(__doc__ or "", device="cpu")
    model = describe(options.model.name, options.model)
    engine = DiffusersEngine(Settings(device=options.device))
    engine.load(model, quiet)
    with tempfile.TemporaryDirectory() as folder:
        plans = [plan(model, make_controlnet(Path(folder, f"{i} depth"), model, seed=i), steps=options.steps) for i in range(2)]
        return measure(engine, model, plans, pairs=options.pairs)


def measure(engine: DiffusersEngine, model: ModelCard, plans: list[Plan], *, pairs: int) -> int:
    """Switch between two plans whose ControlNets' files stay where they are: an engine reads a file anew that changed or went."""
    drawn = Image.fromarray(np.random.default_rng(0).integers(0, 256, (plans[0].height, plans[0].width, 3), np.uint8), "RGB")
    for each in plans:
        engine.prepare(each, quiet)
    running = engine.start(plans[0], [drawn])

    def switch(number: int) -> DiffusersRun:
        chosen = plans[number % 2]
        engine.prepare(chosen, quiet)
        return engine.start(chosen, [drawn])

    def step(number: int) -> None:
        nonlocal running
        if running.index == running.total:
            running = engine.start(plans[0], [drawn])
        running.advance()

    print(f"{model.name}, {engine.describe()}, {plans[0].width} x {plans[0].height}, {torch.get_num_threads()} threads", flush=True)
    return conclude(compare("switch of resident ControlNets / one step", first=switch, second=step, pairs=pairs, bound=1.0))


def make_controlnet(folder: Path, model: ModelCard, *, seed: int) -> Path:
    """Write a ControlNet with the model's encoder and random outputs."""
    torch.manual_seed(seed)
    unet = UNet2DConditionModel.from_pretrained(model.path / "unet", use_safetensors=True)
    halvings = model.unet.pixels.bit_length() - 1
    net = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(16, 32, 64, 96, 128)[: halvings + 1])
    with torch.no_grad():
        for layer in (*net.controlnet_down_blocks, net.controlnet_mid_block):
            layer.weight.normal_(std=0.01)
    net.save_pretrained(folder)
    return folder


def plan(model: ModelCard, folder: Path, *, steps: int) -> Plan:
    card = describe_controlnet(folder.name, folder)
    asked = request(0, steps=steps, controls=(ControlUse(kind="depth", image="map", model=card.name),))
    return resolve(asked, Inventory((model,), controlnets=(card,)), entropy=0)


def quiet(fraction: float, message: str) -> None:
    """Say nothing of loading."""


if __name__ == "__main__":
    sys.exit(main())
