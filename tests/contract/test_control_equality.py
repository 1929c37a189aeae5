"""ControlNet units in our loop against the stock ControlNet pipeline, and T2I-Adapters against the stock adapter pipeline."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers import (
    ControlNetModel,
    MultiAdapter,
    MultiControlNetModel,
    StableDiffusionAdapterPipeline,
    StableDiffusionControlNetPipeline,
    T2IAdapter,
)
from diffusers.image_processor import VaeImageProcessor
from PIL import Image

from studio.engine.diffusers_engine import DiffusersEngine
from studio.engine.units import map_tensor
from studio.inventory import Inventory, ModelCard
from studio.request import ControlUse
from studio.schedulers import TABLE
from studio.settings import Settings
from studio.storage.controlnets import describe_controlnet
from studio.storage.inventory import describe
from tests.contract.drive import controlled_run, latents_of, nothing, same
from tests.tiny import make_tiny_adapter, make_tiny_controlnet, make_tiny_model

STEPS = 6
FEW: dict[str, Any] = {"steps": STEPS, "guidance_scale": 4.0, "negative_prompt": "blue", "scheduler": "PLMS"}


def drawn(seed: int, size: tuple[int, int] = (64, 64)) -> Image.Image:
    """A map of noise, so that every pixel counts."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8), "RGB")


MAPS = {"canny": drawn(1), "depth": drawn(2), "pose bgr": drawn(3), "pose pooled": drawn(4)}


@dataclass(frozen=True)
class Place:
    """A model with its ControlNets: ours, and the folders for the stock pipelines."""

    engine: DiffusersEngine
    inventory: Inventory

    def ours(self, *uses: ControlUse, **fields: Any) -> torch.Tensor:
        run = controlled_run(self.engine, self.inventory, [MAPS[use.image] for use in uses], **{**FEW, "controls": uses, **fields})
        return latents_of(run)

    def folder(self, name: str) -> Path:
        return next(card.path for card in self.inventory.controlnets if card.name == name)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, engine: DiffusersEngine, tiny_card: ModelCard) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("controlnets")
    make_tiny_controlnet(root / "canny", seed=1)
    make_tiny_controlnet(root / "depth", seed=2)
    make_tiny_controlnet(root / "pose bgr", seed=3, controlnet_conditioning_channel_order="bgr")
    make_tiny_controlnet(root / "pose pooled", seed=4, global_pool_conditions=True)
    cards = tuple(describe_controlnet(folder.name, folder) for folder in sorted(root.iterdir()))
    diffusers.utils.logging.set_verbosity_error()
    yield Place(engine, Inventory((tiny_card,), controlnets=cards))
    diffusers.utils.logging.set_verbosity_warning()


def unit(name: str, **fields: Any) -> ControlUse:
    kind = {"canny": "sketch", "depth": "depth"}.get(name, "pose")
    return ControlUse.model_validate({"kind": kind, "image": name, "model": name, **fields})


def stock(place: Place, *uses: ControlUse, scheduler: str = "PLMS", **fields: Any) -> torch.Tensor:
    """Return the latents of `StableDiffusionControlNetPipeline.__call__` for the same units."""
    nets = [ControlNetModel.from_pretrained(place.folder(use.image), use_safetensors=True).eval() for use in uses]
    single = len(nets) == 1
    pipeline = StableDiffusionControlNetPipeline.from_pretrained(
        place.inventory.models[0].path,
        controlnet=nets[0] if single else MultiControlNetModel(nets),
        use_safetensors=True,
        local_files_only=True,
    )
    pipeline.set_progress_bar_config(disable=True)
    row = TABLE[scheduler]
    pipeline.scheduler = getattr(diffusers, row.class_name).from_config(copy.deepcopy(pipeline.scheduler.config), **row.options)
    each: dict[str, list[Any]] = {
        "image": [MAPS[use.image] for use in uses],
        "controlnet_conditioning_scale": [use.weight for use in uses],
        "control_guidance_start": [use.start for use in uses],
        "control_guidance_end": [use.end for use in uses],
    }
    return call(pipeline, {name: values[0] if single else values for name, values in each.items()}, **fields)


def call(pipeline: Any, given: dict[str, Any], *, guidance_scale: float = 4.0, pictures: int = 1, **fields: Any) -> torch.Tensor:
    images = pipeline(
        "a red cat",
        negative_prompt="blue",
        num_inference_steps=STEPS,
        guidance_scale=guidance_scale,
        num_images_per_prompt=pictures,
        generator=[torch.Generator().manual_seed(11 + i) for i in range(pictures)],
        output_type="latent",
        **given,
        **fields,
    ).images
    assert isinstance(images, torch.Tensor)
    return images


