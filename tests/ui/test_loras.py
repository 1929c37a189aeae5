"""The LoRA section over plain HTTP: what the browser is told, and the one sentence when a LoRA does not fit."""

import hashlib
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from studio.app import lasting
from studio.engine.fake import FakeEngine, FakeInventory, FakeTokens
from studio.inventory import LoraCard
from studio.loras.files import preview
from studio.loras.header import Header
from studio.service import Studio
from studio.settings import Settings
from studio.storage.inventory import DiskInventory
from studio.ui.panels.loras import row, size
from tests.lora_files import write_raw
from tests.served import Served, served
from tests.ui.browserless import VISITOR_A, Page


@pytest.fixture
def visitor(page: Served, http: object) -> Page:
    return Page(http, VISITOR_A)  # type: ignore[arg-type]


def test_the_list_has_verdicts_and_no_paths(visitor: Page) -> None:
    told = visitor.call("loras", "list_loras", "Fake")
    rows = {one["name"]: one for one in told["rows"]}
    assert list(rows) == ["clay", "ink", "xl-look"]
    assert (rows["clay"]["fits"], rows["clay"]["words"]) == (True, ["clay figure", "soft light"])
    assert rows["clay"]["facts"] == "Stable Diffusion · rank 4 · alpha 4 · 1.2 MB"
    assert rows["xl-look"]["says"].startswith("xl-look was made for Stable Diffusion XL (text width 2048), and Fake is")
    assert not rows["xl-look"]["fits"] and "safetensors" not in str(told)


def test_what_a_dora_loses_is_told_before_any_run() -> None:
    model = FakeInventory().read().models[0]
    clay = next(card for card in FakeInventory().read().loras if card.name == "clay")
    assert clay.header
    plain, dora = row(clay, model), row(replace(clay, header=replace(clay.header, dora=True)), model)
    assert (plain["state"], dora["state"], dora["fits"]) == ("fits", "partly", True)
    assert dora["says"] == f"{plain['says']} clay is a DoRA; its scales are left out, so it looks different from where they are used."
    silent = row(replace(clay, header=replace(clay.header, dialect="peft", alpha=None)), model)
    told = "clay does not say how strong it was meant; put the adapter_config.json that came with it beside it."
    assert (silent["state"], silent["says"]) == ("partly", f"{plain['says']} {told}")


def test_half_a_character_in_a_file_does_not_hide_the_list(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, engine="fake", embedded_loras=())
    texts = {"ss_sd_model_name": "base \ud800"}
    tensor = {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}
    write_raw(settings.loras_dir / "half.safetensors", {"__metadata__": texts, "lora_unet_x.lora_down.weight": tensor}, data=b"12345678")
    write_raw(settings.loras_dir / "key.safetensors", {"lora_\ud800": tensor}, data=b"12345678")
    studio = Studio(lambda: FakeEngine(step_seconds=0.01), lasting(DiskInventory(settings), FakeTokens(), settings))
    with served(studio, settings) as page, httpx.Client(base_url=page.address) as http:
        told = Page(http, VISITOR_A).call("loras", "list_loras", None)
    assert [(one["name"], one["base"]) for one in told["rows"]] == [("half", "base \ufffd")]
    assert told["problems"] == [r"key.safetensors cannot be used: the name 'lora_\ud800' is no text; fetch the file again."]


@pytest.mark.parametrize("asked", [None, 5, ["a"], {"name": "clay"}, "../../etc/passwd", "nothing", "x" * 5000])
def test_nonsense_is_answered_with_nothing(visitor: Page, asked: object) -> None:
    assert visitor.call("loras", "lora_picture", asked) is None
    assert visitor.call("loras", "lora_hash", asked) is None
    assert {one["fits"] for one in visitor.call("loras", "list_loras", asked)["rows"]} <= {True, False}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"loras": [{"name": "xl-look"}]}, "LoRA: xl-look was made for Stable Diffusion XL"),
        ({"loras": [{"name": "clay", "weight": 3}]}, "LoRA clay: Weight must be a number from -2 to 2, not 3."),
        ({"loras": [{"name": "clay", "weight": None}]}, "LoRA clay: Weight must be a number from -2 to 2, not None."),
        ({"loras": [{"name": "../clay"}]}, "'../clay' is a path; give a name as the list shows it."),
        ({"prompt": "a <lora:xl-look:1>"}, "LoRA: xl-look was made for Stable Diffusion XL"),
        ({"prompt": "a <lora:inc:1>"}, "'inc' is not here; did you mean ink?"),
        ({"prompt": "a <lora:clay:9>"}, "the weight in '<lora:clay:9>' must be a number from -2 to 2, not 9."),
    ],
)
def test_bad_loras_are_one_sentence_at_the_page(visitor: Page, fields: dict[str, object], sentence: str) -> None:
    answer = visitor.generate(**fields)
    assert answer["job"] is None and sentence in answer["error"]


def test_a_tag_and_the_list_make_the_same_picture(visitor: Page, page: Served) -> None:
    asked: list[dict[str, object]] = [
        {"prompt": "a cat <lora:clay:0.5>"},
        {"prompt": "a cat", "loras": [{"name": "clay", "weight": 0.5}]},
        {"prompt": "a cat"},
    ]
    made = []
    for fields in asked:
        job = page.studio.job(visitor.finish(visitor.generate(steps=1, seed=5, **fields)["job"])["job"])
        assert job is not None
        made.append((job.result(5).images[0].tobytes(), job.plan.request))
    assert made[0] == made[1] and made[1][0] != made[2][0]


def test_tags_cost_no_tokens(visitor: Page) -> None:
    assert visitor.call("field-prompt", "count", ["a cat <lora:clay:0.5>", None])["note"] == "2 / 75 tokens"


def test_previews_are_small_and_harmless(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((300, 600, 4), "uint8"), "RGBA").save(tmp_path / "a.png")
    small = preview(tmp_path / "a.png", side=96)
    assert small is not None and (small.mode, small.size) == ("RGB", (96, 48))
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    (tmp_path / "c.jpg").write_bytes(b"no picture")
    Image.new("1", (20_000, 20_000)).save(tmp_path / "d.png")
    assert [preview(tmp_path / name, side=96) for name in ("b.png", "c.jpg", "d.png", "missing.png")] == [None] * 4


def test_the_hash_is_told_in_ten_digits(visitor: Page) -> None:
    assert visitor.call("loras", "lora_hash", "clay") == hashlib.sha256(b"clay whole").hexdigest()[:10]


def test_a_row_without_header_or_model_still_shows() -> None:
    shown = row(LoraCard(name="x", path=Path("x"), bytes=0), None)
    assert (shown["fits"], shown["facts"]) == (True, "")
    assert row(LoraCard(name="x", path=Path("x"), bytes=2_000_000, header=Header()), None)["facts"] == "2.0 MB"
    assert [size(count) for count in (0, 999, 150_000, 37_900_000)] == ["", "1 kB", "0.1 MB", "38 MB"]
