"""Pictures of other programs become requests, with a report on what is exact, near or missing."""

import gzip
import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, PngImagePlugin

from studio.errors import BadPicture
from studio.inventory import Inventory, LoraCard
from studio.metadata import Recall, Record, encode, read, recall
from studio.metadata.samplers import from_a1111, from_invoke, from_k
from studio.provenance import Mark, Provenance
from studio.request import ControlUse, GenerationRequest, LoraUse
from tests.unit.test_plan import CARD

PICTURE = Image.new("RGB", (64, 32), (200, 30, 30))
HERE = Inventory(
    (replace(CARD, multiple_of=8, hash="a" * 64), replace(CARD, name="dream_shaper", multiple_of=8, hash="b" * 64)),
    loras=(
        LoraCard(name="styles/clay", path=CARD.path, bytes=1, hash="c" * 64, tensor_hash="d" * 64),
        LoraCard(name="ink", path=CARD.path, bytes=1, hash="e" * 64, tensor_hash="f" * 64),
    ),
)


def png(**texts: Any) -> bytes:
    info = PngImagePlugin.PngInfo()
    for key, value in texts.items():
        info.add_itxt(key, value if isinstance(value, str) else json.dumps(value))
    buffer = io.BytesIO()
    PICTURE.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def jpeg(comment: bytes | str, *, maker: str = "", kind: str = "JPEG", outer: bool = False) -> bytes:
    exif = Image.Exif()
    place = exif if outer else exif.get_ifd(ExifTags.IFD.Exif)
    place[ExifTags.Base.UserComment] = comment
    if maker:
        place[ExifTags.Base.MakerNote] = maker
    buffer = io.BytesIO()
    PICTURE.save(buffer, kind, exif=exif)
    return buffer.getvalue()


def told(data: bytes, here: Inventory = HERE) -> Recall:
    return recall(read(data, name="a.png"), here, has_picture=lambda key: False)


def line(found: Recall, subject: str) -> tuple[str, str]:
    first = next(each for each in found.lines if each.subject == subject)
    return first.verdict, first.why


A1111 = (
    "a (red:1.2) cat <lora:clay:0.8>, sitting\non grass\nNegative prompt: dog,\nugly\n"
    "Steps: 25, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 3000000000, Size: 512x640, Model hash: bbbbbbbbbb, "
    'Model: renamed, Clip skip: 2, ControlNet 0: "Module: canny, Model: c [d14c016b], Weight: 1.0", Lora hashes: "clay: dddddddddddd", '
    "Version: v1.10.1"
)


def test_a1111() -> None:
    found = told(png(parameters=A1111))
    assert found.dialect == "A1111"
    assert found.request == GenerationRequest(
        prompt="a (red:1.2) cat, sitting\non grass",
        negative_prompt="dog,\nugly",
        model="dream_shaper",
        scheduler="DPM++ 2M Karras",
        steps=25,
        guidance_scale=6.5,
        seed=3_000_000_000,
        width=512,
        height=640,
        loras=(LoraUse(name="styles/clay", weight=0.8),),
    )
    assert line(found, "Model") == ("exact", "found by its hash as dream_shaper")
    assert line(found, "LoRA") == ("exact", "found by its hash as styles/clay")
    assert line(found, "Steps") == line(found, "Scheduler") == ("exact", "")
    assert line(found, "Prompt")[0] == line(found, "Seed")[0] == line(found, "Clip skip")[0] == "approximated"
    assert line(found, "ControlNet 0")[0] == "missing"
    assert (found.count("missing"), found.provenance) == (1, None)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
@pytest.mark.parametrize("code", ["utf-16-be", "utf-16-le", "utf-16"])
def test_a1111_in_exif_of_either_byte_order(kind: str, code: str) -> None:
    assert told(jpeg(b"UNICODE\0" + A1111.encode(code), kind=kind)).request == told(png(parameters=A1111)).request


def test_what_is_not_here_is_named_with_its_hash() -> None:
    text = (
        "x <lora:gone:1> <lora:ink:9>\nSteps: 20, Sampler: Euler, Model hash: 0123456789, Model: other, RNG: CPU, "
        'Lora hashes: "gone: 111111111111"'
    )
    found = told(png(parameters=text))
    assert line(found, "Model") == ("missing", "it is not on this machine, hash 0123456789; Mini is used instead")
    assert line(found, "LoRA") == ("missing", "it is not on this machine, hash 111111111111")
    assert found.request.model is None and found.request.loras == (LoraUse(name="ink", weight=2.0),)
    assert [each.verdict for each in found.lines if each.subject == "LoRA"] == ["missing", "approximated"]


