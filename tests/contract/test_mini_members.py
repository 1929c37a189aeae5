"""Mini's ControlNets and LoRAs are what stock diffusers reads: fresh exports on the committed base, and the committed members."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import ControlNetModel
from safetensors import safe_open

from assets.mini.evaluate.control import agreement, edge_f1, overlap
from assets.mini.evaluate.sampling import Settings, draw, load_control_pipeline, load_pipeline
from assets.mini.export import ALPHA, CONTROLNETS, KOHYA, LORAS, export, lora_facts, write_lora
from assets.mini.models import new_controlnet
from assets.mini.train.adapters import MEMBERS, TEXT_LAYERS, UNET_LAYERS, adapt, kohya_keys, pairs, peft_keys, take_over
from assets.mini.train.lora import Painter
from assets.mini.world.maps import draw_pose, joints
from assets.mini.world.scene import sample_posed
from assets.mini.world.styles import STYLES

LIMIT = 45 * 2**20
ALL = 80 * 2**20
PROMPT = ["a red cube on grass"]
SHORT = Settings(steps=2)


@pytest.fixture(scope="module")
def pipeline() -> Any:
    return load_pipeline()


@pytest.fixture(scope="module")
def additions(pipeline: Any) -> dict[str, torch.Tensor]:
    """Random low-rank additions to a copy of the base."""
    import copy

    state: dict[str, torch.Tensor] = {}
    torch.manual_seed(0)
    for member, module, layers in (("unet", pipeline.unet, UNET_LAYERS), ("text_encoder", pipeline.text_encoder, TEXT_LAYERS)):
        adapted = copy.deepcopy(module)
        adapt(adapted, layers)
        state |= {f"{member}.{name}": torch.randn_like(value) * 0.02 for name, value in adapted.state_dict().items() if "lora_" in name}
    return state


def test_an_untrained_controlnet_changes_nothing(pipeline: Any, tmp_path: Path) -> None:
    export("sketch", new_controlnet(pipeline.unet), tmp_path)
    control = load_control_pipeline(tmp_path / "sketch")
    assert sum(path.stat().st_size for path in (tmp_path / "sketch").iterdir()) < 12 * 2**20
    maps = np.full((1, 256, 256, 3), 255, np.uint8)
    steered, plain = draw(control, PROMPT, [1], SHORT, maps), draw(pipeline, PROMPT, [1], SHORT)
    assert np.abs(steered.astype(int) - plain).max() <= 1


@pytest.mark.parametrize("name", ["ink", "clay"])
def test_both_key_formats_load_whole(name: str, pipeline: Any, additions: dict[str, torch.Tensor], tmp_path: Path) -> None:
    plain = draw(pipeline, PROMPT, [1], SHORT)
    state = kohya_keys(additions, ALPHA) if name in KOHYA else peft_keys(additions)
    write_lora(tmp_path / f"{name}.safetensors", state, lora_facts(name))
    pipeline.load_lora_weights(tmp_path, weight_name=f"{name}.safetensors", adapter_name=name)
    try:
        for member, module in (("unet", pipeline.unet), ("text_encoder", pipeline.text_encoder)):
            loaded = sum(name in getattr(part, "lora_A", {}) for part in module.modules())
            assert loaded == len(list(pairs(additions, member))) > 0
        changed = draw(pipeline, PROMPT, [1], SHORT)
        pipeline.set_adapters([name], [0.0])
        assert np.abs(changed.astype(int) - plain).mean() > 1
        assert np.array_equal(draw(pipeline, PROMPT, [1], SHORT), plain)
    finally:
        pipeline.unload_lora_weights()


@pytest.mark.parametrize("name", ["ink", "clay"])
def test_training_takes_over_what_a_file_holds(name: str, pipeline: Any, additions: dict[str, torch.Tensor]) -> None:
    import copy

    keys = kohya_keys(additions, ALPHA) if name in KOHYA else peft_keys(additions)
    fresh = Painter(copy.deepcopy(pipeline.unet), copy.deepcopy(pipeline.text_encoder))
    adapt(fresh.unet, UNET_LAYERS)
    adapt(fresh.text_encoder, TEXT_LAYERS)
    assert take_over(fresh, keys) == sum(len(list(pairs(additions, member))) for member in MEMBERS)
    state = fresh.state_dict()
    assert all(torch.allclose(state[key], value, rtol=2e-3, atol=1e-5) for key, value in additions.items())
    # What has other shapes, as after a change of the rank, begins anew.
    assert take_over(fresh, {key: value[:, :1] if value.ndim > 1 else value for key, value in keys.items()}) == 0


def test_a_skeleton_is_drawn_as_controlnet_aux_draws_it() -> None:
    from controlnet_aux.open_pose.body import Keypoint
    from controlnet_aux.open_pose.util import draw_bodypose

    for seed in range(20):
        points = joints(sample_posed(seed))
        points[seed % 18] = np.nan
        people = [None if np.isnan(x) else Keypoint(float(x) / 256, float(y) / 256) for x, y in points]
        assert np.array_equal(draw_pose([points]), draw_bodypose(np.zeros((256, 256, 3), np.uint8), people))


def test_measures_of_obedience() -> None:
    line, beside, far = (np.zeros((64, 64), np.uint8) for _ in range(3))
    line[20], beside[22], far[40] = 255, 255, 255
    assert edge_f1(line, line) == edge_f1(line, beside) == 1
    assert edge_f1(line, far) == edge_f1(line, np.zeros_like(line)) == 0
    left, right = np.zeros((1, 4, 4), bool), np.zeros((1, 4, 4), bool)
    left[0, :2], right[0, 1:3] = True, True
    assert overlap(left, right) == pytest.approx(1 / 3)
    slope = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    assert agreement(slope**2, slope, np.ones((1, 4, 4), bool)) == pytest.approx(1)


@pytest.mark.parametrize("kind", ["sketch", "depth", "pose"])
def test_committed_controlnets(kind: str) -> None:
    if not (CONTROLNETS / kind).exists():
        pytest.skip(f"the {kind} ControlNet is not trained yet")
    control: Any = ControlNetModel.from_pretrained(CONTROLNETS / kind, local_files_only=True)
    assert control.config.in_channels == 32
    assert control.config.cross_attention_dim == 128
    assert len(control.config.conditioning_embedding_out_channels) == 5
    assert any(block.weight.abs().max() > 0 for block in control.controlnet_down_blocks)


@pytest.mark.parametrize("name", STYLES)
def test_committed_loras(name: str) -> None:
    path = LORAS / f"{name}.safetensors"
    if not path.exists():
        pytest.skip(f"the {name} LoRA is not trained yet")
    with safe_open(path, "pt") as file:
        facts, keys = file.metadata(), list(file.keys())
    assert facts["modelspec.trigger_phrase"] == STYLES[name].trigger
    assert facts["ss_base_model_version"] == "Mini"
    assert all(key.startswith("lora_") for key in keys) == (name in KOHYA)
    assert path.with_suffix(".png").exists()


def test_everything_together_stays_small() -> None:
    sizes = [path.stat().st_size for path in CONTROLNETS.parent.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert max(sizes) < LIMIT
    assert sum(sizes) < ALL
