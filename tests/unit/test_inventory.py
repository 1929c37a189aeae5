"""The inventory reads folders and says which file is wrong."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from studio.settings import Settings
from studio.storage import inventory as disk
from studio.storage.hashes import HashCache
from studio.storage.inventory import DiskInventory
from tests.lora_files import attention_of_sd, write_lora


def make_folder(folder: Path, *, width: int = 768, kind: str = "StableDiffusionPipeline") -> Path:
    configs = {
        "model_index.json": {"_class_name": kind},
        "unet/config.json": {"cross_attention_dim": width, "sample_size": 64, "in_channels": 4, "block_out_channels": [32, 64]},
        "vae/config.json": {"block_out_channels": [1, 2, 3, 4]},
        "scheduler/scheduler_config.json": {"prediction_type": "v_prediction"},
    }
    for name, data in configs.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(data))
    (folder / "unet" / "x.safetensors").write_bytes(b"12345")
    return folder


def read(tmp_path: Path, *, first: str = "", embedded: tuple[tuple[str, Path], ...] = ()) -> DiskInventory:
    return DiskInventory(Settings(data_dir=tmp_path, embedded_models=embedded), first=first)


def test_folders_become_cards(tmp_path: Path) -> None:
    make_folder(tmp_path / "models" / "sd15")
    make_folder(tmp_path / "models" / "sd21", width=1024)
    mini = make_folder(tmp_path / "embedded", width=128)
    cards = {card.name: card for card in read(tmp_path, embedded=(("Mini", mini),)).read().models}
    assert list(cards) == ["Mini", "sd15", "sd21"]
    assert [card.family for card in cards.values()] == ["sd", "sd15", "sd2"]
    assert (cards["sd15"].native_size, cards["sd15"].multiple_of, cards["sd15"].bytes) == (512, 8, 5)
    assert cards["sd15"].prediction_type == "v_prediction"


def test_the_chosen_model_comes_first_by_name_or_folder(tmp_path: Path) -> None:
    make_folder(tmp_path / "models" / "a")
    make_folder(tmp_path / "models" / "b")
    other = make_folder(tmp_path / "elsewhere" / "c")
    assert [card.name for card in read(tmp_path, first="b").read().models] == ["b", "a"]
    assert read(tmp_path, first=str(other)).read().models[0].name == "c"
    (tmp_path / "models" / "circle").symlink_to(tmp_path / "models" / "circle")
    # What was fetched by its id lies among the models.
    assert [card.name for card in read(tmp_path, first=str(tmp_path / "models" / "b")).read().models] == ["b", "a"]


def test_broken_folders_name_the_file(tmp_path: Path) -> None:
    models = tmp_path / "models"
    (models / "empty").mkdir(parents=True)
    make_folder(models / "cut")
    (models / "cut" / "unet" / "config.json").write_text('{"cross')
    make_folder(models / "list")
    (models / "list" / "vae" / "config.json").write_text("[]")
    make_folder(models / "bare")
    (models / "bare" / "unet" / "config.json").write_text("{}")
    make_folder(models / "xl", kind="StableDiffusionXLPipeline")
    found = read(tmp_path).read()
    assert found.models == ()
    assert {card.name: card.problem for card in found.broken} == {
        "bare": "bare cannot be used: its unet or vae config.json lacks 'cross_attention_dim'; copy the model folder again.",
        "cut": "cut cannot be used: unet/config.json is damaged; copy the model folder again.",
        "empty": "empty cannot be used: model_index.json is missing; copy the model folder again.",
        "list": "list cannot be used: vae/config.json is damaged; copy the model folder again.",
        "xl": "xl is a StableDiffusionXLPipeline folder; this studio runs StableDiffusionPipeline and "
        "LatentConsistencyModelPipeline folders.",
    }


def test_a_folder_that_appears_or_is_mended_is_seen(tmp_path: Path) -> None:
    inventory = read(tmp_path)
    assert inventory.read().models == ()
    folder = make_folder(tmp_path / "models" / "late")
    assert [card.name for card in inventory.read().models] == ["late"]
    (folder / "model_index.json").unlink()
    assert [card.name for card in inventory.read().broken] == ["late"]


def test_what_could_not_be_read_once_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a file changes when the studio may read it at last."""
    make_folder(tmp_path / "models" / "good")
    write_lora(tmp_path / "models" / "loras" / "ink.safetensors", attention_of_sd(768))
    inventory = DiskInventory(Settings(data_dir=tmp_path, embedded_models=(), embedded_loras=()))
    opened = Path.open

    def closed(path: Path, *given: Any, **named: Any) -> Any:
        if path.suffix == ".safetensors":
            raise PermissionError(13, "Permission denied")
        return opened(path, *given, **named)

    monkeypatch.setattr(Path, "open", closed)
    found = inventory.read()
    assert [card.problem for card in found.broken] == ["good cannot be read: Permission denied."]
    assert [card.problem for card in found.broken_loras] == ["ink.safetensors cannot be read: Permission denied; check the file."]
    monkeypatch.setattr(Path, "open", opened)
    found = inventory.read()
    assert ([card.name for card in found.models], [card.name for card in found.loras]) == (["good"], ["ink"])