def test_another_file_of_the_same_name_is_only_near() -> None:
    found = told(png(parameters="x\nSteps: 20, Sampler: Euler, Model hash: 0123456789, Model: Mini, Version: v1.9.0"))
    assert found.request.model == "Mini"
    assert line(found, "Model") == ("approximated", "found by its name; its hash here is aaaaaaaaaa, and the picture says 0123456789")
    unknown = told(
        png(parameters="x\nSteps: 20, Sampler: Euler, Model hash: 0123456789, Model: Mini"), Inventory((replace(CARD, hash=""),))
    )
    assert line(unknown, "Model") == ("approximated", "found by its name; its hash here is still being computed")


def test_forge_and_old_a1111() -> None:
    forge = told(
        png(parameters="x\nSteps: 20, Sampler: Euler, Schedule type: Simple, Distilled CFG Scale: 3.5, Seed: 1, Version: f2.0.1v1.10.1")
    )
    assert forge.dialect == "Forge" and line(forge, "Distilled CFG Scale")[0] == "approximated" and forge.request.scheduler == "Euler"
    old = told(png(parameters="x\nSteps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 1, Size: 510x512, Model hash: bbbbbbbb"))
    assert (old.request.scheduler, old.request.width, line(old, "Width")[0]) == ("DPM++ 2M Karras", 512, "approximated")


def test_numbers_beyond_bounds_are_brought_in_and_said() -> None:
    found = told(png(parameters="x\nSteps: 900, Sampler: Euler, CFG scale: 99.5, Seed: 99999999999, Size: 9000x16, Version: v1.9.0"))
    assert (found.request.steps, found.request.guidance_scale, found.request.seed) == (150, 30.0, 99999999999 % 2**32)
    assert (found.request.width, found.request.height) == (2048, 64)
    assert all(line(found, title)[0] == "approximated" for title in ("Steps", "Guidance", "Seed", "Width", "Height"))
    broken = told(png(parameters="x\nSteps: many, Sampler: Euler, CFG scale: nan, Seed: 1e999, Version: v1.9.0"))
    assert [line(broken, title) for title in ("Steps", "Guidance", "Seed")] == [("missing", "it is no number")] * 3


def test_tags_mean_what_they_mean_in_a1111() -> None:
    found = told(png(parameters="x <lora:ink:0.5:0.7> <lora:clay:te=0.1:unet=0.9> <hypernet:h:1>\nSteps: 2, Sampler: Euler, Seed: 1"))
    ink, clay = found.request.loras
    assert (ink.weight, ink.text_encoder_weight) == (0.7, 0.5) and (clay.weight, clay.text_encoder_weight) == (0.9, 0.1)
    assert line(found, "hypernet")[0] == "missing" and found.request.prompt == "x"


def test_sdnext() -> None:
    text = (
        "a cat\nNegative prompt: \nSteps: 20, Size: 512x512, Sampler: UniPC, Seed: 12, CFG scale: 6.0, App: SD.Next, Version: abc1234, "
        "Pipeline: StableDiffusionPipeline, Operations: txt2img, Model: dream_shaper, Model hash: bbbbbbbbbb"
        ', LoRA networks: "ink:0.5", LoRA hashes: ffffffffff'
    )
    found = told(png(parameters=text))
    assert (found.dialect, found.request.scheduler, found.request.model) == ("SD.Next", "UniPC", "dream_shaper")
    assert line(found, "Model") == ("exact", "") and found.request.negative_prompt == ""


FOOOCUS = {
    "adm_guidance": "(1.5, 0.8, 0.3)", "base_model": "dream_shaper", "base_model_hash": "b" * 10, "full_prompt": ["a cat"],
    "guidance_scale": 4.0, "loras": [["clay", 0.5, "c" * 10]], "metadata_scheme": "fooocus", "negative_prompt": "dog",
    "performance": "Speed",
    "prompt": "a cat", "refiner_model": "None", "resolution": "(1152, 896)", "sampler": "dpmpp_2m_sde_gpu", "scheduler": "karras",
    "seed": "42", "sharpness": 2.0, "steps": 30, "styles": "['Fooocus V2']", "version": "Fooocus v2.5.5",
}  # fmt: skip


