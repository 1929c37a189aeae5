"""LoRAs on the real engine: the stock pipeline's latents, told coverage, and a base model that nothing ever changes."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

from studio.engine import adapters
from studio.engine.diffusers_engine import DiffusersEngine
from studio.engine.runs import DiffusersRun
from studio.errors import BadLora, InvalidRequest, StudioError
from studio.inventory import Inventory, ModelCard
from studio.loras.safetensors_header import read_raw
from studio.plan import Plan, resolve
from studio.request import GenerationRequest
from studio.settings import Settings
from studio.storage.loras import LoraFolders
from tests.contract.drive import latents_of, run_of, same
from tests.contract.test_engine_runs import counted
from tests.lora_files import attention_of_sd, write_lora

Shapes = dict[str, tuple[int, ...]]


@pytest.fixture
def engine(settings: Settings, tiny_card: ModelCard) -> Iterator[DiffusersEngine]:
    """An engine of the test's own."""
    engine = DiffusersEngine(settings)
    engine.load(tiny_card, quiet)
    yield engine
    engine.close()


def quiet(fraction: float, message: str) -> None:
    """Hear progress and say nothing."""


def modules(card: ModelCard, part: str, *marks: str) -> Shapes:
    """Return the weights of a model's part whose names hold one of the marks."""
    file = next((card.path / part).glob("*.safetensors"))
    weights = {key.removesuffix(".weight"): one.shape for key, one in read_raw(file).tensors.items() if key.endswith(".weight")}
    return {name: shape for name, shape in weights.items() if len(shape) in (2, 4) and any(mark in name for mark in marks)}


ATTENTION = ("attn1", "attn2", "proj_in", "ff.net")
TEXT = ("q_proj", "v_proj", "fc1")


def plan_of(card: ModelCard, folder: Path, *uses: tuple[str, float] | tuple[str, float, float], **fields: Any) -> Plan:
    """Plan a request with LoRAs of a folder: (name, weight) or (name, weight, text weight)."""
    loras = [{"name": use[0], "weight": use[1], "text_encoder_weight": use[2] if len(use) > 2 else None} for use in uses]
    request = GenerationRequest.parse({"prompt": "a red cat", "seed": 11, "steps": 4, "scheduler": "PLMS", "loras": loras, **fields})
    return resolve(request, Inventory((card,), loras=LoraFolders([folder]).read()[0]), entropy=0)


def run_with(engine: DiffusersEngine, plan: Plan) -> DiffusersRun:
    engine.prepare(plan, quiet)
    return engine.start(plan)


def fingerprint(engine: DiffusersEngine) -> str:
    """Return a hash of every weight and buffer, name by name, and of how many hooks hang on the modules."""
    assert engine._model is not None
    found = hashlib.sha256()
    for root in (engine._model.unet, engine._model.text._model):
        for name, tensor in root.state_dict().items():
            found.update(name.encode() + tensor.numpy().tobytes())
        found.update(str(sum(len(module._forward_hooks) for module in root.modules())).encode())
    return found.hexdigest()