def test_a_model_saved_by_the_pipeline_of_lcm_is_offered(tmp_path: Path) -> None:
    make_folder(tmp_path / "models" / "fast", kind="LatentConsistencyModelPipeline")
    assert [card.name for card in read(tmp_path).read().models] == ["fast"]


STRANGE = os.fsdecode(b"caf\xe9")


def test_names_that_are_no_text_are_told_and_all_else_is_offered(tmp_path: Path) -> None:
    make_folder(tmp_path / "models" / "good")
    for place in ("models", "controlnets", "models/loras"):
        (tmp_path / place / STRANGE).mkdir(parents=True)
    for name in (f"{STRANGE}.safetensors", f"{STRANGE}/a.safetensors"):
        (tmp_path / "models" / "loras" / name).write_bytes(b"")
    shutil.copy(tmp_path / "models" / "good" / "unet" / "x.safetensors", tmp_path / "models" / "good" / "unet" / f"{STRANGE}.safetensors")
    hashes = HashCache(tmp_path / "hashes.json")
    found = DiskInventory(Settings(data_dir=tmp_path, embedded_models=(), embedded_loras=()), hashes=hashes).read()
    assert [card.name for card in found.models] == ["good"] and hashes.hashed(found.models[0], wait=30).hash
    problems = [card.problem for card in (*found.broken, *found.broken_loras)]
    assert problems == [
        *[r"caf\udce9 is left out, as its name is no text; rename it."] * 2,
        r"caf\udce9 and 1 other are left out, as their names are no text; rename them.",
    ]
    json.dumps(problems, ensure_ascii=False).encode()


def test_a_class_that_is_no_text_can_be_told(tmp_path: Path) -> None:
    make_folder(tmp_path / "models" / "odd", kind="\ud800" * 999)
    (card,) = read(tmp_path).read().broken
    assert len(card.problem.encode()) < 200


MODEL_NUMBERS = [
    ("unet", "sample_size"), ("unet", "in_channels"), ("unet", "cross_attention_dim"), ("unet", "block_out_channels"),
    ("unet", "layers_per_block"), ("vae", "block_out_channels"), ("scheduler", "prediction_type"),
]  # fmt: skip


@pytest.mark.parametrize("value", ["Infinity", "1e999", "[Infinity]", "NaN", "1e300", "-1", "null", "{}", "[[]]"])
@pytest.mark.parametrize(("part", "field"), MODEL_NUMBERS)
def test_no_number_of_one_folder_stops_the_others(tmp_path: Path, part: str, field: str, value: str) -> None:
    make_folder(tmp_path / "models" / "good")
    config = next((make_folder(tmp_path / "models" / "forged") / part).glob("*config.json"))
    forged = {**json.loads(config.read_text()), field: "forged"}
    config.write_text(json.dumps(forged).replace('"forged"', value))
    found = read(tmp_path).read()
    assert "good" in [card.name for card in found.models]
    assert {card.name for card in found.models} | {card.name for card in found.broken} == {"good", "forged"}
    assert all(0 < card.native_size <= disk.LARGEST_SIDE for card in found.models)
    assert all(card.problem == TOLD for card in found.broken)