@pytest.mark.parametrize(
    "data", [png(parameters=FOOOCUS, fooocus_scheme="fooocus"), jpeg(json.dumps(FOOOCUS), maker="fooocus", outer=True)]
)
def test_fooocus(data: bytes) -> None:
    found = told(data)
    made = found.request
    assert (found.dialect, made.prompt, made.negative_prompt, made.seed, made.steps) == ("Fooocus", "a cat", "dog", 42, 30)
    assert (made.width, made.height, made.scheduler, made.model) == (1152, 896, "DPM++ 2M SDE Karras", "dream_shaper")
    assert made.loras == (LoraUse(name="styles/clay", weight=0.5),)
    assert line(found, "styles")[0] == "missing" and line(found, "sharpness")[0] == "approximated"


def test_fooocus_in_the_line_of_a1111() -> None:
    text = (
        "a cat, cinematic\nNegative prompt: dog\nSteps: 30, Sampler: DPM++ 2M SDE Karras, Seed: 42, Size: 1152x896, CFG scale: 4, "
        'Sharpness: 2, Model: dream_shaper, Model hash: bbbbbbbbbb, Raw prompt: a cat, Lora weights: "clay: 0.5", Version: Fooocus v2.5.5'
    )
    found = told(png(parameters=text, fooocus_scheme="a1111"))
    assert (found.dialect, found.request.prompt) == ("Fooocus", "a cat")
    assert found.request.loras == (LoraUse(name="styles/clay", weight=0.5),)


def test_invoke() -> None:
    data = {
        "generation_mode": "txt2img", "positive_prompt": "a cat", "negative_prompt": "dog", "width": 512, "height": 512, "seed": 7,
        "rand_device": "cpu", "cfg_scale": 7.5, "steps": 30, "scheduler": "dpmpp_2m_k", "clip_skip": 1,
        "model": {"key": "k", "hash": "blake3:" + "ab" * 32, "name": "dream_shaper", "base": "sd-1", "type": "main"},
        "loras": [{"model": {"name": "ink", "hash": "blake3:aa"}, "weight": 0.6}, {"lora": {"model_name": "gone"}, "weight": 1}],
        "controlnets": [{"control_model": {"name": "canny"}}], "app_version": "5.4.2",
    }  # fmt: skip
    found = told(png(invokeai_metadata=data))
    assert (found.dialect, found.request.scheduler, found.request.model, found.request.seed) == (
        "InvokeAI",
        "DPM++ 2M Karras",
        "dream_shaper",
        7,
    )
    assert found.request.loras == (LoraUse(name="ink", weight=0.6),)
    said = "found by its name; the picture's hash is of another kind, blake3:ababababababababa"
    assert line(found, "Model") == ("approximated", said)
    assert (
        line(found, "Seed") == ("exact", "") and line(found, "ControlNet")[0] == "missing" and line(found, "clip_skip")[0] == "approximated"
    )


SWARM = {
    "sui_image_params": {
        "prompt": "a cat <lora:ink:0.3>", "negativeprompt": "dog", "model": "folder/dream_shaper", "seed": 9, "steps": 16, "cfgscale": 2.0,
        "width": 1248, "height": 640, "sampler": "euler_ancestral", "scheduler": "normal", "loras": ["styles/clay"], "loraweights": ["0.4"],
        "initimagecreativity": 0.6, "swarm_version": "0.9.8.1",
    },
    "sui_models": [
        {"name": "folder/dream_shaper.safetensors", "param": "model", "hash": "0x" + "9" * 64},
        {"name": "styles/clay.safetensors", "param": "loras", "hash": "0x" + "d" * 64},
    ],
}  # fmt: skip


@pytest.mark.parametrize("data", [png(parameters=SWARM), jpeg(b"UNICODE\0" + json.dumps(SWARM).encode("utf-16-be"))])
def test_swarm(data: bytes) -> None:
    found = told(data)
    assert (found.dialect, found.request.scheduler, found.request.prompt) == ("SwarmUI", "Euler a", "a cat")
    assert found.request.loras == (LoraUse(name="styles/clay", weight=0.4), LoraUse(name="ink", weight=0.3))
    assert line(found, "LoRA") == ("exact", "found by its hash as styles/clay")
    assert line(found, "Model")[0] == "approximated" and line(found, "initimagecreativity")[0] == "missing"


