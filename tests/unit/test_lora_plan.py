"""LoRAs in a request: verdicts before anything is loaded, tags in the prompt, folders on the disk."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio.errors import InvalidRequest
from studio.inventory import Inventory, LoraCard, ModelCard, UnetShape
from studio.loras.header import Header, read_header
from studio.loras.tags import find_tags, without_tags
from studio.plan import Plan, resolve
from studio.request import MAX_LORAS, GenerationRequest, LoraUse
from studio.storage import loras as disk
from studio.storage.loras import LoraFolders
from tests.lora_files import attention_of_sd, modules_of, write_lora

SD15 = attention_of_sd(768)
TEXT = {f"encoder.layers.{i}.mlp.fc1": (3072, 768) for i in range(3)}
MODEL = ModelCard(
    name="Base", path=Path("base"), family="sd15", prediction_type="epsilon", native_size=512, multiple_of=8, bytes=1,
    unet=UnetShape(4, (320, 640), 768), modules=modules_of(SD15, TEXT),
)  # fmt: skip


def card(path: Path) -> LoraCard:
    return LoraCard(name=path.stem, path=path, bytes=1, header=read_header(path))


def verdict_of(path: Path, model: ModelCard = MODEL) -> tuple[str, Mapping[str, tuple[int, int]], str]:
    verdict = card(path).verdict(model)
    assert verdict.sentence.endswith(".") and "\n" not in verdict.sentence
    return verdict.state, verdict.counts, verdict.sentence


def test_coverage_is_told_before_the_run(tmp_path: Path) -> None:
    file = tmp_path / "look.safetensors"
    assert verdict_of(write_lora(file, SD15 | TEXT))[:2] == ("fits", {"unet": (10, 10), "text": (3, 3)})
    renamed = {name.replace("down_blocks.1", "down_blocks.7"): shape for name, shape in SD15.items()}
    state, counts, sentence = verdict_of(write_lora(file, renamed | TEXT))
    assert (state, counts) == ("partly", {"unet": (5, 10), "text": (3, 3)})
    assert sentence.startswith("look applies only in part to Base (modules: 5 of 10 in the U-Net and 3 of 3 in the text encoder); left out")
    far = {name.replace("down_blocks", "up_blocks"): shape for name, shape in SD15.items()}
    assert verdict_of(write_lora(file, far))[0] == "nothing"
    wrong = {name: (wide + 8, deep) for name, (wide, deep) in SD15.items()}
    assert verdict_of(write_lora(file, wrong))[0] == "nothing"


def test_another_family_is_told_even_where_some_modules_would_fit(tmp_path: Path) -> None:
    state, _, sentence = verdict_of(write_lora(tmp_path / "two.safetensors", attention_of_sd(1024)))
    assert state == "family"
    assert sentence == (
        "two was made for Stable Diffusion 2.x (text width 1024), and Base is Stable Diffusion 1.x (text width 768); "
        "choose a model of its family or another LoRA."
    )
    assert verdict_of(write_lora(tmp_path / "xl.safetensors", attention_of_sd(2048)))[2].startswith("xl was made for Stable Diffusion XL")


def test_kinds_and_foreign_files_are_told_apart(tmp_path: Path) -> None:
    loha = {f"lora_unet_mid.hada_w{i}_{part}": np.zeros((2, 2), "float32") for i in (1, 2) for part in "ab"}
    assert verdict_of(write_lora(tmp_path / "a.safetensors", {}, extra=loha))[0::2] == (
        "kind", "a is of the kind LoHa, which cannot be applied here; use a plain LoRA or LoCon of it.",
    )  # fmt: skip
    state, _, sentence = verdict_of(write_lora(tmp_path / "b.safetensors", {}, extra={"model.x": np.zeros(2, "float32")}))
    assert (state, sentence) == ("keys", "b holds no keys of a LoRA (its first is 'model.x'); use another file.")
    assert verdict_of(write_lora(tmp_path / "c.safetensors", SD15, extra=loha))[0] == "partly"


def test_a_model_whose_weights_cannot_be_read_leaves_it_open(tmp_path: Path) -> None:
    unread = replace(MODEL, modules=None)
    assert verdict_of(write_lora(tmp_path / "a.safetensors", SD15), unread)[0] == "unsure"
    # The width of its own matrices tells another family all the same.
    state, _, sentence = verdict_of(write_lora(tmp_path / "xl.safetensors", attention_of_sd(2048)), unread)
    assert state == "family" and sentence.startswith("xl was made for Stable Diffusion XL")


@pytest.fixture
def here(tmp_path: Path) -> Inventory:
    names = {"ink": SD15, "clay": SD15 | TEXT, "styles/oil": SD15, "xl": attention_of_sd(2048)}
    for name, modules in names.items():
        write_lora(tmp_path / f"{name}.safetensors", modules)
    (tmp_path / "old.pt").write_bytes(b"\x80\x04")
    loras, broken = LoraFolders([tmp_path]).read()
    return Inventory((MODEL,), loras=loras, broken_loras=broken)


def plan(here: Inventory, prompt: str = "", **fields: object) -> Plan:
    return resolve(GenerationRequest.parse({"prompt": prompt, **fields}), here, entropy=0)


def test_tags_leave_the_prompt_and_join_the_list(here: Inventory) -> None:
    made = plan(here, "a <lora:ink:0.5> cat <LORA:oil:1:-0.5>", loras=[{"name": "clay", "weight": 0.25}])
    assert made.request.prompt == "a cat"
    assert made.request.loras == (
        LoraUse(name="clay", weight=0.25), LoraUse(name="ink", weight=0.5), LoraUse(name="styles/oil", text_encoder_weight=-0.5),
    )  # fmt: skip
    assert [(lora.card.name, lora.weight, lora.text_encoder_weight) for lora in made.loras] == [
        ("clay", 0.25, 0.25), ("ink", 0.5, 0.5), ("styles/oil", 1.0, -0.5),
    ]  # fmt: skip
    assert resolve(made.request, here, entropy=9) == made


def test_what_is_said_last_counts(here: Inventory) -> None:
    made = plan(here, "<lora:ink:0.1><lora:ink:0.2>", loras=[{"name": "ink"}, {"name": "clay"}, {"name": "clay", "weight": -1}])
    assert {use.name: use.weight for use in made.request.loras} == {"ink": 0.2, "clay": -1.0}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"prompt": "<lora:inc:1>"}, "prompt: 'inc' is not here; did you mean ink?"),
        ({"prompt": "<lora:ink:much>"}, "prompt: <lora:ink:much> is no LoRA tag; write <lora:name:0.8>, or"),
        ({"prompt": "<lora:ink:nan>"}, "prompt: <lora:ink:nan> is no LoRA tag"),
        ({"prompt": "<lora:ink:1:1:1>"}, "prompt: <lora:ink:1:1:1> is no LoRA tag"),
        ({"prompt": "<lora:ink:5>"}, "prompt: the weight in '<lora:ink:5>' must be a number from -2 to 2, not 5."),
        ({"prompt": "<lora: :1>"}, "prompt: '<lora: :1>' names no LoRA"),
        ({"negative_prompt": "<lora:ink:1>"}, "negative_prompt: <lora:ink:1> belongs into the prompt"),
        ({"prompt": "<lora:../../ink:1>"}, "prompt: '../../ink' is a path; give a name as the list shows it."),
        ({"loras": [{"name": "../ink"}]}, "loras[0].name: '../ink' is a path; give a name as the list shows it."),
        ({"loras": [{"name": "/etc/passwd"}]}, "loras[0].name: '/etc/passwd' is a path"),
        ({"loras": [{"name": "zzz"}]}, "loras[0].name: 'zzz' is not here; choose one of the list, or take it out."),
        ({"loras": [{"name": "old"}]}, "loras[0].name: old.pt is a pickled file, which could run programs"),
        ({"loras": [{"name": "ink"}, {"name": "xl"}]}, "loras[1]: xl was made for Stable Diffusion XL (text width 2048)"),
    ],
)  # fmt: skip
def test_bad_loras_are_one_sentence(here: Inventory, fields: dict[str, object], sentence: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        plan(here, **fields)  # type: ignore[arg-type]
    assert str(caught.value).startswith(sentence) and "\n" not in str(caught.value)


def test_more_loras_than_can_be_used_are_told(tmp_path: Path) -> None:
    names = [f"look{i}" for i in range(MAX_LORAS + 1)]
    for name in names:
        write_lora(tmp_path / f"{name}.safetensors", dict(list(SD15.items())[:1]))
    here = Inventory((MODEL,), loras=LoraFolders([tmp_path]).read()[0])
    tags = "".join(f"<lora:{name}:1>" for name in names[2:])
    assert len(plan(here, tags, loras=[{"name": names[0]}]).loras) == MAX_LORAS
    with pytest.raises(InvalidRequest) as caught:
        plan(here, tags, loras=[{"name": name} for name in names[:2]])
    assert str(caught.value) == "prompt: its LoRA tags and the list name 17 LoRAs; name at most 16 at once."


def test_what_nobody_thought_of_in_a_file_is_told_and_the_others_are_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("good", "odd"):
        write_lora(tmp_path / f"{name}.safetensors", SD15)

    def read(path: Path) -> Header:
        if path.stem == "odd":
            raise ZeroDivisionError("a defect")
        return read_header(path)

    monkeypatch.setattr(disk, "read_header", read)
    loras, broken = LoraFolders([tmp_path]).read()
    assert [lora.name for lora in loras] == ["good"]
    assert [card.problem for card in broken] == ["odd.safetensors cannot be read: it holds what nobody expects; fetch the file again."]
    assert "a defect" in caplog.text


def test_partial_and_dora_are_said_with_the_run(tmp_path: Path) -> None:
    extra = {"lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.dora_scale": np.zeros((320, 1), "float32")}
    write_lora(tmp_path / "dora.safetensors", SD15, extra=extra)
    write_lora(tmp_path / "half.safetensors", SD15 | {"up_blocks.9.resnets.0.conv1": (4, 4, 3, 3)})
    here = Inventory((MODEL,), loras=LoraFolders([tmp_path]).read()[0])
    notices = plan(here, "<lora:dora:1> <lora:half:1>").notices
    assert notices[0] == "dora is a DoRA; its scales are left out, so it looks different from where they are used."
    assert notices[1].startswith("half applies only in part to Base (modules: 10 of 11 in the U-Net); left out is such as up_blocks_9")


def test_tags_are_read_as_people_write_them() -> None:
    prompt = "a <lora:my look v1.5:0.8>, cat <lora:x> <lora:y:te=0.5:unet=-1> <lorax:1> < lora:z:1>"
    assert [(tag.name, tag.weight, tag.text_weight) for tag in find_tags(prompt)] == [
        ("my look v1.5", 0.8, None),
        ("x", 1.0, None),
        ("y", -1.0, 0.5),
    ]
    assert without_tags(prompt) == "a , cat <lorax:1> < lora:z:1>"
    assert without_tags("  two  spaces ") == "  two  spaces "


def test_folders_are_read_with_names_pictures_and_reasons(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "a1111"
    write_lora(own / "styles" / "v1.5.safetensors", SD15)
    Image.new("RGB", (8, 8)).save(own / "styles" / "v1.5.preview.png")
    write_lora(other / "ink.safetensors", SD15)
    write_lora(own / "ink.safetensors", SD15)
    (own / "cut.safetensors").write_bytes(b"123")
    (own / ".hidden.safetensors").write_bytes(b"123")
    (own / "circle").symlink_to(own)
    (own / "gone.safetensors").symlink_to(own / "nothing")
    folders = LoraFolders([tmp_path / "missing", own, other])
    loras, broken = folders.read()
    assert [(lora.name, lora.picture) for lora in loras] == [("ink", None), ("styles/v1.5", own / "styles" / "v1.5.preview.png")]
    assert loras[0].path == own / "ink.safetensors"
    assert {card.name: card.problem for card in broken} == {
        "cut": "cut.safetensors cannot be used: it is cut short; fetch the file again.",
        "ink": "ink.safetensors in a1111 is left out, as another LoRA has its name; rename it.",
    }


def test_a_folder_that_stands_in_another_is_read_once(tmp_path: Path) -> None:
    own = tmp_path / "models" / "loras"
    write_lora(own / "x.safetensors", SD15)
    write_lora(tmp_path / "models" / "more" / "y.safetensors", SD15)
    folders = LoraFolders([own, tmp_path / "models", own])
    for _ in range(2):
        loras, broken = folders.read()
        assert [lora.name for lora in loras] == ["more/y", "x"] and not broken


def test_a_file_is_read_again_only_when_it_changed(tmp_path: Path) -> None:
    path = write_lora(tmp_path / "a.safetensors", SD15)
    folders = LoraFolders([tmp_path])
    first = folders.read()[0][0]
    assert folders.read()[0][0] is first
    write_lora(path, TEXT)
    changed = folders.read()[0][0].header
    assert changed and changed.touches("text")
    path.unlink()
    assert folders.read() == ((), ())


def test_names_that_look_alike_are_one(tmp_path: Path) -> None:
    """As macOS writes an accent into file names, and as keyboards type it."""
    written, typed = "Cafe\u0301", "Caf\u00e9"
    (tmp_path / "looks").mkdir()
    write_lora(tmp_path / "looks" / f"{written}.safetensors", SD15)
    loras, _ = LoraFolders([tmp_path]).read()
    here = Inventory((MODEL,), loras=loras)
    for made in (
        plan(here, f"a <lora:{typed}:0.5>"),
        plan(here, f"a <lora:looks/{typed}:0.5>"),
        plan(here, "a", loras=[{"name": f"looks/{typed}", "weight": 0.5}]),
        plan(here, f"a <lora:{typed}:0.5>", loras=[{"name": f"looks/{typed}"}]),
    ):
        assert [(lora.card.name, lora.weight) for lora in made.loras] == [(loras[0].name, 0.5)]
