"""Model folders that are damaged: one sentence that names the file, and the engine goes on with the next model."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

from studio.engine.devices import choose_device, is_out_of_memory, memory_explained, place
from studio.engine.diffusers_engine import DiffusersEngine
from studio.engine.fake import fake_parts
from studio.errors import BrokenModel, OutOfMemory, StudioError
from studio.events import Failed, Finished
from studio.inventory import Inventory, ModelCard
from studio.request import GenerationRequest
from studio.service import Studio
from studio.settings import Settings
from tests.contract.drive import latents_of, plan_of, run_of

UNET = "unet/diffusion_pytorch_model.safetensors"
SCHEDULER = "scheduler/scheduler_config.json"
MERGES = "tokenizer/merges.txt"
PAIRS = "#version: 0.2\nr e\nre d</w>\nt h\nth e</w>\na n\n"


def delete(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def write(name: str, data: bytes) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        (folder / name).write_bytes(data)

    return apply


def cut(name: str, keep: float) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * keep)])

    return apply


def change(name: str, **fields: object) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        config = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**config, **fields}))

    return apply


def lead_nowhere(name: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to(folder / "gone")

    return apply


def pickled(folder: Path) -> None:
    (folder / UNET).rename(folder / "unet" / "diffusion_pytorch_model.bin")


def other_text_encoder(folder: Path) -> None:
    config = CLIPTextConfig.from_pretrained(folder / "text_encoder", hidden_size=16)
    CLIPTextModel(config).save_pretrained(folder / "text_encoder")


def inpainting(folder: Path) -> None:
    config = {**UNet2DConditionModel.load_config(folder / "unet"), "in_channels": 9}
    UNet2DConditionModel.from_config(config).save_pretrained(folder / "unet")


def other_vae(folder: Path) -> None:
    config = {**AutoencoderKL.load_config(folder / "vae"), "latent_channels": 8}
    AutoencoderKL.from_config(config).save_pretrained(folder / "vae")


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "unet missing": (delete(UNET), "unet/diffusion_pytorch_model.safetensors is missing"),
    "unet cut short": (cut(UNET, 0.6), "unet/diffusion_pytorch_model.safetensors is cut short"),
    "unet cut in the header": (cut(UNET, 0.001), "unet/diffusion_pytorch_model.safetensors is damaged"),
    "unet empty": (write(UNET, b""), "unet/diffusion_pytorch_model.safetensors is damaged"),
    "unet is html": (write(UNET, b"<html>not found</html>" * 99), "unet/diffusion_pytorch_model.safetensors is damaged"),
    "unet pickled": (pickled, "unet/diffusion_pytorch_model.bin is a pickled file"),
    "unet leads nowhere": (lead_nowhere(UNET), "unet/diffusion_pytorch_model.safetensors is missing"),
    "unet config missing": (delete("unet/config.json"), "unet/config.json is missing"),
    "unet config broken": (write("unet/config.json", b"{"), "unet/config.json is damaged"),
    "unet config nested": (write("unet/config.json", b"[" * 200_000), "unet/config.json is damaged"),
    "unet config is a list": (write("unet/config.json", b"[]"), "unet/config.json is damaged"),
    "unet of other sizes": (change("unet/config.json", cross_attention_dim=64), "unet"),
    "unet with more parts": (change("unet/config.json", class_embed_type="timestep"), "unet lacks 4 weights"),
    "unet of wrong blocks": (change("unet/config.json", down_block_types=["NoBlock", "DownBlock2D"]), "unet/config.json"),
    "unet of another class": (change("model_index.json", unet=["diffusers", "UNet3DConditionModel"]), "its unet is a UNet3DConditionModel"),
    "unet not named": (change("model_index.json", unet=[None, None]), "model_index.json names no unet"),
    "index missing": (delete("model_index.json"), "model_index.json is missing"),
    "vae missing": (delete("vae/diffusion_pytorch_model.safetensors"), "vae/diffusion_pytorch_model.safetensors is missing"),
    "text encoder cut short": (cut("text_encoder/model.safetensors", 0.9), "text_encoder/model.safetensors is cut short"),
    "vocabulary missing": (delete("tokenizer/vocab.json"), "tokenizer/vocab.json is missing"),
    "vocabulary broken": (write("tokenizer/vocab.json", b"nonsense"), "tokenizer/vocab.json is damaged"),
    "vocabulary of nothing": (write("tokenizer/vocab.json", b"{}"), "tokenizer"),
    "vocabulary without numbers": (write("tokenizer/vocab.json", b'{"a": "b"}'), "tokenizer/vocab.json is damaged"),
    "merges missing": (delete("tokenizer/merges.txt"), "tokenizer/merges.txt is missing"),
    "merges empty": (
        write(MERGES, b""),
        "tokenizer/merges.txt is cut short: 5 of the 519 entries of tokenizer/vocab.json come from no merge",
    ),
    "merges cut after a line": (
        write(MERGES, b"#version: 0.2\nr e\nre d</w>\nt h\nth e</w>\n"),
        "tokenizer/merges.txt is cut short: 1 of the 519",
    ),
    "merges cut within a line": (
        write(MERGES, b"#version: 0.2\nr e\nre d</w>\nt h\nth e</"),
        "tokenizer/merges.txt is cut short: 2 of the 519",
    ),
    "merges cut within a pair": (write(MERGES, b"#version: 0.2\nr e\nre d</w>\nt h\nth"), "tokenizer/merges.txt is damaged"),
    "merges of three parts": (write(MERGES, f"{PAIRS}a n d\n".encode()), "tokenizer/merges.txt is damaged"),
    "merges of bytes": (write(MERGES, b"\xff\xfe"), "tokenizer/merges.txt is damaged"),
    "merges beyond the vocabulary": (write(MERGES, f"{PAIRS}an n\n".encode()), "the tokenizer does not fit its files"),
    "tokenizer config broken": (write("tokenizer/tokenizer_config.json", b"{"), "tokenizer/tokenizer_config.json is damaged"),
    "tokenizer config is a list": (write("tokenizer/tokenizer_config.json", b"[]"), "tokenizer/tokenizer_config.json is damaged"),
    "tokenizer with a text for a window": (
        change("tokenizer/tokenizer_config.json", model_max_length="x"),
        "tokenizer/tokenizer_config.json is damaged",
    ),
    "special tokens broken": (write("tokenizer/special_tokens_map.json", b"{"), "tokenizer/special_tokens_map.json is damaged"),
    "special tokens are a list": (write("tokenizer/special_tokens_map.json", b"[]"), "tokenizer/special_tokens_map.json is damaged"),
    "added tokens broken": (write("tokenizer/added_tokens.json", b"nonsense"), "tokenizer/added_tokens.json is damaged"),
    "text encoder of another model": (other_text_encoder, "its text encoder has 16 numbers a token and its U-Net reads 32"),
    "unet for inpainting": (inpainting, "its U-Net also reads a picture (9 channels)"),
    "vae of another model": (other_vae, "its VAE has 8 latent channels and its U-Net reads 4"),
    "scheduler of nonsense": (change(SCHEDULER, beta_schedule="nonsense"), SCHEDULER),
    "scheduler with a text for a number": (change(SCHEDULER, num_train_timesteps="x"), SCHEDULER),
    "scheduler that predicts nothing known": (change(SCHEDULER, prediction_type="flow"), SCHEDULER),
    "scheduler config broken": (write("scheduler/scheduler_config.json", b"\xff"), "scheduler/scheduler_config.json is damaged"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_named_and_survived(case: str, tiny_copy: Path, settings: Settings, tiny_card: ModelCard) -> None:
    spoil, expected = DAMAGE[case]
    spoil(tiny_copy)
    engine = DiffusersEngine(settings)
    broken = replace(tiny_card, name="Spoilt", path=tiny_copy)
    with pytest.raises(BrokenModel) as caught:
        engine.load(broken, lambda *_: None)
    sentence = str(caught.value)
    assert expected in sentence and sentence.startswith("Spoilt cannot be used: ") and "\n" not in sentence
    engine.load(tiny_card, lambda *_: None)
    assert run_of(engine, tiny_card).total == 4


HARMLESS: dict[str, Callable[[Path], None]] = {
    "merges with other line ends": write(MERGES, PAIRS.replace("\n", "\r\n").encode()),
    "merges without a last line end": write(MERGES, PAIRS.rstrip().encode()),
    "merges without a version": write(MERGES, PAIRS.partition("\n")[2].encode()),
    "no tokenizer config": delete("tokenizer/tokenizer_config.json"),
    "no special tokens map": delete("tokenizer/special_tokens_map.json"),
    "a special token as an object": change("tokenizer/special_tokens_map.json", pad_token={"content": "<|endoftext|>", "lstrip": False}),
    "an added token": write("tokenizer/added_tokens.json", b'{"<cat>": 519}'),
}


@pytest.mark.parametrize("case", HARMLESS)
def test_other_writings_of_a_tokenizer_give_the_same_tokens(
    case: str, tiny_copy: Path, settings: Settings, tiny_card: ModelCard, engine: DiffusersEngine
) -> None:
    HARMLESS[case](tiny_copy)
    other, card = DiffusersEngine(settings), replace(tiny_card, path=tiny_copy)
    other.load(card, lambda *_: None)
    expected = run_of(engine, tiny_card, prompt="the red an").embeddings
    assert torch.equal(run_of(other, card, prompt="the red an").embeddings, expected)


class Both:
    """A damaged model, which comes first, and a sound one."""

    def __init__(self, *cards: ModelCard) -> None:
        self._cards = cards

    def read(self) -> Inventory:
        return Inventory(self._cards)


def test_the_studio_tells_of_a_damaged_model_and_goes_on_with_another(tiny_copy: Path, settings: Settings, tiny_card: ModelCard) -> None:
    cut(UNET, 0.6)(tiny_copy)
    parts = replace(fake_parts(), inventory=Both(replace(tiny_card, name="Spoilt", path=tiny_copy), tiny_card))
    with Studio(lambda: DiffusersEngine(settings), parts).open() as studio:
        request = GenerationRequest(steps=1, width=64, height=64)
        failed = studio.submit(request).wait(300)
        assert isinstance(failed, Failed) and failed.message.startswith(f"Spoilt cannot be used: {UNET} is cut short")
        made = studio.submit(request.model_copy(update={"model": tiny_card.name})).wait(300)
        assert isinstance(made, Finished)


def test_progress_names_each_part(settings: Settings, tiny_card: ModelCard) -> None:
    heard: list[tuple[float, str]] = []
    engine = DiffusersEngine(settings)
    engine.load(tiny_card, lambda fraction, message: heard.append((fraction, message)))
    fractions = [fraction for fraction, _ in heard]
    assert fractions == sorted(fractions) and fractions[0] == 0.0 and fractions[-1] == 1.0
    assert {"reading the unet", "reading the text encoder", "reading the vae"} <= {message for _, message in heard}
    heard.clear()
    engine.load(tiny_card, lambda fraction, message: heard.append((fraction, message)))
    assert not heard


def test_switching_models_frees_the_first(settings: Settings, tiny_card: ModelCard, velocity_card: ModelCard) -> None:
    engine = DiffusersEngine(settings)
    engine.load(tiny_card, lambda *_: None)
    first = latents_of(run_of(engine, tiny_card))
    engine.load(velocity_card, lambda *_: None)
    with pytest.raises(StudioError, match="Tiny is not loaded"):
        engine.start(plan_of(tiny_card))
    engine.load(tiny_card, lambda *_: None)
    assert latents_of(run_of(engine, tiny_card)).equal(first)


def test_a_model_that_was_written_anew_is_read_anew(tiny_copy: Path, settings: Settings, tiny_card: ModelCard) -> None:
    card = replace(tiny_card, path=tiny_copy)
    engine, told = DiffusersEngine(settings), list[str]()
    for _ in range(2):
        engine.load(card, lambda _, message: told.append(message))
    assert told.count("reading the unet") == 1
    before = latents_of(run_of(engine, card))
    weights = load_file(tiny_copy / UNET)
    save_file({name: weight * 1.5 for name, weight in weights.items()}, tiny_copy / UNET, {"format": "pt"})
    engine.load(card, lambda _, message: told.append(message))
    assert told.count("reading the unet") == 2
    assert not torch.equal(latents_of(run_of(engine, card)), before)


def test_a_tokenizer_that_names_no_window_has_the_text_models(tiny_copy: Path, settings: Settings, tiny_card: ModelCard) -> None:
    configs = tiny_copy / "tokenizer" / "tokenizer_config.json"
    config = json.loads(configs.read_text())
    del config["model_max_length"]
    configs.write_text(json.dumps(config))
    card, engine = replace(tiny_card, path=tiny_copy), DiffusersEngine(settings)
    engine.load(card, lambda *_: None)
    assert run_of(engine, card).embeddings.shape[1] == 77


def test_half_precision_files_load(tiny_copy: Path, settings: Settings, tiny_card: ModelCard) -> None:
    for part, stem in (("unet", "diffusion_pytorch_model"), ("vae", "diffusion_pytorch_model"), ("text_encoder", "model")):
        file = tiny_copy / part / f"{stem}.safetensors"
        save_file(
            {key: value.half() for key, value in load_file(file).items()}, file.with_name(f"{stem}.fp16.safetensors"), {"format": "pt"}
        )
        file.unlink()
    card = replace(tiny_card, name="Half", path=tiny_copy)
    engine = DiffusersEngine(settings)
    engine.load(card, lambda *_: None)
    run = run_of(engine, card)
    assert run.model.unet.dtype == run.model.text.encode("").dtype == run.model.vae.dtype == torch.float32
    full = DiffusersEngine(settings)
    full.load(tiny_card, lambda *_: None)
    assert torch.allclose(latents_of(run), latents_of(run_of(full, tiny_card)), rtol=0.02, atol=0.1)


def test_bfloat16_draws_nearly_the_same(settings: Settings, tiny_card: ModelCard, engine: DiffusersEngine) -> None:
    half = DiffusersEngine(replace(settings, precision="bfloat16"))
    half.load(tiny_card, lambda *_: None)
    assert half.describe() == "CPU, bfloat16" and engine.describe() == "CPU, float32"
    run, full = run_of(half, tiny_card), run_of(engine, tiny_card)
    assert run.model.unet.dtype == torch.bfloat16
    left, right = latents_of(run), latents_of(full)
    assert left.dtype == torch.float32
    assert (left - right).abs().mean() < 0.05 * right.abs().mean()
    assert next(run.finish()).size == (64, 64)


def test_impossible_devices_are_one_sentence() -> None:
    assert choose_device("cpu").type == "cpu"
    if not torch.cuda.is_available():
        with pytest.raises(StudioError, match=r"device: cuda is not available here; use .*cpu"):
            choose_device("cuda")
    with pytest.raises(StudioError, match="precision: float16 is not fit for a CPU"):
        place(torch.device("cpu"), "float16", parameters=1)


def test_small_models_stay_in_float32_on_a_cpu() -> None:
    assert place(torch.device("cpu"), "auto", parameters=10_000_000).dtype == torch.float32
    assert place(torch.device("cpu"), "bfloat16", parameters=10_000_000).dtype == torch.bfloat16


def test_out_of_memory_is_explained() -> None:
    with (
        pytest.raises(OutOfMemory, match="CPU ran out of memory while drawing") as caught,
        memory_explained(torch.device("cpu"), doing="drawing"),
    ):
        torch.empty(2**50)
    assert caught.value.hint
    for words in (
        "MPS backend out of memory (MPS allocated: 9 GB)",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`",
        "[enforce fail at alloc_cpu.cpp:116] data. DefaultCPUAllocator: not enough memory: you tried to allocate 1125899906842624 bytes.",
    ):
        assert is_out_of_memory(RuntimeError(words))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="other"), memory_explained(torch.device("cpu"), doing="drawing"):
        raise RuntimeError("other")


def test_the_settings_say_how_many_threads_calculate(settings: Settings) -> None:
    usual = torch.get_num_threads()
    try:
        DiffusersEngine(replace(settings, threads=usual + 1)).close()
        assert torch.get_num_threads() == usual + 1
        DiffusersEngine(settings).close()
        assert torch.get_num_threads() == usual + 1
    finally:
        torch.set_num_threads(usual)