GRAPH = {
    "3": {"class_type": "KSampler", "inputs": {
        "seed": ["20", 0], "steps": 25, "cfg": 5.5, "sampler_name": "dpmpp_2m", "scheduler": "karras", "denoise": 1,
        "model": ["11", 0], "positive": ["7", 0], "negative": ["7", 1], "latent_image": ["5", 0]}},
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd/dream_shaper.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 640, "height": 512, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat", "clip": ["11", 1]}},
    "8": {"class_type": "CLIPTextEncode", "inputs": {"text": "dog", "clip": ["11", 1]}},
    "7": {"class_type": "ControlNetApplyAdvanced", "inputs": {"positive": ["6", 0], "negative": ["8", 0], "strength": 1}},
    "10": {"class_type": "LoraLoader", "inputs": {
        "lora_name": "clay.safetensors", "strength_model": 0.7, "strength_clip": 0.2, "model": ["4", 0]}},
    "11": {"class_type": "LoraLoader", "inputs": {
        "lora_name": "ink.safetensors", "strength_model": 1.0, "strength_clip": 1.0, "model": ["10", 0]}},
    "20": {"class_type": "PrimitiveInt", "inputs": {"value": 77}},
    "30": {"class_type": "SomethingUnheardOf", "inputs": {}},
}  # fmt: skip


def test_comfy() -> None:
    found = told(png(prompt=GRAPH, workflow={"nodes": []}))
    made = found.request
    assert (found.dialect, made.prompt, made.negative_prompt, made.seed, made.steps) == ("ComfyUI", "a cat", "dog", 77, 25)
    assert (made.width, made.height, made.guidance_scale, made.scheduler) == (640, 512, 5.5, "DPM++ 2M Karras")
    assert made.model == "dream_shaper"
    assert made.loras == (LoraUse(name="styles/clay", weight=0.7, text_encoder_weight=0.2), LoraUse(name="ink", weight=1.0))
    assert line(found, "ControlNetApplyAdvanced")[0] == "missing" and line(found, "SomethingUnheardOf")[0] == "approximated"


@pytest.mark.parametrize("output", [1, 1.0, True, "1", None, [1]], ids=repr)
def test_comfys_links_may_name_an_output_by_anything(output: object) -> None:
    graph = {
        "1": {"class_type": "KSampler", "inputs": {"latent_image": ["9", 0], "positive": ["2", 0], "negative": ["2", output]}},
        "2": {"class_type": "ControlNetApplyAdvanced", "inputs": {"positive": ["3", 0], "negative": ["4", 0]}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat"}},
        "4": {"class_type": "CLIPTextEncode", "inputs": {"text": "a dog"}},
    }
    found = read(png(prompt=json.dumps(graph)), name="a").fields
    assert (found["prompt"], found["negative_prompt"]) == ("a cat", "a dog")


def test_comfys_newer_samplers_and_circles() -> None:
    graph = {
        "1": {"class_type": "SamplerCustomAdvanced", "inputs": {
            "noise": ["2", 0], "guider": ["3", 0], "sampler": ["4", 0], "sigmas": ["5", 0], "latent_image": ["6", 0]}},
        "2": {"class_type": "RandomNoise", "inputs": {"noise_seed": 2**40}},
        "3": {"class_type": "CFGGuider", "inputs": {"cfg": 3, "positive": ["7", 0], "negative": ["1", 0], "model": ["3", 0]}},
        "4": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
        "5": {"class_type": "BasicScheduler", "inputs": {"steps": 12, "scheduler": "simple"}},
        "6": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 512}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": ["8", 0]}},
        "8": {"class_type": "StringLiteral", "inputs": {"string": "a dog"}},
    }  # fmt: skip
    found = told(png(prompt=graph))
    assert (found.request.prompt, found.request.steps, found.request.guidance_scale, found.request.seed) == ("a dog", 12, 3.0, 0)
    assert line(found, "Scheduler") == ("approximated", "Euler has no schedule simple here")


NAI = {
    "prompt": "{cat}, sitting", "steps": 28, "height": 640, "width": 512, "scale": 5.0, "uncond_scale": 1.0, "cfg_rescale": 0.2,
    "seed": 3816166865,
    "n_samples": 1, "noise_schedule": "karras", "sampler": "k_euler_ancestral", "sm": False, "uc": "nsfw",
}  # fmt: skip


def test_novelai() -> None:
    found = told(png(Software="NovelAI", Source="Stable Diffusion XL 7BCCAA2C", Description="{cat}, sitting", Comment=NAI))
    made = found.request
    assert (found.dialect, made.prompt, made.negative_prompt, made.seed, made.steps) == (
        "NovelAI",
        "{cat}, sitting",
        "nsfw",
        3816166865,
        28,
    )
    assert (made.scheduler, made.width, made.height) == ("Euler a", 512, 640)
    assert line(found, "Model") == ("missing", "it is not on this machine; Mini is used instead")
    assert {line(found, name)[0] for name in ("Prompt", "cfg_rescale", "Scheduler")} == {"approximated"}
    v4 = NAI | {"v4_prompt": {"caption": {"base_caption": "base", "char_captions": [{"char_caption": "girl"}]}}}
    assert told(png(Software="NovelAI", Comment=v4)).request.prompt == "base"