def test_maps_become_tensors_as_in_the_stock_pipeline() -> None:
    processor = VaeImageProcessor(vae_scale_factor=8, do_convert_rgb=True, do_normalize=False)
    picture = drawn(5, (72, 104))
    assert torch.equal(map_tensor(picture), processor.preprocess(picture, height=104, width=72))


CASES: dict[str, list[ControlUse]] = {
    "one": [unit("canny")],
    "weight": [unit("canny", weight=0.4)],
    "start": [unit("canny", start=0.5)],
    "end": [unit("canny", end=0.5)],
    "a range off the steps": [unit("canny", start=0.2, end=0.9)],
    "bgr": [unit("pose bgr")],
    "pooled": [unit("pose pooled", weight=0.7)],
    "two": [unit("canny", weight=0.8), unit("depth", weight=0.6)],
    "two in turn": [unit("canny", end=0.5), unit("depth", start=0.5, weight=1.3)],
    "three": [unit("canny", weight=0.5, start=0.1), unit("depth", weight=0.3, end=0.7), unit("pose bgr", weight=0.9)],
    "the same net twice": [unit("canny", weight=0.5), unit("canny", weight=0.25)],
}


@pytest.mark.parametrize("case", CASES)
def test_latents_equal_the_stock_pipeline(case: str, place: Place) -> None:
    ours = place.ours(*CASES[case])
    assert same(ours, stock(place, *CASES[case]))
    assert not same(ours, place.ours(), relative=0.01)


@pytest.mark.parametrize("scheduler", ["Euler", "DPM++ 2M Karras", "DDIM", "Heun", "DPM2", "UniPC"])
@pytest.mark.parametrize("case", ["a range off the steps", "two in turn"])
def test_latents_equal_the_stock_pipeline_with_every_way_of_counting_steps(scheduler: str, case: str, place: Place) -> None:
    assert same(place.ours(*CASES[case], scheduler=scheduler), stock(place, *CASES[case], scheduler=scheduler))


@pytest.mark.parametrize("fields", [{"guidance_scale": 1.0}, {"pictures": 2}, {"guidance_scale": 1.0, "pictures": 2}], ids=str)
@pytest.mark.parametrize("case", ["weight", "two"])
def test_batches_and_runs_without_guidance_equal_the_stock_pipeline(case: str, fields: dict[str, Any], place: Place) -> None:
    ours = place.ours(*CASES[case], guidance_scale=fields.get("guidance_scale", 4.0), batch_size=fields.get("pictures", 1))
    assert same(ours, stock(place, *CASES[case], **fields))


@pytest.mark.parametrize("guidance_scale", [1.0, 4.0])
@pytest.mark.parametrize("names", [("canny",), ("canny", "depth")])
def test_the_mode_control_is_the_stock_guess_mode(names: tuple[str, ...], guidance_scale: float, place: Place) -> None:
    uses = [unit(name, weight=0.8, mode="control") for name in names]
    ours = place.ours(*uses, guidance_scale=guidance_scale, batch_size=2)
    assert same(ours, stock(place, *uses, guess_mode=True, guidance_scale=guidance_scale, pictures=2))
    assert not same(
        ours, place.ours(*(unit(name, weight=0.8) for name in names), guidance_scale=guidance_scale, batch_size=2), relative=0.01
    )


