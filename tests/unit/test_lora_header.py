"""LoRA files that nobody vouched for: what the header tells, and one sentence for whatever is wrong with it."""

import json
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.errors import BadLora
from studio.loras.header import Header, read_header, trigger_words
from studio.loras.safetensors_header import MAX_HEADER_BYTES
from studio.storage.loras import LoraFolders
from tests.flat import flat
from tests.lora_files import attention_of_sd, keys, write_lora, write_raw

TEXT = {f"encoder.layers.{i}.self_attn.{part}_proj": (768, 768) for i in range(2) for part in "qkv"}


@pytest.mark.parametrize("dialect", ["kohya", "peft"])
def test_a_good_file_is_understood(tmp_path: Path, dialect: str) -> None:
    modules = attention_of_sd(768) | TEXT
    header = read_header(write_lora(tmp_path / "a.safetensors", modules, dialect=dialect, rank=8, alpha=4.0))
    assert {(layer.component, layer.name) for layer in header.layers} == {
        ("text" if name.startswith("encoder") else "unet", name.replace(".", "_")) for name in modules
    }
    assert (header.ranks, header.alpha, header.made_for.label, header.made_for.width) == ((8,), 4.0, "Stable Diffusion 1.x", 768)
    assert header.touches("unet") and header.touches("text") and not header.dora and not header.unknown_count


def test_old_diffusers_keys_are_understood(tmp_path: Path) -> None:
    modules = attention_of_sd(1024) | {"mid_block.attentions.0.transformer_blocks.0.attn1.to_out.0": (320, 320)}
    header = read_header(write_lora(tmp_path / "a.safetensors", modules, dialect="attn_procs"))
    assert {layer.name for layer in header.layers} == {name.replace(".", "_") for name in modules}
    assert (header.made_for.label, header.dialect) == ("Stable Diffusion 2.x", "diffusers attn_procs")


def made_of(tmp_path: Path, *keys: str, metadata: dict[str, str] | None = None) -> Header:
    extra = {key: np.zeros((4, 4), "float32") for key in keys}
    return read_header(write_lora(tmp_path / "x.safetensors", {}, extra=extra, metadata=metadata))


FAMILIES = [
    ("lora_te2_text_model_encoder_layers_0_mlp_fc1", "Stable Diffusion XL"),
    ("transformer.single_transformer_blocks.0.attn.to_q", "Flux"),
    ("lora_unet_double_blocks_0_img_attn_qkv", "Flux"),
    ("transformer.transformer_blocks.0.attn.add_k_proj", "Stable Diffusion 3"),
    ("lora_unet_joint_blocks_0_x_block_attn_qkv", "Stable Diffusion 3"),
    ("diffusion_model.blocks.0.cross_attn.k", "Wan"),
]


@pytest.mark.parametrize(("stem", "label"), FAMILIES)
def test_families_are_told_by_their_keys(tmp_path: Path, stem: str, label: str) -> None:
    assert made_of(tmp_path, f"{stem}.lora_A.weight", f"{stem}.lora_B.weight").made_for.label == label


def test_the_family_is_told_by_the_width_before_the_words(tmp_path: Path) -> None:
    metadata = {"ss_base_model_version": "sdxl_base_v1-0"}
    header = read_header(write_lora(tmp_path / "a.safetensors", attention_of_sd(768), metadata=metadata))
    assert header.made_for.label == "Stable Diffusion 1.x"
    only_words = {name: shape for name, shape in attention_of_sd(768).items() if "attn1" in name}
    assert read_header(write_lora(tmp_path / "b.safetensors", only_words, metadata=metadata)).made_for.label == "Stable Diffusion XL"


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("lora_unet_mid.hada_w1_a", "LoHa"), ("lycoris_mid.lokr_w2", "LoKr"), ("lora_unet_mid.lora_mid.weight", "LoCon with Tucker layers"),
        ("lora_unet_mid.oft_blocks", "OFT"), ("unet.mid.a1.weight", "GLoRA"), ("lora_unet_mid.on_input", "IA3"),
        ("lora_unet_mid.diff", "full difference"),
    ],
)  # fmt: skip
def test_other_kinds_are_named(tmp_path: Path, key: str, kind: str) -> None:
    header = made_of(tmp_path, key)
    assert (dict(header.kinds), header.layers) == ({kind: 1}, ())


def test_dora_scales_and_foreign_keys_are_noted(tmp_path: Path) -> None:
    extra = {"lora_unet_x.dora_scale": np.zeros((4, 1), "float32"), "model.weight": np.zeros(3, "float32")}
    header = read_header(write_lora(tmp_path / "a.safetensors", attention_of_sd(768), extra=extra))
    assert header.dora and header.unknown_count == 2 and "model.weight" in header.unknown