@pytest.mark.parametrize("packed", [True, False])
def test_what_is_hidden_in_alpha_is_found(packed: bool) -> None:
    text = json.dumps({"Software": "NovelAI", "Comment": json.dumps(NAI)}).encode()
    body = gzip.compress(text) if packed else text
    mark = b"stealth_pngcomp" if packed else b"stealth_pnginfo"
    bits = np.unpackbits(np.frombuffer(mark + (8 * len(body)).to_bytes(4, "big") + body, np.uint8))
    alpha = np.full(96 * 96, 254, np.uint8)
    alpha[: bits.size] |= bits
    pixels = np.zeros((96, 96, 4), np.uint8)
    pixels[..., 3] = alpha.reshape(96, 96).T
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(buffer, "PNG")
    assert told(buffer.getvalue()).request == told(png(Software="NovelAI", Comment=NAI)).request


def test_our_own_pictures_are_exact_when_all_is_here() -> None:
    request = GenerationRequest(prompt="a cat", model="Mini", seed=5, width=256, height=256, loras=(LoraUse(name="ink", weight=0.5),))
    marks = Provenance(model=Mark(name="Mini", hash="a" * 64), loras=(Mark(name="ink", hash="e" * 64),))
    found = told(encode(PICTURE, Record(request, marks), kind="JPEG"))
    assert (found.dialect, found.request, found.provenance) == ("Studio", request, marks)
    assert {each.verdict for each in found.lines} == {"exact"}


def test_our_own_pictures_find_renamed_weights_by_hash_and_say_what_is_missing() -> None:
    uses = (ControlUse(kind="sketch", image="0" * 64), ControlUse(kind="depth", image="1" * 64))
    request = GenerationRequest(model="Old name", seed=5, loras=(LoraUse(name="was"), LoraUse(name="gone")), controls=uses)
    marks = Provenance(
        model=Mark(name="Old name", hash="b" * 64), loras=(Mark(name="was", tensor_hash="d" * 64), Mark(name="gone", hash="7" * 64))
    )
    found = recall(read(encode(PICTURE, Record(request, marks)), name="a"), HERE, has_picture=lambda key: key == "1" * 64)
    assert found.request.model == "dream_shaper" and found.request.loras == (LoraUse(name="styles/clay"),)
    assert [use.kind for use in found.request.controls] == ["depth"]
    assert [(each.subject, each.verdict) for each in found.lines if each.verdict == "missing"] == [
        ("LoRA", "missing"),
        ("Control sketch", "missing"),
        ("Control depth", "missing"),
    ]


def test_a_damaged_document_beside_a_good_line_gives_the_line() -> None:
    found = told(png(studio='{"schema": 2, "request": {"steps": 0}}', parameters=A1111))
    assert found.dialect == "A1111" and line(found, "settings")[0] == "approximated"


def test_a_picture_without_settings_says_who_could_have_left_some() -> None:
    with pytest.raises(BadPicture, match=r"a\.png carries no settings of this studio, A1111, Forge"):
        read(png(), name="a.png")


def test_identifiers_of_samplers() -> None:
    assert from_k("k_dpmpp_2m", "native") == ("DPM++ 2M", "") and from_k("dpmpp_3m_sde_gpu", "exponential") == (
        "DPM++ 3M SDE Exponential",
        "",
    )
    assert from_k("uni_pc_bh2") == ("UniPC", "") and from_k("unheard_of")[0] == "" and from_k("heunpp2")[0] == "Heun"
    assert from_invoke("dpmpp_2m_sde_k") == ("DPM++ 2M SDE Karras", "") and from_invoke("kdpm_2_a") == ("DPM2 a", "")
    assert from_k("ddim", "ddim_uniform") == ("DDIM", "")
    assert from_k("euler", "ddim_uniform") == ("Euler", "Euler has no schedule ddim_uniform here")
    assert from_a1111("DPM++ 2M SDE", "Automatic") == ("DPM++ 2M SDE Exponential", "")
    assert from_invoke("pndm") == ("PLMS", "") and from_invoke("unipc_k") == ("UniPC Karras", "")
