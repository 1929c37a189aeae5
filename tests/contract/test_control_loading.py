"""ControlNets in memory: read once and shared, no work where they do not act, and damage that is named and leaves the model as it was."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from studio.engine import controls
from studio.engine.diffusers_engine import DiffusersEngine
from studio.engine.runs import DiffusersRun
from studio.errors import BrokenModel, InvalidRequest, OutOfMemory, Stopped, StudioError
from studio.inventory import ControlNetCard, Inventory, ModelCard
from studio.plan import resolve
from studio.request import ControlUse, GenerationRequest
from studio.settings import Settings
from studio.storage.controlnets import describe_controlnet
from studio.storage.inventory import DiskInventory, describe
from tests.contract.drive import controlled_run, latents_of, nothing, run_of
from tests.contract.test_control_equality import drawn
from tests.contract.test_engine_loading import change, cut, delete, write
from tests.contract.test_engine_runs import counted
from tests.tiny import make_tiny_adapter, make_tiny_controlnet, make_tiny_model

WEIGHTS = "diffusion_pytorch_model.safetensors"
MAP = drawn(1)


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> tuple[ControlNetCard, ...]:
    root = tmp_path_factory.mktemp("controlnets")
    return tuple(describe_controlnet(f"{i} canny", make_tiny_controlnet(root / f"{i} canny", seed=i)) for i in range(3))


@pytest.fixture
def fresh(settings: Settings, tiny_card: ModelCard) -> DiffusersEngine:
    """An engine of its own, with the tiny model loaded."""
    engine = DiffusersEngine(settings)
    engine.load(tiny_card, nothing)
    return engine


def use(card: ControlNetCard, **fields: Any) -> ControlUse:
    return ControlUse.model_validate({"kind": card.kind, "image": "map", "model": card.name, **fields})


def start(engine: DiffusersEngine, model: ModelCard, nets: Sequence[ControlNetCard], *uses: ControlUse, **fields: Any) -> DiffusersRun:
    return controlled_run(engine, Inventory((model,), controlnets=tuple(nets)), [MAP] * len(uses), controls=uses, **fields)


def read_names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note which ControlNets are read from the disk from now on."""
    names: list[str] = []
    read = controls.read_net

    def noted(card: ControlNetCard, model: Any) -> controls.Net:
        names.append(card.name)
        return read(card, model)

    monkeypatch.setattr(controls, "read_net", noted)
    return names


def test_one_forward_pass_for_each_step_and_row_that_is_steered(
    fresh: DiffusersEngine, tiny_card: ModelCard, nets: tuple[ControlNetCard, ...]
) -> None:
    for fields, expected in (
        ({}, [4] * 4),
        ({"start": 0.5}, [4] * 2),
        ({"end": 0.25}, [4]),
        ({"mode": "control"}, [2] * 4),
        ({"mode": "prompt"}, [4] * 4),
    ):
        run = start(fresh, tiny_card, nets, use(nets[0], **fields), batch_size=2, guidance_scale=3.0)
        with counted(run.units[0].net.module.conv_in) as rows, counted(run.units[0].net.reader) as maps:
            latents_of(run)
        assert (rows, maps) == (expected, [])
    run = start(fresh, tiny_card, nets, use(nets[0], mode="control"), batch_size=2, guidance_scale=1.0)
    with counted(run.units[0].net.module.conv_in) as rows:
        latents_of(run)
    assert rows == [2] * 4