def stock(card: ModelCard, files: list[Path], weights: list[Any]) -> torch.Tensor:
    """Return the stock pipeline's latents with its own LoRA loading."""
    pipeline = StableDiffusionPipeline.from_pretrained(card.path, use_safetensors=True, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    for file in files:
        pipeline.load_lora_weights(file.parent, weight_name=file.name, adapter_name=file.stem)
    pipeline.set_adapters([file.stem for file in files], weights)
    generator = torch.Generator().manual_seed(11)
    return pipeline("a red cat", num_inference_steps=4, guidance_scale=3.0, generator=generator, output_type="latent").images


@pytest.mark.parametrize("dialect", ["kohya", "peft"])
def test_latents_equal_the_stock_pipeline(engine: DiffusersEngine, tiny_card: ModelCard, tmp_path: Path, dialect: str) -> None:
    text = ("fc1", "fc2") if dialect == "kohya" else TEXT
    both = modules(tiny_card, "unet", *ATTENTION) | modules(tiny_card, "text_encoder", *text)
    options: dict[str, Any] = {"alpha": 2.0} if dialect == "kohya" else {}
    file = write_lora(tmp_path / "look.safetensors", both, dialect=dialect, size=0.3, **options)
    plan = plan_of(tiny_card, tmp_path, ("look", 0.7))
    assert plan.loras[0].card.verdict(tiny_card).state == "fits"
    ours = latents_of(run_with(engine, plan))
    assert same(ours, stock(tiny_card, [file], [0.7]))
    assert not same(ours, latents_of(run_of(engine, tiny_card, scheduler="PLMS")), relative=0.05)


def test_settings_that_come_later_count_at_once(engine: DiffusersEngine, tiny_card: ModelCard, tmp_path: Path) -> None:
    """Who is told that a file does not say how strong it was meant puts peft's settings beside it."""
    extra = {}
    for name, (wide, deep) in modules(tiny_card, "unet", "attn2.to_").items():
        extra[f"base_model.model.{name}.lora_A.weight"] = np.random.default_rng(1).normal(0, 0.3, (4, deep)).astype("float32")
        extra[f"base_model.model.{name}.lora_B.weight"] = np.random.default_rng(2).normal(0, 0.3, (wide, 4)).astype("float32")
    write_lora(tmp_path / "late.safetensors", {}, extra=extra)
    weak = latents_of(run_with(engine, plan_of(tiny_card, tmp_path, ("late", 1.0))))
    (tmp_path / "adapter_config.json").write_text('{"r": 4, "lora_alpha": 8}')
    assert same(latents_of(run_with(engine, plan_of(tiny_card, tmp_path, ("late", 0.5)))), weak)


def test_kohyas_text_attention_counts_too(engine: DiffusersEngine, tiny_card: ModelCard, tmp_path: Path) -> None:
    # diffusers 0.42 over transformers 5 loses just these keys without a word, so the same numbers in peft's keys are the measure.
    text = modules(tiny_card, "text_encoder", "_proj")
    assert len(text) == 8
    write_lora(tmp_path / "kohya.safetensors", text, size=0.3, alpha=4.0)
    file = write_lora(tmp_path / "peft.safetensors", text, size=0.3, dialect="peft")
    ours = latents_of(run_with(engine, plan_of(tiny_card, tmp_path, ("kohya", 1.0))))
    assert same(ours, stock(tiny_card, [file], [1.0]))
    assert not same(ours, latents_of(run_of(engine, tiny_card, scheduler="PLMS")), relative=0.01)


def test_two_at_once_with_text_weights_of_their_own_equal_the_stock_pipeline(
    engine: DiffusersEngine, tiny_card: ModelCard, tmp_path: Path
) -> None:
    both = modules(tiny_card, "unet", "attn2") | modules(tiny_card, "text_encoder", *TEXT)
    one = write_lora(tmp_path / "one.safetensors", both, dialect="peft", size=0.3)
    two = write_lora(tmp_path / "two.safetensors", both, dialect="peft", rank=2, size=0.3, seed=1)
    weights = [{"unet": 0.5, "text_encoder": -1.0}, {"unet": -0.75, "text_encoder": 0.25}]
    ours = latents_of(run_with(engine, plan_of(tiny_card, tmp_path, ("one", 0.5, -1.0), ("two", -0.75, 0.25))))
    assert same(ours, stock(tiny_card, [one, two], weights))


def test_convolutions_equal_the_stock_pipeline(engine: DiffusersEngine, tiny_card: ModelCard, tmp_path: Path) -> None:
    file = write_lora(
        tmp_path / "con.safetensors", modules(tiny_card, "unet", "resnets", "downsamplers", "proj_out"), dialect="peft", size=0.2
    )
    assert same(latents_of(run_with(engine, plan_of(tiny_card, tmp_path, ("con", 1.0)))), stock(tiny_card, [file], [1.0]))


def test_alpha_settings_of_peft_equal_the_stock_pipeline(engine: DiffusersEngine, tiny_card: ModelCard, tmp_path: Path) -> None:
    metadata = {"lora_adapter_metadata": json.dumps({"unet.r": 4, "unet.lora_alpha": 16, "unet.target_modules": ["to_q", "to_k"]})}
    chosen = {name: shape for name, shape in modules(tiny_card, "unet", "attn1").items() if name.endswith(("to_q", "to_k"))}
    file = write_lora(tmp_path / "a.safetensors", chosen, dialect="peft", size=0.2, metadata=metadata)
    ours = latents_of(run_with(engine, plan_of(tiny_card, tmp_path, ("a", 1.0))))
    assert same(ours, stock(tiny_card, [file], [1.0]))
    write_lora(file, chosen, dialect="peft", size=0.2)
    assert not same(ours, latents_of(run_with(engine, plan_of(tiny_card, tmp_path, ("a", 1.0)))), relative=0.01)


def test_weight_zero_is_the_base_bit_by_bit_and_reads_no_file(engine: DiffusersEngine, tiny_card: ModelCard, tmp_path: Path) -> None:
    base = latents_of(run_with(engine, plan_of(tiny_card, tmp_path)))
    file = write_lora(tmp_path / "look.safetensors", modules(tiny_card, "unet", "attn1") | modules(tiny_card, "text_encoder", *TEXT))
    plan = plan_of(tiny_card, tmp_path, ("look", 0.0))
    file.unlink()
    assert torch.equal(latents_of(run_with(engine, plan)), base)


def test_coverage_full_half_zero_and_other_family(engine: DiffusersEngine, tiny_card: ModelCard, tmp_path: Path) -> None:
    before = fingerprint(engine)
    full = modules(tiny_card, "unet", "attn1")
    half = {name if i % 2 else f"{name}x": shape for i, (name, shape) in enumerate(full.items())}
    files: dict[str, Any] = {
        "full": full,
        "half": half,
        "zero": {f"{name}x": shape for name, shape in full.items()},
        "xl": attention_of_sd(2048),
    }
    for name, shapes in files.items():
        write_lora(tmp_path / f"{name}.safetensors", shapes)
    assert plan_of(tiny_card, tmp_path, ("full", 1.0)).notices == ()
    plan = plan_of(tiny_card, tmp_path, ("half", 1.0))
    assert plan.notices[0].startswith(
        f"half applies only in part to Tiny (modules: {len(full) // 2} of {len(full)} in the U-Net); left out"
    )
    run = run_with(engine, plan)
    assert len(run.loras.unet[0][0]) == len(full) // 2
    with pytest.raises(InvalidRequest, match=r"loras\[0\]: None of the \d+ modules of zero, .* so it would change nothing"):
        plan_of(tiny_card, tmp_path, ("zero", 1.0))
    with pytest.raises(InvalidRequest, match=r"xl was made for Stable Diffusion XL \(text width 2048\), and Tiny is"):
        plan_of(tiny_card, tmp_path, ("xl", 1.0))
    assert fingerprint(engine) == before


DAMAGES = {
    "cut": lambda content: content[:-10],
    "nan": lambda content: content[:-4] + b"\xff\xff\xff\x7f",
    "other": lambda content: content,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_failed_load_leaves_nothing_behind(engine: DiffusersEngine, tiny_card: ModelCard, tmp_path: Path, damage: str) -> None:
    base, before = latents_of(run_with(engine, plan_of(tiny_card, tmp_path))), fingerprint(engine)
    file = write_lora(tmp_path / "look.safetensors", modules(tiny_card, "unet", "attn1"))
    plan = plan_of(tiny_card, tmp_path, ("look", 1.0))
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    if damage == "nan":
        plan = plan_of(tiny_card, tmp_path, ("look", 1.0))
    with pytest.raises(BadLora) as caught:
        engine.prepare(plan, quiet)
    assert "\n" not in str(caught.value)
    with pytest.raises(StudioError, match="The LoRA look is not loaded"):
        engine.start(plan)
    assert engine._model is not None and len(engine._model.adapters) == 0
    assert fingerprint(engine) == before
    assert torch.equal(latents_of(run_with(engine, plan_of(tiny_card, tmp_path))), base)


def test_fifty_switches_come_back_to_the_first_bytes(engine: DiffusersEngine, tiny_card: ModelCard, tmp_path: Path) -> None:
    both = modules(tiny_card, "unet", *ATTENTION) | modules(tiny_card, "text_encoder", *TEXT)
    for i, dialect in enumerate(("kohya", "peft")):
        write_lora(tmp_path / f"{dialect}.safetensors", both, dialect=dialect, seed=i, size=0.3)
    before = fingerprint(engine)
    plans = [
        plan_of(tiny_card, tmp_path, *uses, steps=2) for uses in ([], [("kohya", 1.0)], [("peft", 0.5)], [("peft", 1.0), ("kohya", 0.5)])
    ]
    first = [latents_of(run_with(engine, plan)) for plan in plans]
    assert len({tuple(latents.flatten().tolist()) for latents in first}) == 4
    for i in range(50):
        turn = (i * 7 + 3) % 4
        assert torch.equal(latents_of(run_with(engine, plans[turn])), first[turn])
    assert torch.equal(latents_of(run_with(engine, plans[0])), first[0])
    assert fingerprint(engine) == before


def test_runs_with_different_loras_take_turns_undisturbed(engine: DiffusersEngine, tiny_card: ModelCard, tmp_path: Path) -> None:
    both = modules(tiny_card, "unet", "attn1") | modules(tiny_card, "text_encoder", *TEXT)
    write_lora(tmp_path / "a.safetensors", both)
    write_lora(tmp_path / "b.safetensors", both, seed=1)
    plans = [plan_of(tiny_card, tmp_path, *uses) for uses in ([], [("a", 1.0)], [("b", -0.5)])]
    alone = [latents_of(run_with(engine, plan)) for plan in plans]
    runs = [run_with(engine, plan) for plan in plans]
    twins = []
    for step in range(runs[0].total):
        if step == 2:
            twins = [run.snapshot() for run in runs]
        for run in runs:
            run.advance()
    for latents, run, twin in zip(alone, runs, reversed(twins), strict=True):
        assert torch.equal(run.latents, latents)
        latents_of(twin)
    assert all(torch.equal(twin.latents, latents) for twin, latents in zip(twins, alone, strict=True))


def test_prompts_are_remembered_by_their_text_loras(engine: DiffusersEngine, tiny_card: ModelCard, tmp_path: Path) -> None:
    write_lora(tmp_path / "text.safetensors", modules(tiny_card, "text_encoder", *TEXT))
    write_lora(tmp_path / "unet.safetensors", modules(tiny_card, "unet", "attn1"))
    encoder = run_of(engine, tiny_card).model.text._model
    with counted(encoder) as rows:
        run_with(engine, plan_of(tiny_card, tmp_path, ("unet", 1.0)))
        assert len(rows) == 0
        run_with(engine, plan_of(tiny_card, tmp_path, ("text", 1.0)))
        run_with(engine, plan_of(tiny_card, tmp_path, ("text", 1.0)))
        assert len(rows) == 2
        run_with(engine, plan_of(tiny_card, tmp_path, ("text", 1.0, 0.5)))
        assert len(rows) == 4
        run_with(engine, plan_of(tiny_card, tmp_path, ("text", 1.0, 0.0)))
        run_with(engine, plan_of(tiny_card, tmp_path))
        assert len(rows) == 4


def test_memory_is_bounded_and_what_runs_goes_on(
    engine: DiffusersEngine, tiny_card: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(4):
        write_lora(tmp_path / f"l{i}.safetensors", modules(tiny_card, "unet", "attn1"), seed=i)
    plans = [plan_of(tiny_card, tmp_path, (f"l{i}", 1.0)) for i in range(4)]
    alone = latents_of(run_with(engine, plans[0]))
    running = run_with(engine, plans[0])
    assert engine._model is not None
    size = next(iter(engine._model.adapters._kept.values())).bytes
    monkeypatch.setattr(adapters, "RESIDENT_BYTES", 2 * size)
    for plan in plans[1:]:
        running.advance()
        run_with(engine, plan).advance()
        assert len(engine._model.adapters) <= 2
    assert torch.equal(latents_of(running), alone)
    assert torch.equal(latents_of(run_with(engine, plans[0])), alone)


def test_a_file_that_was_replaced_is_read_anew(engine: DiffusersEngine, tiny_card: ModelCard, tmp_path: Path) -> None:
    shapes = modules(tiny_card, "unet", "attn1")
    write_lora(tmp_path / "look.safetensors", shapes)
    first = latents_of(run_with(engine, plan_of(tiny_card, tmp_path, ("look", 1.0))))
    write_lora(tmp_path / "look.safetensors", shapes, seed=9)
    assert not torch.equal(latents_of(run_with(engine, plan_of(tiny_card, tmp_path, ("look", 1.0)))), first)


def test_half_precision_models_take_loras_of_any_format(settings: Settings, tiny_card: ModelCard, tmp_path: Path) -> None:
    engine = DiffusersEngine(replace(settings, precision="bfloat16"))
    engine.load(tiny_card, quiet)
    both = modules(tiny_card, "unet", *ATTENTION) | modules(tiny_card, "text_encoder", *TEXT)
    write_lora(tmp_path / "half.safetensors", both, dtype="float16")
    write_lora(tmp_path / "full.safetensors", both, dtype="float64", seed=1)
    base = latents_of(run_with(engine, plan_of(tiny_card, tmp_path)))
    for name in ("half", "full"):
        adapted = latents_of(run_with(engine, plan_of(tiny_card, tmp_path, (name, 0.5))))
        assert bool(torch.isfinite(adapted).all()) and not torch.equal(adapted, base)
    assert torch.equal(latents_of(run_with(engine, plan_of(tiny_card, tmp_path))), base)
    engine.close()


def test_an_alpha_that_is_no_number_is_refused(engine: DiffusersEngine, tiny_card: ModelCard, tmp_path: Path) -> None:
    shapes = dict(list(modules(tiny_card, "unet", "attn1").items())[:1])
    stem = "lora_unet_" + next(iter(shapes)).replace(".", "_")
    write_lora(tmp_path / "a.safetensors", shapes, extra={f"{stem}.alpha": np.ones(3, "float32")})
    with pytest.raises(BadLora, match="its alpha is no single number"):
        engine.prepare(plan_of(tiny_card, tmp_path, ("a", 1.0)), quiet)
