"""Hashes of weights: the ones the world knows, computed elsewhere than where they are asked for, and kept."""

import hashlib
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from studio.inventory import Inventory, LoraCard, ModelCard
from studio.keeping import Keeping
from studio.loras.header import read_header
from studio.metadata import Record
from studio.metadata.a1111 import line
from studio.plan import resolve
from studio.ports import EngineFacts
from studio.provenance import Mark
from studio.request import GenerationRequest
from studio.settings import Settings
from studio.storage.hashes import HashCache, folder_hash
from studio.storage.inventory import DiskInventory
from tests.lora_files import attention_of_sd, write_lora
from tests.unit.test_plan import HERE

SOON = 20.0


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def lora(path: Path, **options: Any) -> LoraCard:
    write_lora(path, attention_of_sd(768), **options)
    return LoraCard(name=path.stem, path=path, bytes=path.stat().st_size, header=read_header(path))


def model(folder: Path) -> ModelCard:
    for part in ("unet", "vae", "text_encoder", "preview_decoder"):
        (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / part / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}" + part.encode())
    known = HERE.models[0]
    return ModelCard(**{**known.__dict__, "path": folder, "hash": ""})


def test_a_loras_hashes_are_those_of_the_file_and_of_its_tensors(tmp_path: Path) -> None:
    card = lora(tmp_path / "a.safetensors")
    data = card.path.read_bytes()
    known = HashCache(tmp_path / "hashes.json").hashed(card, wait=SOON)
    assert known.hash == sha(data)
    assert known.tensor_hash == sha(data[8 + int.from_bytes(data[:8], "little") :])
    assert known.addnet_hash == known.tensor_hash[:12]
    for digest in (known.hash, known.hash[:10], known.hash[:12].upper(), known.tensor_hash[:12]):
        assert known.answers_to(digest)
    assert not any(known.answers_to(digest) for digest in ("", known.hash[:7], "0" * 10)) and not card.answers_to(known.hash)


def test_the_hash_its_maker_wrote_comes_first(tmp_path: Path) -> None:
    card = lora(tmp_path / "a.safetensors", metadata={"sshs_model_hash": "AB" * 32})
    assert card.addnet_hash == "ab" * 6 and card.answers_to("ab" * 6)
    assert lora(tmp_path / "b.safetensors", metadata={"sshs_model_hash": "no hash"}).addnet_hash == ""


def test_a_folders_hash_follows_its_weights_not_its_place(tmp_path: Path) -> None:
    first, moved = model(tmp_path / "first"), model(tmp_path / "moved")
    hashes = HashCache(tmp_path / "hashes.json")
    known = hashes.hashed(first, wait=SOON).hash
    digests = {f"{part}/model.safetensors": sha(b"\x02\0\0\0\0\0\0\0{}" + part.encode()) for part in ("text_encoder", "unet", "vae")}
    assert known == folder_hash(digests) == sha("".join(f"{name} {digest}\n" for name, digest in sorted(digests.items())).encode())
    assert hashes.hashed(moved, wait=SOON).hash == known
    (moved.path / "vae" / "model.safetensors").write_bytes(b"something else")
    assert hashes.hashed(moved, wait=SOON).hash not in ("", known)


def test_asking_never_computes_and_the_answer_comes_later(tmp_path: Path) -> None:
    card, here = lora(tmp_path / "a.safetensors"), threading.get_ident()
    hashes = HashCache(tmp_path / "cache" / "hashes.json")
    with pytest.MonkeyPatch.context() as patch:
        computed: list[int] = []
        real = hashlib.sha256

        def noted(*given: bytes) -> Any:
            computed.append(threading.get_ident())
            return real(*given)

        patch.setattr(hashlib, "sha256", noted)
        assert hashes.hashed(card).hash == ""
        assert hashes.hashed(card, wait=SOON).hash
    assert computed and here not in computed


def test_what_is_known_is_kept_and_a_changed_file_is_read_again(tmp_path: Path) -> None:
    card, kept = lora(tmp_path / "a.safetensors"), tmp_path / "cache" / "hashes.json"
    known = HashCache(kept).hashed(card, wait=SOON)
    until(kept.exists)
    assert HashCache(kept).hashed(card) == known and HashCache(kept).hashed(card).hash == known.hash
    changed = lora(card.path, seed=2)
    assert HashCache(kept).hashed(changed).hash == ""
    assert HashCache(kept).hashed(changed, wait=SOON).hash == sha(card.path.read_bytes())


@pytest.mark.parametrize("content", ["", "{", "[]", '{"files": 3}', '{"files": {"a": [1]}}', "[" * 100_000, "\0"])
def test_a_damaged_file_of_hashes_is_made_anew(tmp_path: Path, content: str) -> None:
    kept = tmp_path / "hashes.json"
    kept.write_text(content)
    card = lora(tmp_path / "a.safetensors")
    assert HashCache(kept).hashed(card, wait=SOON).hash == sha(card.path.read_bytes())
    until(lambda: str(card.path) in kept.read_text())
    assert HashCache(kept).hashed(card).hash


def test_what_cannot_be_read_or_written_leaves_hashes_empty(tmp_path: Path) -> None:
    card = lora(tmp_path / "a.safetensors")
    card.path.unlink()
    assert HashCache(tmp_path / "hashes.json").hashed(card, wait=0.2).hash == ""
    (tmp_path / "file").write_text("in the way")
    other = lora(tmp_path / "b.safetensors")
    assert HashCache(tmp_path / "file" / "hashes.json").hashed(other, wait=SOON).hash


def test_the_inventory_names_hashes_once_they_are_known(tmp_path: Path) -> None:
    write_lora(tmp_path / "models" / "loras" / "a.safetensors", attention_of_sd(768))
    settings = Settings(data_dir=tmp_path, embedded_models=(), embedded_loras=(), embedded_controlnets=())
    source = DiskInventory(settings, hashes=HashCache(tmp_path / "hashes.json"))
    assert source.read().loras[0].hash == ""
    until(lambda: bool(source.read().loras[0].hash))
    assert DiskInventory(settings).read().loras[0].hash == ""


def until(true: object) -> None:
    assert callable(true)
    deadline = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@dataclass
class Unknowing:
    """Knows no hash, and notes how long it was waited for."""

    waits: dict[str, float] = field(default_factory=dict)

    def hashed(self, card: Any, *, wait: float = 0.0) -> Any:
        self.waits[card.name] = wait
        return card


def test_a_picture_finished_before_a_hash_is_known_says_so_and_large_weights_are_not_waited_for() -> None:
    small = replace(HERE.models[0], bytes=1000)
    large = replace(small, name="Large", bytes=7_000_000_000)
    hashes = Unknowing()
    for card in (small, large):
        plan = resolve(GenerationRequest(seed=1), Inventory((card,)), entropy=0)
        facts = EngineFacts({"torch": "2"}, "CPU", "float32")
        (made,) = Keeping(None, None, hashes).provenances(plan, facts, [], [Image.new("RGB", (8, 8))])
        assert (made.model, made.precision, made.versions["torch"]) == (Mark(name=card.name), "float32", "2")
        text = line(Record(plan.request, made))
        assert f"Model: {card.name}" in text and "Model hash" not in text
    assert hashes.waits["Mini"] >= 1 and 0 < hashes.waits["Large"] < 0.1