def test_trigger_words_come_from_the_metadata() -> None:
    tags = {"10_zkz": {"zkz style": 20, "a cat": 5, "dog": 4}, "5_other": {"dog": 30, "broken": "x", "": 3}}
    assert trigger_words({"modelspec.trigger_phrase": "zkz, in clay", "ss_tag_frequency": json.dumps(tags)}) == (
        "zkz", "in clay", "dog", "zkz style", "a cat",
    )  # fmt: skip
    assert trigger_words({"ss_dataset_dirs": json.dumps({"10_zkz style": {}})}) == ("zkz style",)
    for damaged in ("", "[", "[]", "null", '{"a": 5}', '{"a": {"b": NaN}}', "[" * 9000):
        assert trigger_words({"ss_tag_frequency": damaged}) == ()


def test_alpha_settings_of_peft_are_read(tmp_path: Path) -> None:
    settings = {
        "unet.lora_alpha": 16,
        "unet.alpha_pattern": {"attn2.to_k": 2},
        "text_encoder.lora_alpha": 6,
        "text_encoder.use_rslora": True,
    }
    metadata = {"lora_adapter_metadata": json.dumps(settings)}
    header = read_header(write_lora(tmp_path / "a.safetensors", attention_of_sd(768) | TEXT, dialect="peft", metadata=metadata))
    found = {(layer.component, layer.usual, layer.rooted) for layer in header.layers}
    assert found == {("unet", 16.0, False), ("unet", 2.0, False), ("text", 6.0, True)}


@pytest.mark.parametrize("kind", ["int64", "int32", "uint8"])
def test_alpha_may_be_a_whole_number(tmp_path: Path, kind: str) -> None:
    """diffusers' `convert_state_dict_to_kohya` writes it so."""
    modules = attention_of_sd(768)
    extra = {keys(name, "kohya")[2]: np.array(4, kind) for name in modules}
    header = read_header(write_lora(tmp_path / "a.safetensors", modules, extra=extra))
    assert header.alpha == 4.0 and all(layer.alpha for layer in header.layers)


def bare(tmp_path: Path, *, prefix: str = "", metadata: dict[str, str] | None = None, stem: str = "one") -> Path:
    """A LoRA for a U-Net alone, saved without the pipeline around it."""
    extra = {}
    for module, (wide, deep) in attention_of_sd(768).items():
        extra[f"{prefix}{module}.lora_A.weight"] = np.zeros((4, deep), "float32")
        extra[f"{prefix}{module}.lora_B.weight"] = np.zeros((wide, 4), "float32")
    return write_lora(tmp_path / f"{stem}.safetensors", {}, extra=extra, metadata=metadata)


def test_alpha_settings_of_a_unet_saved_alone_are_read(tmp_path: Path) -> None:
    metadata = {"lora_adapter_metadata": json.dumps({"r": 4, "lora_alpha": 16, "use_rslora": True})}
    assert {(layer.usual, layer.rooted) for layer in read_header(bare(tmp_path, metadata=metadata)).layers} == {(16.0, True)}


def test_alpha_settings_that_peft_writes_beside_a_file_are_read(tmp_path: Path) -> None:
    path, beside = bare(tmp_path, prefix="base_model.model."), tmp_path / "adapter_config.json"
    folders = LoraFolders([tmp_path])
    for content, alpha in ((None, None), ('{"r": 4, "lora_alpha": 8}', 8.0), ('{"r": 4, "lora_alpha": 32}', 32.0), ("[", None)):
        if content:
            beside.write_text(content)
        assert {layer.usual for layer in read_header(path).layers} == {alpha}
        (card,), _ = folders.read()
        assert card.header and {layer.usual for layer in card.header.layers} == {alpha}
    beside.write_bytes(b"\xff")
    with pytest.raises(BadLora, match=r"^one.safetensors cannot be used: adapter_config.json beside it cannot be read"):
        read_header(path)


@pytest.mark.parametrize(
    ("component", "patterns", "alphas"),
    [
        ("unet", {"attn2.to_k": 1, "to_k": 2}, {1.0, 2.0, 4.0}),
        ("unet", {"to_k": 2, "attn2.to_k": 1}, {2.0, 4.0}),
        ("unet", {"^to_k$": 2, "^down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q$": 3}, {3.0, 4.0}),
        ("unet", {"attn2.to_(k|v)": 1}, {4.0}),
        ("text_encoder", {"text_model.encoder.layers.0.self_attn.q_proj": 1}, {1.0, 4.0}),
        ("text_encoder", {"q_proj": 1}, {1.0, 4.0}),
    ],
)
def test_the_first_pattern_that_is_about_a_module_counts(
    tmp_path: Path, component: str, patterns: dict[str, int], alphas: set[float]
) -> None:
    metadata = {"lora_adapter_metadata": json.dumps({f"{component}.lora_alpha": 4, f"{component}.alpha_pattern": patterns})}
    modules = TEXT if component == "text_encoder" else attention_of_sd(768)
    header = read_header(write_lora(tmp_path / "a.safetensors", modules, dialect="peft", metadata=metadata))
    assert {layer.usual for layer in header.layers} == alphas