TOLD = "forged cannot be used: its unet or vae config.json has a value of the wrong kind; copy the model folder again."


@pytest.mark.parametrize("kind", [["ControlNetModel"], {"a": 1}, 5, None, True, [[[]]]], ids=str)
def test_a_class_that_is_no_name_stops_nothing(tmp_path: Path, kind: object) -> None:
    make_folder(tmp_path / "models" / "good")
    make_folder(tmp_path / "models" / "forged", kind=kind)  # type: ignore[arg-type]
    for place in ("models/bare", "controlnets/canny"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "config.json").write_text(json.dumps({"_class_name": kind}))
    found = read(tmp_path).read()
    assert [card.name for card in found.models] == ["good"]
    problems = {card.name: card.problem for card in found.broken}
    assert set(problems) == {"forged", "bare", "canny"} and all(told.endswith(".") for told in problems.values())
    assert problems["forged"].startswith("forged is a ") and problems["bare"].endswith(
        "model_index.json is missing; copy the model folder again."
    )


def test_what_nobody_thought_of_is_told_and_all_else_is_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make_folder(tmp_path / "models" / "good")
    make_folder(tmp_path / "models" / "odd")
    real = disk.describe

    def describe(name: str, folder: Path) -> object:
        if name == "odd":
            raise ZeroDivisionError("a defect")
        return real(name, folder)

    monkeypatch.setattr(disk, "MODELS", disk.Shelf("model", describe, disk.MODELS.watched))  # type: ignore[arg-type]
    found = read(tmp_path).read()
    assert [card.name for card in found.models] == ["good"]
    assert [card.problem for card in found.broken] == ["odd cannot be read: its files hold what nobody expects; copy the folder again."]
    assert "a defect" in caplog.text


def test_weights_that_arrive_after_the_configs_are_seen(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "models" / "slow")
    inventory = read(tmp_path)
    assert inventory.read().models[0].bytes == 5
    weights, before = folder / "unet" / "x.safetensors", (folder / "unet").stat()
    weights.write_bytes(b"1234567")
    os.utime(weights, (1, 1))  # as a copy that keeps the times of the files
    os.utime(folder / "unet", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert inventory.read().models[0].bytes == 7
    (folder / "unet" / "config.json").write_text("{}")
    assert inventory.read().models == ()


def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path) -> None:
    mini = make_folder(tmp_path / "embedded", width=128)
    (tmp_path / "models").write_bytes(b"")
    inventory = read(tmp_path, embedded=(("Mini", mini),))
    found = inventory.read()
    assert [card.name for card in found.models] == ["Mini"]
    assert [card.problem for card in found.broken] == ["The folder models cannot be read: Not a directory; let the studio read it."]
    (tmp_path / "models").unlink()
    assert inventory.read().broken == ()


def test_of_two_folders_of_one_name_one_is_offered_and_the_other_told(tmp_path: Path) -> None:
    make_folder(tmp_path / "models" / "twin")
    make_folder(tmp_path / "models" / "Mini")
    mini, other = make_folder(tmp_path / "embedded", width=128), make_folder(tmp_path / "elsewhere" / "twin")
    found = read(tmp_path, first=str(other), embedded=(("Mini", mini),)).read()
    assert [(card.name, card.path) for card in found.models] == [("twin", other), ("Mini", mini)]
    assert sorted(card.problem for card in found.broken) == [
        "models/Mini is left out, as another model has its name; rename the folder.",
        "models/twin is left out, as another model has its name; rename the folder.",
    ]


def test_a_checkpoint_in_a_single_file_is_told(tmp_path: Path) -> None:
    make_folder(tmp_path / "models" / "good")
    file = tmp_path / "models" / "v1-5-pruned.safetensors"
    file.write_bytes(b"12345")
    (tmp_path / "models" / "notes.txt").write_text("mine")
    source = read(tmp_path)
    found = source.read()
    assert [card.name for card in found.models] == ["good"]
    assert [card.problem for card in found.broken] == [
        "v1-5-pruned.safetensors is a single file; this studio reads folders in the layout of diffusers, so fetch the model as one."
    ]
    file.unlink()
    make_folder(file)
    assert [card.name for card in source.read().models] == ["good", "v1-5-pruned.safetensors"]