def test_the_mode_prompt_scales_each_residual(place: Place) -> None:
    """The stock pipeline with a ControlNet whose outputs are scaled as the A1111 extension scales them."""
    softened = ControlNetModel.from_pretrained(place.folder("canny"), use_safetensors=True)
    outputs = [*softened.controlnet_down_blocks, softened.controlnet_mid_block]
    with torch.no_grad():
        for i, layer in enumerate(outputs):
            for weight in layer.parameters():
                weight *= 0.825 ** (len(outputs) - 1 - i)
    pipeline = StableDiffusionControlNetPipeline.from_pretrained(
        place.inventory.models[0].path, controlnet=softened, use_safetensors=True, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    ours = place.ours(unit("canny", mode="prompt"))
    assert same(ours, call(pipeline, {"image": MAPS["canny"]}))
    assert not same(ours, place.ours(unit("canny")), relative=0.01)


@pytest.mark.parametrize("scheduler", ["Euler a", "DPM++ 2M Karras", "Heun", "DPM++ SDE Karras"])
def test_a_snapshot_goes_on_to_the_same_bytes(scheduler: str, place: Place) -> None:
    uses = [unit("canny", start=0.2, mode="control"), unit("depth", end=0.6)]
    maps = [MAPS[use.image] for use in uses]
    run = controlled_run(place.engine, place.inventory, maps, **{**FEW, "scheduler": scheduler, "controls": uses})
    for _ in range(run.total // 2):
        run.advance()
    kept = run.snapshot()
    finished = latents_of(run)
    # Another run on the same ControlNets in between.
    place.ours(unit("depth", weight=2.0), scheduler=scheduler)
    assert torch.equal(latents_of(kept), finished)


@dataclass(frozen=True)
class AdapterPlace(Place):
    """A model whose levels all see the text, with T2I-Adapters."""


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> Iterator[AdapterPlace]:
    root = tmp_path_factory.mktemp("adapters")
    blocks: dict[str, Any] = {
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    }
    card = describe("Attentive", make_tiny_model(root / "model", **blocks))
    make_tiny_adapter(root / "canny", seed=1, in_channels=1)
    make_tiny_adapter(root / "depth", seed=2)
    make_tiny_controlnet(root / "pose bgr", seed=3, down_block_types=blocks["down_block_types"])
    engine = DiffusersEngine(settings)
    engine.load(card, nothing)
    cards = tuple(describe_controlnet(name, root / name) for name in ("canny", "depth", "pose bgr"))
    yield AdapterPlace(engine, Inventory((card,), controlnets=cards))
    engine.close()


def stock_adapter(place: Place, *uses: ControlUse, **fields: Any) -> torch.Tensor:
    nets = [T2IAdapter.from_pretrained(place.folder(use.image), use_safetensors=True).eval() for use in uses]
    single = len(nets) == 1
    pipeline = StableDiffusionAdapterPipeline.from_pretrained(
        place.inventory.models[0].path, adapter=nets[0] if single else MultiAdapter(nets), use_safetensors=True, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    maps = [MAPS[use.image].convert("L" if net.config.in_channels == 1 else "RGB") for use, net in zip(uses, nets, strict=True)]
    weights = [use.weight for use in uses]
    given = {"image": maps[0] if single else maps, "adapter_conditioning_scale": weights[0] if single else weights}
    return call(pipeline, given, **fields)


@pytest.mark.parametrize("uses", [[unit("canny")], [unit("depth", weight=0.6)]], ids=["grey", "colours"])
@pytest.mark.parametrize("fields", [{}, {"guidance_scale": 1.0}, {"pictures": 2}], ids=str)
def test_adapters_equal_the_stock_pipeline(uses: list[ControlUse], fields: dict[str, Any], adapters: AdapterPlace) -> None:
    ours = adapters.ours(*uses, guidance_scale=fields.get("guidance_scale", 4.0), batch_size=fields.get("pictures", 1))
    assert same(ours, stock_adapter(adapters, *uses, **fields))
    assert not same(ours[:1], adapters.ours(guidance_scale=fields.get("guidance_scale", 4.0)), relative=0.01)


def test_two_adapters_equal_the_stock_pipeline(adapters: AdapterPlace, tmp_path: Path) -> None:
    other = describe_controlnet("pose bgr", make_tiny_adapter(tmp_path / "pose", seed=5))
    place = replace(adapters, inventory=replace(adapters.inventory, controlnets=(*adapters.inventory.controlnets[:2], other)))
    uses = [unit("depth", weight=0.6), unit("pose bgr", weight=0.3)]
    assert same(place.ours(*uses), stock_adapter(place, *uses))


def test_an_adapter_beside_a_controlnet_and_its_modes_and_range_act(adapters: AdapterPlace) -> None:
    both = adapters.ours(unit("depth"), unit("pose bgr"))
    seen = [both, adapters.ours(unit("depth")), adapters.ours(unit("pose bgr")), adapters.ours()]
    seen += [adapters.ours(unit("depth", mode=mode), unit("pose bgr")) for mode in ("prompt", "control")]
    seen += [adapters.ours(unit("depth", end=0.5), unit("pose bgr"))]
    for i, left in enumerate(seen):
        assert not any(same(left, right, relative=0.001) for right in seen[i + 1 :])
