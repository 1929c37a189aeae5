"""What a run costs and where it can go: guidance, the prompt cache, sizes, previews, overflow."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny, StableDiffusionPipeline

from studio.engine.decode import decode
from studio.engine.diffusers_engine import DiffusersEngine
from studio.engine.estimate import Blend
from studio.engine.previews import PREVIEWERS, Latest
from studio.errors import StudioError
from studio.inventory import ModelCard
from studio.schedulers import TABLE
from studio.settings import PreviewName, Settings
from studio.storage.inventory import describe
from tests.contract.drive import latents_of, run_of, same
from tests.tiny import make_tiny_model


@contextmanager
def counted(module: torch.nn.Module) -> Iterator[list[int]]:
    """Note how many rows each forward pass of a module takes."""
    rows: list[int] = []

    def note(_: Any, positional: tuple[torch.Tensor, ...], named: dict[str, torch.Tensor]) -> None:
        rows.append(len(positional[0] if positional else named["input_ids"]))

    handle = module.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield rows
    finally:
        handle.remove()


def test_guidance_one_halves_the_rows(engine: DiffusersEngine, tiny_card: ModelCard) -> None:
    run = run_of(engine, tiny_card, guidance_scale=3.0, batch_size=2)
    with counted(run.model.unet) as rows:
        latents_of(run)
    assert rows == [4] * 4
    run = run_of(engine, tiny_card, guidance_scale=1.0, batch_size=2)
    with counted(run.model.unet) as rows:
        latents_of(run)
    assert rows == [2] * 4


def test_known_prompts_cost_no_encoder_forward(engine: DiffusersEngine, tiny_card: ModelCard) -> None:
    encoder = run_of(engine, tiny_card).model.text._model
    with counted(encoder) as rows:
        run_of(engine, tiny_card, prompt="never seen before", negative_prompt="nor this")
        assert len(rows) == 2
        run_of(engine, tiny_card, prompt="never seen before", negative_prompt="nor this", seed=5, batch_size=4)
        run_of(engine, tiny_card, prompt="nor this", negative_prompt="never seen before")
        assert len(rows) == 2
        for i in range(70):
            run_of(engine, tiny_card, prompt=f"number {i}")
        run_of(engine, tiny_card, prompt="never seen before")
        assert len(rows) >= 2 + 70 + 1


@pytest.mark.parametrize("prompt", ["", "a red cat " * 200, "🎈 مرحبا 日本語\n\t", "<|endoftext|> a"])
def test_prompts_are_encoded_as_the_stock_pipeline_does(prompt: str, engine: DiffusersEngine, tiny_card: ModelCard) -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(tiny_card.path, use_safetensors=True, local_files_only=True)
    expected = pipeline.encode_prompt(prompt, "cpu", 1, False)[0]
    assert same(run_of(engine, tiny_card).model.text.encode(prompt), expected, relative=1e-5)


def test_picture_equals_the_stock_pipeline(engine: DiffusersEngine, tiny_card: ModelCard) -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(tiny_card.path, use_safetensors=True, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    options = {"num_inference_steps": 4, "guidance_scale": 3.0, "width": 96, "height": 64}
    theirs = pipeline("a red cat", generator=torch.Generator().manual_seed(11), **options).images[0]
    run = run_of(engine, tiny_card, scheduler="PLMS", width=96, height=64)
    latents_of(run)
    ours = next(run.finish())
    assert ours.size == (96, 64) and ours.mode == "RGB"
    assert np.abs(np.asarray(ours, int) - np.asarray(theirs, int)).max() <= 1


@pytest.mark.parametrize("size", [(72, 104), (64, 200)])
def test_sizes_off_the_unets_grid_come_out(size: tuple[int, int], engine: DiffusersEngine, tiny_card: ModelCard) -> None:
    run = run_of(engine, tiny_card, steps=2, width=size[0], height=size[1])
    latents_of(run)
    assert next(run.finish()).size == size


def test_distilled_guidance_equals_the_stock_pipeline(tmp_path: Path, settings: Settings) -> None:
    card = describe("Distilled", make_tiny_model(tmp_path / "distilled", time_cond_proj_dim=16))
    engine = DiffusersEngine(settings)
    engine.load(card, lambda *_: None)
    run = run_of(engine, card, scheduler="PLMS", guidance_scale=6.0)
    assert not run.guided
    pipeline = StableDiffusionPipeline.from_pretrained(card.path, use_safetensors=True, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(11)
    theirs = pipeline("a red cat", num_inference_steps=4, guidance_scale=6.0, generator=generator, output_type="latent").images
    assert same(latents_of(run), theirs)


@pytest.mark.parametrize("name", list(TABLE))
def test_preview_at_the_last_step_shows_the_result(name: str, engine: DiffusersEngine, tiny_card: ModelCard) -> None:
    # At the last evaluation there is hardly any noise left, so x0 and the final latents are the same picture.
    run = run_of(engine, tiny_card, scheduler=name, steps=20, guidance_scale=1.0)
    latents_of(run)
    latest, final = run.latest, run.latents
    assert latest is not None
    estimate = latest.estimate()
    bound = 0.35 if TABLE[name].stochastic or "Beta" in name else 0.2
    assert (estimate - final).abs().mean() < bound * final.abs().mean()


def test_preview_keeps_its_step_while_the_run_goes_on(engine: DiffusersEngine, tiny_card: ModelCard) -> None:
    for name in ("Euler", "DPM++ 2M", "Euler a", "DDIM", "PLMS", "UniPC", "Heun", "LMS", "LCM"):
        run = run_of(engine, tiny_card, scheduler=name, batch_size=2, width=96)
        run.advance()
        draw = run.preview()
        assert draw is not None
        before = [picture.tobytes() for picture in draw()]
        latents_of(run)
        after = draw()
        assert [picture.tobytes() for picture in after] == before
        assert [(picture.mode, picture.size) for picture in after] == [("RGB", (24, 16))] * 2


def test_previews_improve_with_finished_pictures(settings: Settings, tiny_card: ModelCard) -> None:
    engine = DiffusersEngine(settings)
    engine.load(tiny_card, lambda *_: None)

    def error() -> float:
        run = run_of(engine, tiny_card, seed=99, guidance_scale=2.0)
        final = latents_of(run)
        assert run.model.previewer is not None
        draw = run.model.previewer.begin(Latest(final, torch.zeros_like(final), Blend(keep=1.0, take=0.0)))
        drawn = np.asarray(draw()[0].resize((8, 8), 4), float)
        wanted = decode(run.model.vae, final)[0].reshape(8, 8, 8, 8, 3).mean((1, 3)) * 255
        return float(np.abs(drawn - wanted).mean())

    first = error()
    for seed in range(12):
        run = run_of(engine, tiny_card, seed=seed, guidance_scale=2.0)
        latents_of(run)
        list(run.finish())
    assert error() < 0.7 * first


def test_previews_can_be_off(settings: Settings, tiny_card: ModelCard) -> None:
    engine = DiffusersEngine(replace(settings, preview="none"))
    engine.load(tiny_card, lambda *_: None)
    run = run_of(engine, tiny_card)
    run.advance()
    assert run.preview() is None


def test_preview_decoder_is_used_where_there_is_one(tmp_path: Path, settings: Settings) -> None:
    folder = make_tiny_model(tmp_path / "with-decoder")
    with torch.random.fork_rng():
        tiny = AutoencoderTiny(
            encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8), num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1)
        )
    tiny.save_pretrained(folder / "preview_decoder")
    engine = DiffusersEngine(replace(settings, preview="decoder"))
    card = describe("With decoder", folder)
    engine.load(card, lambda *_: None)
    run = run_of(engine, card, width=96)
    run.advance()
    draw = run.preview()
    assert draw is not None and draw()[0].size == (24, 16) and draw()[0].mode == "RGB"


@pytest.mark.parametrize("method", [name for name in PREVIEWERS if name != "none"])
def test_every_preview_method_draws_a_picture_per_row(method: PreviewName, settings: Settings, tiny_card: ModelCard) -> None:
    engine = DiffusersEngine(replace(settings, preview=method))
    engine.load(tiny_card, lambda *_: None)
    run = run_of(engine, tiny_card, batch_size=2, width=96)
    run.advance()
    draw = run.preview()
    assert draw is not None
    first, second = draw()
    assert first.mode == "RGB" and first.width * 2 == first.height * 3 and first.tobytes() != second.tobytes()
    latents_of(run)
    assert len(list(run.finish())) == 2


def test_overflow_is_one_sentence(engine: DiffusersEngine, tiny_card: ModelCard) -> None:
    run = run_of(engine, tiny_card)
    run.latents = run.latents * float("nan")
    with pytest.raises(StudioError, match="The picture overflowed in float32"):
        list(run.finish())


def test_large_pictures_are_decoded_in_tiles(engine: DiffusersEngine, tiny_card: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    model = run_of(engine, tiny_card).model
    latents = torch.randn(2, 4, 16, 24, generator=torch.Generator().manual_seed(0))
    whole = decode(model.vae, latents)
    monkeypatch.setattr("studio.engine.decode.TILED_ABOVE", 64 * 64)
    tiled = decode(model.vae, latents)
    assert whole.shape == tiled.shape == (2, 128, 192, 3)
    assert model.vae.use_tiling
    assert np.abs(whole - tiled).mean() < 0.1
    monkeypatch.undo()
    assert np.array_equal(decode(model.vae, latents), whole)
