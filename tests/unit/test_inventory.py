"""The inventory reads folders and says which file is wrong."""

import json
from pathlib import Path

from studio.settings import Settings
from studio.storage.inventory import DiskInventory


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
        "bare": "bare cannot be used: its unet or vae config.json lacks 'cross_attention_dim'.",
        "cut": "cut cannot be used: unet/config.json is damaged; copy the model folder again.",
        "empty": "empty cannot be used: model_index.json is missing; copy the model folder again.",
        "list": "list cannot be used: vae/config.json is damaged; copy the model folder again.",
        "xl": "xl is a StableDiffusionXLPipeline folder; this studio runs StableDiffusionPipeline folders.",
    }


def test_a_folder_that_appears_or_is_mended_is_seen(tmp_path: Path) -> None:
    inventory = read(tmp_path)
    assert inventory.read().models == ()
    folder = make_folder(tmp_path / "models" / "late")
    assert [card.name for card in inventory.read().models] == ["late"]
    (folder / "model_index.json").unlink()
    assert [card.name for card in inventory.read().broken] == ["late"]