GOOD = {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}
DOWN = "lora_unet_conv_in.lora_down.weight"
UP = "lora_unet_conv_in.lora_up.weight"
BAD: list[tuple[str, dict[str, Any], str]] = [
    ("length", {"header": {DOWN: GOOD}, "length": 2**63}, "its header claims 9,223,372,036,854,775,808 of"),
    ("longer", {"header": {DOWN: GOOD}, "length": 10_000}, "its header claims 10,000 of"),
    ("json", {"header": b'{"a": '}, "its header is no JSON"),
    ("text", {"header": b"\xff\xfe\xff\xff"}, "its header is no JSON"),
    ("list", {"header": [1, 2]}, "its header is no JSON object"),
    ("deep", {"header": b'{"a":' + b"[" * 100_000}, "its header is no JSON"),
    ("nan", {"header": b'{"a": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, 4]}}'}, "its header is no JSON"),
    ("digits", {"header": b'{"a": {"dtype": "F32", "shape": [' + b"9" * 5000 + b'], "data_offsets": [0, 4]}}'}, "its header is no JSON"),
    ("twice", {"header": b'{"a": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}, "a": 1}'}, "its header is no JSON"),
    ("empty", {"header": {}}, "it holds 0 tensors"),
    ("outside", {"header": {DOWN: {**GOOD, "data_offsets": [0, 8]}}, "data": b"1234"}, "lies outside the file"),
    ("reversed", {"header": {DOWN: {**GOOD, "data_offsets": [8, 0]}}, "data": b"12345678"}, "lies outside the file"),
    ("size", {"header": {DOWN: {**GOOD, "shape": [1, 3]}}, "data": b"12345678"}, "does not match its shape"),
    ("negative", {"header": {DOWN: {**GOOD, "shape": [-1, -2]}}, "data": b"12345678"}, "the shape of"),
    ("dtype", {"header": {DOWN: {**GOOD, "dtype": "F31"}}, "data": b"12345678"}, "the entry of"),
    ("truth", {"header": {DOWN: {**GOOD, "shape": [True, 2]}}, "data": b"12345678"}, "the shape of"),
    ("metadata", {"header": {"__metadata__": {"a": 1}, DOWN: GOOD}, "data": b"12345678"}, "its metadata are not texts"),
    ("overlap", {"header": {DOWN: GOOD, UP: {**GOOD, "shape": [2, 1]}}, "data": b"12345678"}, "its tensors overlap"),
    ("whole", {"header": {DOWN: {**GOOD, "dtype": "I32"}, UP: {**GOOD, "shape": [2, 1], "data_offsets": [8, 16]}}, "data": b"1" * 16},
     "holds I32 numbers, no weights"),
    ("shapes", {"header": {DOWN: GOOD, UP: {"dtype": "F32", "shape": [1, 2], "data_offsets": [8, 16]}}, "data": b"1" * 16},
     r"the shapes \[1, 2\] and \[1, 2\] of"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "problem"), BAD, ids=[name for name, _, _ in BAD])
def test_a_forged_file_is_one_sentence(tmp_path: Path, name: str, content: dict[str, Any], problem: str) -> None:
    content = dict(content)
    path = write_raw(tmp_path / f"{name}.safetensors", content.pop("header"), **content)
    with pytest.raises(BadLora, match=problem) as caught:
        read_header(path)
    assert one_sentence(str(caught.value)) and str(caught.value).startswith(path.name)


@pytest.mark.parametrize(
    "text", ["<!DOCTYPE html><title>404</title>", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"]
)
def test_what_a_download_left_instead_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "look.safetensors").write_text(text)
    with pytest.raises(BadLora, match=r"it is a web page or a pointer of Git LFS in the place of the file; fetch the file again\."):
        read_header(tmp_path / "look.safetensors")


