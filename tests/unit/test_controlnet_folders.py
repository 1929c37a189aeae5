"""ControlNet folders on the disk: what they are, which maps they read, and a sentence for each that cannot be used."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from studio.inventory import ControlNetCard, UnetShape
from studio.settings import Settings
from studio.storage.inventory import DiskInventory
from tests.unit.test_inventory import make_folder

CONFIG = {
    "_class_name": "ControlNetModel",
    "in_channels": 4,
    "block_out_channels": [32, 64],
    "cross_attention_dim": 768,
    "conditioning_embedding_out_channels": [16, 32, 96, 256],
}
ADAPTER = {"_class_name": "T2IAdapter", "in_channels": 1, "channels": [32, 64], "downscale_factor": 8}


def make_net(folder: Path, config: dict[str, Any] = CONFIG, **fields: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**config, **fields}))
    (folder / "diffusion_pytorch_model.safetensors").write_bytes(b"12345")
    return folder


def inventory(tmp_path: Path, **settings: Any) -> DiskInventory:
    return DiskInventory(Settings(data_dir=tmp_path, embedded_models=(), **{"embedded_controlnets": (), **settings}))


def nets(tmp_path: Path) -> dict[str, ControlNetCard]:
    return {card.name: card for card in inventory(tmp_path).read().controlnets}


def problems(tmp_path: Path) -> dict[str, str]:
    return {card.name: card.problem for card in inventory(tmp_path).read().broken}


def test_folders_become_cards_that_fit_their_family(tmp_path: Path) -> None:
    make_net(tmp_path / "controlnets" / "sd-controlnet-canny")
    make_net(tmp_path / "controlnets" / "depth-for-sixteen", conditioning_embedding_out_channels=[1, 2, 3, 4, 5])
    make_folder(tmp_path / "models" / "sd15")
    (model,) = inventory(tmp_path).read().models
    canny, depth = nets(tmp_path)["sd-controlnet-canny"], nets(tmp_path)["depth-for-sixteen"]
    assert canny.unet == UnetShape(4, (32, 64), 768, (2, 2), 8) == model.unet
    assert (canny.kind, canny.bytes, canny.architecture) == ("sketch", 5, "controlnet")
    assert canny.misfit(model.unet) is None
    assert depth.misfit(model.unet) == ("pixels a latent 16", "pixels a latent 8")


def test_adapters_fit_by_widths(tmp_path: Path) -> None:
    make_net(tmp_path / "controlnets" / "t2iadapter_zoedepth_sd15v1", ADAPTER)
    card = nets(tmp_path)["t2iadapter_zoedepth_sd15v1"]
    assert (card.architecture, card.kind) == ("t2i_adapter", "depth")
    assert card.misfit(UnetShape(4, (32, 64), 768, (2, 2))) is None
    assert card.misfit(UnetShape(4, (32, 96), 768, (2, 2))) == ("level widths 32, 64", "level widths 32, 96")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sd-controlnet-canny", "sketch"),
        ("control_v11p_sd15_scribble", "sketch"),
        ("control_v11p_sd15s2_lineart_anime", "sketch"),
        ("control_v11p_sd15_softedge", "sketch"),
        ("sd-controlnet-hed", "sketch"),
        ("control_v11f1p_sd15_depth", "depth"),
        ("controlnet-sd21-zoedepth-diffusers", "depth"),
        ("Sd-ControlNet-OpenPose", "pose"),
        ("mini pose", "pose"),
    ],
)
def test_hub_names_tell_the_kind(name: str, kind: str, tmp_path: Path) -> None:
    make_net(tmp_path / "controlnets" / name)
    assert nets(tmp_path)[name].kind == kind


def test_the_kind_comes_from_the_mark_then_the_name_then_the_config(tmp_path: Path) -> None:
    folder = make_net(tmp_path / "controlnets" / "mine", _name_or_path="lllyasviel/sd-controlnet-openpose")
    assert nets(tmp_path)["mine"].kind == "pose"
    folder = make_net(folder.rename(folder.with_name("my depth")), _name_or_path="lllyasviel/sd-controlnet-openpose")
    assert nets(tmp_path)["my depth"].kind == "depth"
    (folder / "studio.json").write_text('{"kind": "sketch"}')
    assert nets(tmp_path)["my depth"].kind == "sketch"


def test_what_cannot_be_used_says_why(tmp_path: Path) -> None:
    root = tmp_path / "controlnets"
    make_net(root / "tile")
    (make_net(root / "marked") / "studio.json").write_text('{"kind": "tile"}')
    (make_net(root / "cut depth") / "config.json").write_text('{"_class')
    (root / "empty").mkdir()
    make_net(root / "classless canny", {})
    make_net(root / "union canny", _class_name="ControlNetUnionModel")
    make_net(root / "four canny", conditioning_channels=4)
    make_net(root / "wordy canny", block_out_channels="many")
    make_net(root / "bare canny", {"_class_name": "ControlNetModel"})
    (root / "canny.safetensors").write_bytes(b"x")
    (root / "adapter").mkdir()
    (root / "adapter" / "ip-adapter_sd15.safetensors").write_bytes(b"x")
    # As it lies on the hub, alone, and with a config of its own.
    (root / "h94" / "models").mkdir(parents=True)
    (root / "h94" / "models" / "ip-adapter_sd15.bin").write_bytes(b"x")
    (root / "IP-Adapter_plus.safetensors").write_bytes(b"x")
    (make_net(root / "with config", {}) / "ip_adapter.bin").write_bytes(b"x")
    (make_net(root / "h94 canny") / "ip-adapter.bin").write_bytes(b"x")
    assert list(nets(tmp_path)) == ["h94 canny"]
    found = problems(tmp_path)
    for name in ("h94", "IP-Adapter_plus.safetensors", "with config"):
        assert found.pop(name) == f"{name} is an IP-Adapter, which this studio cannot run yet; use a ControlNet or T2I-Adapter folder."
    assert found.pop("wordy canny") == (
        "wordy canny cannot be used: its config.json has a value of the wrong kind; copy the model folder again."
    )
    assert found == {
        "adapter": "adapter is an IP-Adapter, which this studio cannot run yet; use a ControlNet or T2I-Adapter folder.",
        "bare canny": "bare canny cannot be used: its config.json lacks 'block_out_channels'; copy the model folder again.",
        "canny.safetensors": "canny.safetensors is a single file; this studio reads ControlNet folders, "
        "with a config.json and diffusion_pytorch_model.safetensors.",
        "classless canny": "classless canny cannot be used: its config.json names no class; copy the model folder again.",
        "cut depth": "cut depth cannot be used: config.json is damaged; copy the model folder again.",
        "empty": "empty cannot be used: config.json is missing; copy the model folder again.",
        "four canny": "four canny cannot be used: it reads maps of 4 channels, and this studio makes maps of 3.",
        "marked": 'marked cannot be used: studio.json must say "kind": "sketch", "depth" or "pose".',
        "tile": 'tile does not say which maps it reads; put a studio.json with {"kind": "sketch"} into its folder, or "depth" or "pose".',
        "union canny": "union canny is a ControlNetUnionModel folder; this studio runs ControlNetModel and T2IAdapter folders.",
    }


def test_a_controlnet_among_the_models_is_sent_to_its_place(tmp_path: Path) -> None:
    make_net(tmp_path / "models" / "sd-controlnet-canny")
    assert problems(tmp_path) == {"sd-controlnet-canny": "sd-controlnet-canny is a ControlNet; move it from models/ to controlnets/."}


def test_embedded_ones_come_first_and_may_be_absent(tmp_path: Path) -> None:
    make_net(tmp_path / "controlnets" / "depth of mine")
    embedded = (("Mini depth", make_net(tmp_path / "assets" / "depth")), ("Mini pose", tmp_path / "assets" / "pose"))
    assert [card.name for card in inventory(tmp_path, embedded_controlnets=embedded).read().controlnets] == ["Mini depth", "depth of mine"]


def test_a_folder_that_is_mended_is_read_again_and_others_are_not(tmp_path: Path) -> None:
    folder = make_net(tmp_path / "controlnets" / "canny", block_out_channels=None)
    disk = inventory(tmp_path)
    assert disk.read().controlnets == ()
    make_net(folder)
    os.utime(folder / "config.json", (2e9, 2e9))
    (card,) = disk.read().controlnets
    assert disk.read().controlnets[0] is card


@pytest.mark.parametrize("value", ["Infinity", "1e999", "[Infinity]", '"\\ud800"'])
@pytest.mark.parametrize(
    ("config", "field"),
    [
        *((CONFIG, field) for field in (*list(CONFIG)[1:], "layers_per_block", "conditioning_channels")),
        *((ADAPTER, field) for field in list(ADAPTER)[1:]),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value["_class_name"]),
)
def test_no_number_of_one_folder_stops_the_others(tmp_path: Path, config: dict[str, Any], field: str, value: str) -> None:
    make_net(tmp_path / "controlnets" / "good canny")
    path = make_net(tmp_path / "controlnets" / "forged canny", config, **{field: "forged"}) / "config.json"
    path.write_text(path.read_text().replace('"forged"', value))
    assert "good canny" in nets(tmp_path)
    for told in problems(tmp_path).values():
        assert told.startswith("forged canny cannot be used: it") and told.endswith(".")
        told.encode()