def test_weight_zero_costs_nothing_and_changes_nothing(
    fresh: DiffusersEngine, tiny_card: ModelCard, nets: tuple[ControlNetCard, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = read_names(monkeypatch)
    bare = latents_of(run_of(fresh, tiny_card))
    run = start(fresh, tiny_card, nets, use(nets[0], weight=0))
    assert not run.units and not names
    assert torch.equal(latents_of(run), bare)
    alone = latents_of(start(fresh, tiny_card, nets, use(nets[1])))
    run = start(fresh, tiny_card, nets, use(nets[0], weight=0), use(nets[1]))
    assert torch.equal(latents_of(run), alone) and names == [nets[1].name]


def test_runs_share_what_was_read_once_and_do_not_disturb_each_other(
    fresh: DiffusersEngine, tiny_card: ModelCard, nets: tuple[ControlNetCard, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = read_names(monkeypatch)
    alone = [latents_of(start(fresh, tiny_card, nets, use(card))) for card in nets[:2]]
    runs = [start(fresh, tiny_card, nets, use(card)) for card in nets[:2]]
    assert runs[0].units[0].net is start(fresh, tiny_card, nets, use(nets[0]), use(nets[1])).units[0].net
    for _ in range(4):
        for run in runs:
            run.advance()
    assert [torch.equal(run.latents, before) for run, before in zip(runs, alone, strict=True)] == [True, True]
    assert names == [nets[0].name, nets[1].name]


def test_a_controlnet_that_was_written_anew_is_read_anew(
    fresh: DiffusersEngine, tiny_card: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = read_names(monkeypatch)
    card = describe_controlnet("own depth", make_tiny_controlnet(tmp_path / "own depth", seed=1))
    before = latents_of(start(fresh, tiny_card, (card,), use(card)))
    start(fresh, tiny_card, (card,), use(card))
    assert names == [card.name]
    make_tiny_controlnet(tmp_path / "own depth", seed=2)
    assert not torch.equal(latents_of(start(fresh, tiny_card, (card,), use(card))), before)
    assert names == [card.name] * 2


def test_the_one_not_used_for_longest_is_freed(
    fresh: DiffusersEngine, tiny_card: ModelCard, nets: tuple[ControlNetCard, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = read_names(monkeypatch)
    monkeypatch.setattr(controls, "KEPT", 2)
    for card in (nets[0], nets[1], nets[0], nets[2]):
        start(fresh, tiny_card, nets, use(card))
    running = start(fresh, tiny_card, nets, use(nets[0]))
    start(fresh, tiny_card, nets, use(nets[1]))
    assert names == [nets[i].name for i in (0, 1, 2, 1)]
    # A run keeps what it began with, also when that was freed meanwhile.
    monkeypatch.setattr(controls, "KEPT_BYTES", 0)
    start(fresh, tiny_card, nets, use(nets[2]))
    assert torch.equal(latents_of(running), latents_of(start(fresh, tiny_card, nets, use(nets[0]))))
    # All that one plan needs stay, whatever the bounds.
    run = start(fresh, tiny_card, nets, *(use(card) for card in nets))
    assert len({id(unit.net) for unit in run.units}) == 3


def test_another_model_frees_those_that_do_not_fit_it(
    fresh: DiffusersEngine,
    tiny_card: ModelCard,
    nets: tuple[ControlNetCard, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = read_names(monkeypatch)
    start(fresh, tiny_card, nets, use(nets[0]))
    twin = describe("Twin", make_tiny_model(tmp_path / "twin", prediction_type="v_prediction"))
    fresh.load(twin, nothing)
    start(fresh, twin, nets, use(nets[0]))
    assert names == [nets[0].name]
    fresh.load(describe("Deep", make_tiny_model(tmp_path / "deep", layers_per_block=2)), nothing)
    fresh.load(tiny_card, nothing)
    start(fresh, tiny_card, nets, use(nets[0]))
    assert names == [nets[0].name] * 2


def test_memory_that_runs_out_is_made_by_freeing_the_others(
    fresh: DiffusersEngine, tiny_card: ModelCard, nets: tuple[ControlNetCard, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    start(fresh, tiny_card, nets, use(nets[0]))
    read, held = controls.read_net, fresh._controls

    def short(card: ControlNetCard, model: Any) -> controls.Net:
        if len(held):
            raise OutOfMemory("The device ran out of memory.")
        return read(card, model)

    monkeypatch.setattr(controls, "read_net", short)
    assert start(fresh, tiny_card, nets, use(nets[1])).units[0].net.card == nets[1]
    with pytest.raises(OutOfMemory):
        start(fresh, tiny_card, nets, use(nets[1]), use(nets[2]))


def test_loading_reports_and_can_be_ended(fresh: DiffusersEngine, tiny_card: ModelCard, nets: tuple[ControlNetCard, ...]) -> None:
    plan = resolve(GenerationRequest(seed=1, controls=(use(nets[0]), use(nets[1]))), Inventory((tiny_card,), controlnets=nets), entropy=0)
    heard: list[str] = []

    def ended(fraction: float, message: str) -> None:
        heard.append(f"{fraction} {message}")
        if fraction:
            raise Stopped("The job was stopped.")

    with pytest.raises(Stopped):
        fresh.prepare(plan, ended)
    assert heard == ["0.0 reading the ControlNet 0 canny", "0.5 reading the ControlNet 1 canny"]
    with pytest.raises(StudioError, match="The ControlNet 1 canny is not loaded; prepare the plan first"):
        fresh.start(plan, [MAP, MAP])
    fresh.prepare(plan, nothing)
    assert len(fresh.start(plan, [MAP, MAP]).units) == 2


def pickled(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "diffusion_pytorch_model.bin")


def other_shapes(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    save_file({**weights, "conv_in.bias": torch.zeros(3)}, folder / WEIGHTS, {"format": "pt"})


def fewer(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    save_file({key: value for key, value in weights.items() if "mid_block" not in key}, folder / WEIGHTS, {"format": "pt"})


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing": (delete(WEIGHTS), f"bad/{WEIGHTS} is missing; copy the model folder again."),
    "cut short": (cut(WEIGHTS, 0.6), f"bad/{WEIGHTS} is cut short"),
    "cut in the header": (cut(WEIGHTS, 0.001), f"bad/{WEIGHTS} is damaged"),
    "forged header": (write(WEIGHTS, b"\xff" * 64), f"bad/{WEIGHTS} is damaged"),
    "a page": (write(WEIGHTS, b"<html>not found</html>" * 99), f"bad/{WEIGHTS} is damaged"),
    "pickled": (pickled, "bad/diffusion_pytorch_model.bin is a pickled file, which could run programs"),
    "config gone": (delete("config.json"), "bad/config.json is missing"),
    "config broken": (write("config.json", b"{"), "bad/config.json is damaged"),
    "other shapes": (other_shapes, "bad/config.json does not fit its files"),
    "config of other sizes": (change("config.json", cross_attention_dim=64), "bad/config.json does not fit its files"),
    "wrong blocks": (change("config.json", down_block_types=["NoBlock", "DownBlock2D"]), "bad/config.json does not fit its files"),
    "fewer weights": (fewer, "bad lacks "),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_named_and_leaves_all_else_as_it_was(
    case: str, fresh: DiffusersEngine, tiny_card: ModelCard, nets: tuple[ControlNetCard, ...], tmp_path: Path
) -> None:
    spoil, expected = DAMAGE[case]
    folder = make_tiny_controlnet(tmp_path / "bad", seed=9)
    bad = replace(describe_controlnet("bad canny", folder), name="bad")
    steered, bare = latents_of(start(fresh, tiny_card, nets, use(nets[0]))), latents_of(run_of(fresh, tiny_card))
    spoil(folder)
    with pytest.raises(BrokenModel) as caught:
        start(fresh, tiny_card, (*nets, bad), use(nets[0]), use(bad))
    sentence = str(caught.value)
    assert expected in sentence and sentence.startswith("bad cannot be used: ") and "\n" not in sentence
    assert torch.equal(latents_of(run_of(fresh, tiny_card)), bare)
    assert torch.equal(latents_of(start(fresh, tiny_card, nets, use(nets[0]))), steered)


def test_another_family_is_refused_before_anything_is_read(tiny_card: ModelCard, tmp_path: Path, settings: Settings) -> None:
    chosen = replace(settings, data_dir=tmp_path, embedded_models=((tiny_card.name, tiny_card.path),), embedded_controlnets=())
    folder = make_tiny_controlnet(chosen.controlnets_dir / "wide canny", cross_attention_dim=64)
    (folder / WEIGHTS).write_bytes(b"never read")
    asked = GenerationRequest(controls=(ControlUse(kind="sketch", image="x", model="wide canny"),))
    with pytest.raises(InvalidRequest) as caught:
        resolve(asked, DiskInventory(chosen).read(), entropy=0)
    assert str(caught.value) == (
        "controls[0].model: wide canny was made for another family (text width 64) than Tiny (text width 32); "
        "leave it out to take one that fits."
    )


def test_an_adapter_that_the_model_has_no_place_for_says_so(fresh: DiffusersEngine, tiny_card: ModelCard, tmp_path: Path) -> None:
    card = describe_controlnet("depth", make_tiny_adapter(tmp_path / "depth"))
    with pytest.raises(BrokenModel, match="depth cannot be used: a T2I-Adapter needs text attention on all levels but the last"):
        start(fresh, tiny_card, (card,), use(card))


def test_an_adapter_that_is_here_is_looked_at_again_for_another_model(settings: Settings, tiny_card: ModelCard, tmp_path: Path) -> None:
    both = make_tiny_model(tmp_path / "both", down_block_types=("CrossAttnDownBlock2D",) * 2, up_block_types=("CrossAttnUpBlock2D",) * 2)
    card = describe_controlnet("depth", make_tiny_adapter(tmp_path / "depth"))
    engine = DiffusersEngine(settings)
    engine.load(wide := describe("Both", both), nothing)
    latents_of(start(engine, wide, (card,), use(card)))
    engine.load(tiny_card, nothing)
    with pytest.raises(BrokenModel, match="depth cannot be used: a T2I-Adapter needs text attention on all levels but the last"):
        start(engine, tiny_card, (card,), use(card))
    engine.close()


def test_half_precision_follows_the_model(settings: Settings, tiny_card: ModelCard, nets: tuple[ControlNetCard, ...]) -> None:
    half, full = DiffusersEngine(replace(settings, precision="bfloat16")), DiffusersEngine(settings)
    half.load(tiny_card, nothing)
    full.load(tiny_card, nothing)
    rough, exact = (start(engine, tiny_card, nets, use(nets[0])) for engine in (half, full))
    assert rough.units[0].net.module.dtype == rough.units[0].read[0].dtype == torch.bfloat16
    left, right = latents_of(rough), latents_of(exact)
    assert (left - right).abs().mean() < 0.05 * right.abs().mean()


def test_pictures_of_any_mode_become_maps(fresh: DiffusersEngine, tiny_card: ModelCard, nets: tuple[ControlNetCard, ...]) -> None:
    grey = MAP.convert("L")
    inventory = Inventory((tiny_card,), controlnets=nets)
    runs = [
        controlled_run(fresh, inventory, [picture], controls=[use(nets[0])])
        for picture in (grey, grey.convert("RGB"), Image.merge("RGB", [grey] * 3))
    ]
    assert torch.equal(runs[0].units[0].read[0], runs[1].units[0].read[0])
    assert torch.equal(latents_of(runs[0]), latents_of(runs[2]))


@pytest.mark.parametrize("where", ["start", "draw", "decode"])
def test_memory_that_runs_out_in_a_run_is_made_by_freeing_what_it_does_not_need(
    fresh: DiffusersEngine, tiny_card: ModelCard, nets: tuple[ControlNetCard, ...], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    wanted = latents_of(start(fresh, tiny_card, nets, use(nets[0])))
    start(fresh, tiny_card, nets, use(nets[1]))
    held, model = fresh._controls, fresh._model
    assert model

    def short(*given: Any) -> None:
        if len(held) > 1:
            raise RuntimeError("CUDA out of memory. Tried to allocate 9 GB.")

    part = {"start": held._nets[nets[0]].reader, "draw": model.unet, "decode": model.vae.decoder}[where]
    handle = part.register_forward_pre_hook(short)
    run = start(fresh, tiny_card, nets, use(nets[0]))
    found = latents_of(run)
    pictures = list(run.finish())
    assert len(held) == 1 and torch.equal(found, wanted) and len(pictures) == 1
    handle.remove()

    def never(*given: Any) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 9 GB.")

    part.register_forward_pre_hook(never)

    def all_of_it() -> None:
        again = start(fresh, tiny_card, nets, use(nets[0]))
        latents_of(again)
        list(again.finish())

    with pytest.raises(OutOfMemory, match="ran out of memory while"):
        all_of_it()