@pytest.mark.parametrize("suffix", [".pt", ".ckpt", ".bin", ".PTH", ".safetensors"])
def test_a_pickle_is_refused_by_name_and_by_content(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"look{suffix}"
    path.write_bytes(pickle.dumps({"a": list(range(100))}))
    with pytest.raises(BadLora, match="pickled file"):
        read_header(path)


def test_a_cut_or_missing_file_is_one_sentence(tmp_path: Path) -> None:
    whole = write_lora(tmp_path / "a.safetensors", attention_of_sd(768)).read_bytes()
    for length in (0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "a.safetensors").write_bytes(whole[:length])
        with pytest.raises(BadLora) as caught:
            read_header(tmp_path / "a.safetensors")
        assert one_sentence(str(caught.value))
    with pytest.raises(BadLora, match=r"b\.safetensors cannot be read"):
        read_header(tmp_path / "b.safetensors")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["F32", "BF16", "I8"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["dtype", "shape", "data_offsets", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)
_entry = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "F16", "BF16", "I8", "F99"]) | _json,
        "shape": st.lists(st.integers(-2, 2**41), max_size=3) | _json,
        "data_offsets": st.lists(st.integers(-5, 2**65), min_size=2, max_size=2) | _json,
    }
)
_keys = st.sampled_from([DOWN, UP, "lora_unet_conv_in.alpha", "__metadata__", "unet.mid_block.lora_A.weight", "x.hada_w1_a"]) | st.text(
    max_size=9
)
_headers = st.dictionaries(_keys, _entry | _json, max_size=5).map(lambda header: json.dumps(header).encode()) | st.binary(max_size=200)


@settings(max_examples=200, deadline=None)
@given(_headers, st.none() | st.integers(0, 2**64 - 1), st.binary(max_size=64))
def test_no_malformed_header_gets_through(tmp_path_factory: pytest.TempPathFactory, text: bytes, length: int | None, data: bytes) -> None:
    path = write_raw(tmp_path_factory.getbasetemp() / "fuzz.safetensors", text, length=length, data=data)
    try:
        header = read_header(path)
    except BadLora as error:
        assert one_sentence(str(error))
    else:
        assert all(layer.rank > 0 for layer in header.layers)


def test_5000_damaged_files_are_each_one_sentence_or_read(tmp_path: Path) -> None:
    whole = write_lora(tmp_path / "a.safetensors", dict(list(attention_of_sd(768, channels=4).items())[:3]), alpha=1.0).read_bytes()
    random, path, told = np.random.default_rng(5), tmp_path / "b.safetensors", 0
    header_end = 8 + int.from_bytes(whole[:8], "little")
    # One file, written over: to make a new one thousands of times takes longer than all else.
    with path.open("wb", buffering=0) as file:
        for _ in flat(5000, most=64 * 2**20):
            damaged = bytearray(whole)
            for place in random.integers(0, header_end, random.integers(1, 4)):
                damaged[place] = random.choice([*b'0123456789[]{}:,"-.eN', 0, 255])
            file.seek(0)
            file.truncate(file.write(damaged[: random.integers(0, len(damaged))] if random.random() < 0.2 else damaged))
            try:
                read_header(path)
            except BadLora as error:
                told += 1
                assert one_sentence(str(error))
    assert told > 2500


def test_a_forged_length_takes_no_memory(tmp_path: Path) -> None:
    path = write_raw(tmp_path / "big.safetensors", {DOWN: GOOD}, length=MAX_HEADER_BYTES)
    with path.open("r+b") as file:
        file.truncate(4 * MAX_HEADER_BYTES)
    tracemalloc.start()
    for _ in range(3):
        with pytest.raises(BadLora):
            read_header(path)
    assert tracemalloc.get_traced_memory()[1] < 5 * MAX_HEADER_BYTES
    tracemalloc.stop()


def one_sentence(text: str) -> bool:
    return "\n" not in text and text.endswith(".") and len(text) < 400


@pytest.mark.parametrize("alpha", [10**400, -(10**400), 1e300, True, "16", [16], None], ids=lambda alpha: str(alpha)[:9])
def test_an_alpha_that_is_no_usable_number_is_left_out(tmp_path: Path, alpha: object) -> None:
    metadata = {"lora_adapter_metadata": json.dumps({"unet.lora_alpha": 8, "unet.alpha_pattern": {"attn2.to_k": alpha}})}
    header = read_header(write_lora(tmp_path / "a.safetensors", attention_of_sd(768), dialect="peft", metadata=metadata))
    assert {layer.usual for layer in header.layers} == {8.0, None}


def test_half_characters_are_shown_as_such_in_texts_and_refused_in_keys(tmp_path: Path) -> None:
    texts = {"ss_sd_model_name": "base \ud800", "modelspec.trigger_phrase": "zkz \udfff, clay"}
    header = read_header(write_raw(tmp_path / "a.safetensors", {"__metadata__": texts, DOWN: GOOD}, data=b"12345678"))
    assert (header.base, header.words) == ("base \ufffd", ("zkz \ufffd", "clay"))
    with pytest.raises(BadLora) as caught:
        read_header(write_raw(tmp_path / "b.safetensors", {"lora_\ud800": GOOD}, data=b"12345678"))
    assert str(caught.value) == r"b.safetensors cannot be used: the name 'lora_\ud800' is no text; fetch the file again."
