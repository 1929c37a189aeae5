"""Nothing of another program's picture is called exact that is not, and nothing that it names is passed over in silence."""

import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from studio.errors import BadPicture
from studio.inventory import LoraCard
from studio.metadata import Recall, Record, a1111, encode, infotext, read, recall
from studio.metadata.own import read_record
from studio.metadata.samplers import from_a1111
from studio.provenance import Mark, Provenance
from studio.request import MAX_LORAS, ControlUse, GenerationRequest, LoraUse
from tests.unit.test_dialects import FOOOCUS, GRAPH, HERE, NAI, PICTURE, SWARM, jpeg, line, png, told
from tests.unit.test_metadata_fuzz import chunk, with_chunks
from tests.unit.test_plan import CARD

PAIRS = "Steps: 20, Sampler: Euler, Seed: 1, RNG: CPU"
BRACED = ("{red|blue} cat", '{"a": 1} cat', '{"prompt": "x"}', '{"schema" in braces', '{"schema": 2, "request": {}} cat', "{", "[1, 2]")


def verdicts(found: Recall, subject: str) -> list[tuple[str, str, str]]:
    return [(each.verdict, each.value, each.why) for each in found.lines if each.subject == subject]


# ---- prompts that look like JSON ----


@pytest.mark.parametrize("prompt", BRACED)
def test_a_prompt_may_begin_like_json(prompt: str) -> None:
    for data in (png(parameters=f"{prompt}\n{PAIRS}"), jpeg(b"UNICODE\0" + f"{prompt}\n{PAIRS}".encode("utf-16-be"))):
        found = told(data)
        assert (found.dialect, found.request.prompt, found.request.steps) == ("A1111 text", prompt, 20)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("prompt", BRACED)
def test_our_own_picture_with_such_a_prompt_is_ours(prompt: str, kind: Any) -> None:
    record = Record(GenerationRequest(prompt=prompt, negative_prompt=prompt, seed=3))
    assert read_record(encode(PICTURE, record, kind=kind), name="a") == record


def test_hidden_settings_of_swarm_and_of_prompts_in_braces_are_texts() -> None:
    for text in (json.dumps(SWARM), f"{{cat\n{PAIRS}"):
        assert told(stealthy(text)).request == told(png(parameters=text)).request


def stealthy(text: str) -> bytes:
    body = text.encode()
    bits = np.unpackbits(np.frombuffer(b"stealth_pnginfo" + (8 * len(body)).to_bytes(4, "big") + body, np.uint8))
    alpha = np.full(128 * 128, 254, np.uint8)
    alpha[: bits.size] |= bits
    pixels = np.zeros((128, 128, 4), np.uint8)
    pixels[..., 3] = alpha.reshape(128, 128).T
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(buffer, "PNG")
    return buffer.getvalue()


# ---- templates ----


@pytest.mark.parametrize(
    "text",
    [
        f"a red cat\nNegative prompt: dog\n{PAIRS}\nTemplate: a {{red|blue}} cat, x: 1, y: 2, z: 3\nNegative Template: dog\nand more",
        f"a red cat\nNegative prompt: dog\n{PAIRS}\nTemplate:a {{red|blue}} cat",
        f"a red cat\r\nNegative prompt: dog\r\n{PAIRS}\r\nNegative Template: {{dog|cow}}, a: 1, b: 2, c: 3",
        f"a red cat\nNegative prompt: dog\nTemplate: a {{red|blue}} cat\nNegative template: x\n{PAIRS}, App: SD.Next",
        f'a red cat\nNegative prompt: dog\n{PAIRS}, Template: "a {{red|blue}} cat, \\"x\\"", Negative Template: dog',
    ],
    ids=range(5),
)
def test_the_prompt_is_what_was_drawn_and_the_template_is_told(text: str) -> None:
    found = told(png(parameters=text))
    assert (found.request.prompt, found.request.negative_prompt, found.request.steps) == ("a red cat", "dog", 20)
    told_of = [each for each in found.lines if "emplate" in each.subject]
    assert told_of and all((each.verdict, bool(each.value)) == ("approximated", True) for each in told_of)
    assert line(found, "Prompt") == ("exact", "")


def test_a_prompt_that_speaks_of_a_template_stays_whole() -> None:
    text = f"Template: a cat\nSteps: 1, Sampler: x, Seed: 2\nTemplate: b\nNegative prompt: dog\n{PAIRS}"
    assert told(png(parameters=text)).request.prompt == "Template: a cat\nSteps: 1, Sampler: x, Seed: 2\nTemplate: b"
    ours = a1111.line(Record(GenerationRequest(prompt="Template: a\nNegative Template: b", seed=1)))
    assert infotext.parse(ours).prompt == "template: a\nnegative template: b"


# ---- ComfyUI ----


def graph(**nodes: Any) -> Any:
    """The sample graph with other or further nodes, by id after "n"."""
    return {**json.loads(json.dumps(GRAPH)), **{key.removeprefix("n"): node for key, node in nodes.items()}}


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def test_a_zeroed_negative_is_not_the_prompt_and_not_exact() -> None:
    found = told(png(prompt=graph(n8=node("ConditioningZeroOut", conditioning=["6", 0]))))
    assert (found.request.prompt, found.request.negative_prompt) == ("a cat", "")
    verdict, why = line(found, "Negative prompt")
    assert verdict == "approximated" and why.startswith("its conditioning is zeroed there")


@pytest.mark.parametrize(
    ("nodes", "prompt", "verdict"),
    [
        ({"n6": node("CLIPTextEncode", text=["21", 0]), "n21": node("PrimitiveString", value="a dog")}, "a dog", "exact"),
        ({"n6": node("CLIPTextEncode", text=["21", 0]), "n21": node("WordMixer", text="a dog", seed=3)}, "a dog", "approximated"),
        ({"n6": node("FancyEncode", text="a dog")}, "a dog", "approximated"),
        (
            {"n6": node("ConditioningCombine", conditioning_1=["21", 0]), "n21": node("CLIPTextEncode", text="a dog")},
            "a dog",
            "approximated",
        ),
        ({"n6": node("CLIPTextEncodeSDXL", text_g="a dog", text_l="a dog")}, "a dog", "exact"),
        ({"n6": node("CLIPTextEncodeSDXL", text_g="a dog", text_l="brown")}, "a dog", "approximated"),
        ({"n6": node("CLIPTextEncode", text="a (red:1.2) dog")}, "a (red:1.2) dog", "approximated"),
        ({"n7": node("EfficientLoader", positive="a dog", negative="dog")}, "a dog", "approximated"),
        ({"n7": node("Unheard", positive=["6", 0], negative=["8", 0])}, "a cat", "approximated"),
        ({"n6": node("Unheard")}, "", "missing"),
    ],
)
def test_words_of_nodes_that_are_not_known_are_near_at_best(nodes: dict[str, Any], prompt: str, verdict: str) -> None:
    found = told(png(prompt=graph(**nodes)))
    assert (found.request.prompt, line(found, "Prompt")[0]) == (prompt, verdict)
    assert found.request.negative_prompt == "dog"
    assert ("prompt" in found.said) == (verdict != "missing")


@pytest.mark.parametrize(
    ("changes", "subject", "verdict"),
    [
        ({"steps": ["21", 0]}, "Steps", "approximated"),
        ({"steps": ["99", 0]}, "Steps", "missing"),
        ({"end_at_step": 20}, "Steps", "approximated"),
        ({"latent_image": ["22", 0]}, "Width", "approximated"),
        ({"latent_image": ["23", 0]}, "denoise", "missing"),
        ({"denoise": ["24", 0]}, "denoise", "missing"),
        ({"sampler_name": ["99", 0]}, "Scheduler", "missing"),
    ],
)
def test_numbers_and_beginnings_that_are_not_known(changes: dict[str, Any], subject: str, verdict: str) -> None:
    made = graph(
        n21=node("RandomInteger", value=25),
        n22=node("LatentUpscale", width=640, height=512, samples=["5", 0]),
        n23=node("VAEEncode", pixels=["25", 0]),
        n24=node("PrimitiveFloat", value=0.5),
        n25=node("LoadImage", image="a.png"),
    )
    made["3"]["inputs"] |= changes
    assert line(told(png(prompt=made)), subject)[0] == verdict


def test_what_comfys_other_nodes_change_is_told() -> None:
    made = graph(n40=node("VAELoader", vae_name="x"), n41=node("CLIPSetLastLayer", stop_at_clip_layer=-2))
    found = told(png(prompt=made))
    assert line(found, "VAELoader")[0] == line(found, "CLIPSetLastLayer")[0] == "approximated"
    spaced = {
        "1": node("SamplerCustom", cfg=3, noise_seed=1, sampler=["2", 0], sigmas=["3", 0], latent_image=["4", 0]),
        "2": node("KSamplerSelect", sampler_name="euler"),
        "3": node("KarrasScheduler", steps=9, sigma_max=14.6),
        "4": node("EmptyLatentImage", width=512, height=512),
    }
    found = told(png(prompt=spaced))
    assert (found.request.scheduler, found.request.steps) == ("Euler Karras", 9) and line(found, "Scheduler")[0] == "approximated"


def test_a_sampler_that_goes_on_is_not_the_first() -> None:
    later = node("KSamplerAdvanced", add_noise="disable", start_at_step=20, steps=30, latent_image=["3", 0], positive=["8", 0])
    found = told(png(prompt={"1": later, **GRAPH}))
    assert (found.request.steps, found.request.prompt) == (25, "a cat") and line(found, "samplers")[0] == "approximated"


def test_every_lora_of_a_graph_is_taken_or_told() -> None:
    stack = node(
        "Power Lora Loader (rgthree)",
        model=["4", 0],
        lora_1={"on": True, "lora": "clay.safetensors", "strength": 0.3},
        lora_2={"on": False, "lora": "off.safetensors", "strength": 1},
        lora_3={"on": True, "lora": "gone.safetensors", "strength": 1},
        lora_04="ink.safetensors",
        strength_04=0.5,
        some_lora="odd.safetensors",
    )
    made = graph(n10=stack, n11=node("LoraLoaderModelOnly", lora_name="alone.safetensors", strength_model=0.5, model=["10", 0]))
    found = told(png(prompt=made))
    assert found.request.loras == (LoraUse(name="styles/clay", weight=0.3), LoraUse(name="ink", weight=0.5))
    said = verdicts(found, "LoRA")
    assert [value.split(",")[0] for _, value, _ in said] == ["clay", "gone", "ink", "odd", "alone"]
    assert [verdict for verdict, _, _ in said] == ["approximated", "missing", "approximated", "missing", "missing"]
    assert "how strongly" in said[3][2] and "off" not in str(said)


STACKS: list[tuple[str, dict[str, Any], tuple[LoraUse, ...]]] = [
    (
        "CR LoRA Stack",
        {"switch_1": "On", "lora_name_1": "clay.safetensors", "model_weight_1": 0.5, "clip_weight_1": 0.25}
        | {"switch_2": "Off", "lora_name_2": "ink.safetensors", "model_weight_2": 1.0, "clip_weight_2": 1.0},
        (LoraUse(name="styles/clay", weight=0.5, text_encoder_weight=0.25),),
    ),
    (
        "LoRA Stacker",
        {"input_mode": "simple", "lora_count": 1, "lora_name_1": "clay.safetensors", "lora_wt_1": 1.2, "model_str_1": 9, "clip_str_1": 9}
        | {"lora_name_2": "ink.safetensors", "lora_wt_2": 1.0},
        (LoraUse(name="styles/clay", weight=1.2),),
    ),
    (
        "LoRA Stacker",
        {
            "input_mode": "advanced",
            "lora_count": 1,
            "lora_name_1": "clay.safetensors",
            "lora_wt_1": 9,
            "model_str_1": 1.2,
            "clip_str_1": 0.1,
        },
        (LoraUse(name="styles/clay", weight=1.2, text_encoder_weight=0.1),),
    ),
    (
        "Efficient Loader",
        {"lora_name": "clay.safetensors", "lora_model_strength": 0.6, "lora_clip_strength": 0.3},
        (LoraUse(name="styles/clay", weight=0.6, text_encoder_weight=0.3),),
    ),
]


@pytest.mark.parametrize(("kind", "inputs", "uses"), STACKS)
def test_a_stack_of_loras_has_its_own_weights_and_leaves_out_what_is_off(
    kind: str, inputs: dict[str, Any], uses: tuple[LoraUse, ...]
) -> None:
    made = graph(n11=node("LoraLoader", lora_stack=["12", 0], model=["4", 0]), n12=node(kind, **inputs))
    assert told(png(prompt=made)).request.loras == uses


def test_what_reaches_a_sampler_through_a_pipe_is_near_and_nothing_is_emptied() -> None:
    made = {
        "1": node("ImpactKSamplerBasicPipe", basic_pipe=["2", 0], latent_image=["5", 0], seed=3, steps=9, cfg=4, sampler_name="euler"),
        "2": node("EditBasicPipe", basic_pipe=["3", 0]),
        "3": node("ToBasicPipe", model=["4", 0], positive=["6", 0], negative=["8", 0]),
        "4": GRAPH["4"],
        "5": node("Efficient Loader", empty_latent_width=640, empty_latent_height=512),
        "6": GRAPH["6"],
        "8": GRAPH["8"],
    }
    found = told(png(prompt=made))
    assert (found.request.prompt, found.request.negative_prompt, found.request.model) == ("a cat", "dog", "dream_shaper")
    assert (found.request.width, found.request.height) == (640, 512)
    assert {line(found, name)[0] for name in ("Prompt", "Negative prompt", "Width", "Height")} == {"approximated"}
    del made["2"]
    nowhere = told(png(prompt=made))
    assert {line(nowhere, name)[0] for name in ("Prompt", "Negative prompt")} == {"missing"}
    assert not {"prompt", "negative_prompt"} & read(png(prompt=made), name="a").fields.keys()


def photo(kind: str, comment: str = "", model: str = "") -> bytes:
    exif = Image.Exif()
    if model:
        exif[ExifTags.Base.Model] = model
    if comment:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"UNICODE\0" + comment.encode("utf-16-be")
    buffer = io.BytesIO()
    PICTURE.save(buffer, kind, exif=exif)
    return buffer.getvalue()


def test_pictures_of_comfy_and_novelai_that_are_no_png_are_known() -> None:
    plain = told(png(prompt=GRAPH))
    for data in (
        photo("WEBP", model="prompt:" + json.dumps(GRAPH)),
        photo("JPEG", comment=json.dumps({**GRAPH, "extra": {"airs": []}, "extraMetadata": "{}"})),
    ):
        assert (told(data).dialect, told(data).request) == ("ComfyUI", plain.request)
    text = json.dumps({"Comment": json.dumps(NAI), "Software": "NovelAI", "Description": "{cat}, sitting"})
    assert told(photo("WEBP", comment=text)).request == told(png(Software="NovelAI", Comment=NAI)).request


def test_a_packet_of_many_beginnings_is_read_as_fast_as_any() -> None:
    buffer = io.BytesIO()
    PICTURE.save(buffer, "WEBP", xmp=b"<studio:document>" * 200_000)
    with pytest.raises(BadPicture, match="carries no settings"):
        read(buffer.getvalue(), name="a.webp")


def test_a_loader_of_the_model_alone_leaves_the_text_encoder() -> None:
    made = graph(n11=node("LoraLoaderModelOnly", lora_name="ink.safetensors", strength_model=0.5, model=["4", 0]))
    assert told(png(prompt=made)).request.loras == (LoraUse(name="ink", weight=0.5, text_encoder_weight=0.0),)


# ---- LoRAs ----


@pytest.mark.parametrize(
    ("prompt", "more"),
    [
        ("x <lora:gone:1>", ', Lora hashes: "gone: 111111111111"'),
        ("x", ', Lora hashes: "gone: 111111111111"'),
        ("x <lora:gone:0.5:9>", ', Lora hashes: "gone: 111111111111"'),
        ("x <lora:gone:1>", ', Version: v1.9.0, Hashes: {"model": "0123456789", "lora:gone": "111111111111", "embed:e": "22222222"}'),
        ("x", ", App: SD.Next, LoRA networks: gone:0.5, LoRA hashes: 111111111111"),
    ],
    ids=range(5),
)
def test_a_lora_that_is_not_here_is_missing_with_name_and_hash(prompt: str, more: str) -> None:
    found = told(png(parameters=f"{prompt}\n{PAIRS}{more}"))
    ((verdict, value, _),) = verdicts(found, "LoRA")
    assert verdict == "missing" and value.startswith("gone [1111111111") and found.request.loras == ()
    assert found.request.prompt == "x"


@pytest.mark.parametrize(
    "data",
    [
        png(parameters=FOOOCUS | {"prompt": "x <lora:gone:1>", "loras": []}),
        png(invokeai_metadata={"positive_prompt": "x <lora:gone:1>"}),
        png(parameters={"sui_image_params": {"prompt": "x <lora:gone:1>"}}),
        png(prompt=graph(n6=node("CLIPTextEncode", text="x <lora:gone:1>"), n10=node("Nothing", model=["4", 0]), n11=node("Nothing"))),
        png(Software="NovelAI", Comment=NAI | {"prompt": "x <lora:gone:1>"}),
    ],
    ids=["Fooocus", "InvokeAI", "SwarmUI", "ComfyUI", "NovelAI"],
)
def test_a_tag_is_taken_out_of_the_prompt_in_every_dialect(data: bytes) -> None:
    found = told(data)
    assert found.request.prompt == "x"
    assert [(verdict, value.split(",")[0]) for verdict, value, _ in verdicts(found, "LoRA")] == [("missing", "gone")]


def test_tags_that_are_understood_in_part_are_near() -> None:
    tags = f"<lora:clay:1:lbw=MIDD> <lora:ink:abc> <lora:{'n' * 400}:1>"
    text = f'x {tags}\nNegative prompt: y <lora:ink:1>\n{PAIRS}, Lora hashes: "clay: dddddddddd, ink: ffffffffff"'
    found = told(png(parameters=text))
    assert (found.request.prompt, found.request.negative_prompt) == ("x", "y")
    assert [verdict for verdict, _, _ in verdicts(found, "LoRA")] == ["approximated", "approximated", "missing"]
    assert line(found, "Negative prompt")[0] == "approximated"


def test_a_lora_too_many_and_one_named_twice_are_not_exact() -> None:
    cards = tuple(LoraCard(name=f"l{i}", path=CARD.path, bytes=1, hash=f"{i:064x}"[::-1]) for i in range(MAX_LORAS + 1))
    here = replace(HERE, loras=cards)
    tags = " ".join(f"<lora:{card.name}:1>" for card in (*cards, cards[0]))
    known = ", ".join(f"{card.name}: {card.hash[:12]}" for card in cards)
    found = told(png(parameters=f'{tags}\n{PAIRS}, Lora hashes: "{known}"'), here)
    said = verdicts(found, "LoRA")
    assert len(found.request.loras) == MAX_LORAS and [verdict for verdict, _, _ in said[-2:]] == ["missing", "approximated"]
    assert {verdict for verdict, _, _ in said[:-2]} == {"exact"}
    many = told(png(parameters=f"{' '.join(f'<lora:m{i}:1>' for i in range(70))}\n{PAIRS}"))
    assert verdicts(many, "LoRA")[-1][:2] == ("missing", "20 more")


def test_swarms_two_weights_are_in_its_own_order() -> None:
    said = {"prompt": "x <lora:ink:0.7:0.2>", "loras": ["styles/clay"], "loraweights": "0.4", "loratencweights": "0.1"}
    found = told(png(parameters={"sui_image_params": said}))
    clay, ink = found.request.loras
    assert (clay.weight, clay.text_encoder_weight, ink.weight, ink.text_encoder_weight) == (0.4, 0.1, 0.7, 0.2)


def test_civitais_own_generator_names_what_it_used() -> None:
    rows = [
        {"type": "checkpoint", "modelVersionId": 1, "modelName": "Mini", "modelVersionName": "v1"},
        {"type": "lora", "weight": 0.8, "modelVersionId": 2, "modelName": "ink"},
        {"type": "lora", "weight": 0.5, "modelVersionId": 3},
        {"air": "urn:air:sdxl:embedding:civitai:1@2", "modelName": "lazy"},
    ]
    text = (
        f"x\nNegative prompt: y\n{PAIRS}, Created Date: 2025-11-28T09:18:43Z, Civitai resources: {json.dumps(rows)}, Civitai metadata: {{}}"
    )
    found = told(png(parameters=text))
    assert (found.request.model, found.request.loras) == ("Mini", (LoraUse(name="ink", weight=0.8),))
    assert [verdict for verdict, _, _ in verdicts(found, "LoRA")] == ["approximated", "missing"]
    assert verdicts(found, "LoRA")[1][1].startswith("Civitai 3") and line(found, "embedding")[0] == "missing"
    broken = told(png(parameters=f"x\n{PAIRS}, Civitai resources: [{{"))
    assert broken.request.loras == ()


def test_settings_in_the_exif_block_of_a_png_are_found() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + f"a cat\n{PAIRS}".encode("utf-16-be")
    data = with_chunks(chunk(b"tEXt", b"Software\0Civitai"), chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")))
    assert told(data).request.prompt == "a cat"
    with pytest.raises(BadPicture):
        read(with_chunks(chunk(b"eXIf", b"nonsense")), name="a.png")


# ---- the rest ----


@pytest.mark.parametrize("prompt", ["(" + "very, " * 80 + "long:1.2)", r"cat \(animal\)", "a [cat", "one BREAK two", "a AND b"])
def test_signs_of_a1111_that_are_words_here_are_near(prompt: str) -> None:
    found = told(png(parameters=f"{prompt}\nNegative prompt: {prompt}\n{PAIRS}"))
    assert line(found, "Prompt")[0] == line(found, "Negative prompt")[0] == "approximated"


@pytest.mark.parametrize(
    "data",
    [
        png(parameters=FOOOCUS | {"prompt": "a (cat:1.2)", "full_prompt": None, "styles": "[]"}),
        png(invokeai_metadata={"positive_prompt": "a cat++ here", "negative_prompt": "(a b)1.2"}),
        png(parameters={"sui_image_params": {"prompt": "a (cat:1.2)"}}),
        png(parameters={"sui_image_params": {"prompt": "a cat <segment:face>"}}),
        png(parameters=FOOOCUS | {"full_prompt": ["cinematic a cat"]}),
    ],
    ids=range(5),
)
def test_signs_of_the_others_are_near_too(data: bytes) -> None:
    assert line(told(data), "Prompt")[0] == "approximated"


def test_novelais_negative_prompt_is_looked_at_too() -> None:
    found = told(png(Software="NovelAI", Comment=NAI | {"prompt": "cat", "uc": "{{bad}}", "request_type": "Img2ImgRequest"}))
    assert (line(found, "Prompt")[0], line(found, "Negative prompt")[0]) == ("exact", "approximated")
    assert line(found, "strength")[0] == "missing"


@pytest.mark.parametrize(("sampler", "verdict"), [("Euler", "exact"), ("Euler a", "approximated"), ("DPM++ 2M SDE", "approximated")])
def test_a_seed_is_exact_only_where_all_noise_is_drawn_alike(sampler: str, verdict: str) -> None:
    assert line(told(png(parameters=f"x\nSteps: 20, Sampler: {sampler}, Schedule type: Uniform, Seed: 1, RNG: CPU")), "Seed")[0] == verdict
    said = {
        "positive_prompt": "x",
        "seed": 1,
        "rand_device": "cpu",
        "scheduler": {"Euler": "euler", "Euler a": "euler_a"}.get(sampler, "dpmpp_2m_sde"),
    }
    assert line(told(png(invokeai_metadata=said)), "Seed")[0] == verdict


def test_our_own_line_keeps_its_seed() -> None:
    found = told(png(parameters=a1111.line(Record(GenerationRequest(prompt="x", scheduler="Euler a", seed=4)))))
    assert (found.dialect, line(found, "Seed")) == ("Studio's A1111 line", ("exact", ""))


def test_a_schedule_that_is_said_twice_is_one() -> None:
    assert from_a1111("DPM++ 2M SDE Karras", "karras") == ("DPM++ 2M SDE Karras", "")
    assert from_a1111("DPM++ 2M Karras", "Automatic") == ("DPM++ 2M Karras", "")
    assert from_a1111("heunpp2", "normal")[0] == "Heun"


@pytest.mark.parametrize(
    ("sampler", "schedule", "row"),
    [
        ("dpmpp_2m_karras", None, "DPM++ 2M Karras"),
        ("dpmpp_3m_sde_gpu", "exponential", "DPM++ 3M SDE Exponential"),
        ("dpmpp_2m_sde_gpu_exponential", None, "DPM++ 2M SDE Exponential"),
        ("euler_normal", None, "Euler"),
    ],
)
def test_k_diffusions_names_are_known_in_an_a1111_line(sampler: str, schedule: str | None, row: str) -> None:
    assert from_a1111(sampler, schedule)[0] == row


def test_what_savers_of_comfyui_write_is_read() -> None:
    hashed = json.dumps({"model": "0123456789", "LORA:clay": "c" * 10})
    saved = f"a cat <lora:unknown:0.6>\nSteps: 20, Sampler: dpmpp_2m_karras, CFG Scale: 5.5, Seed: 1, Hashes: {hashed}"
    found = told(png(parameters=saved))
    assert (found.request.guidance_scale, found.request.scheduler) == (5.5, "DPM++ 2M Karras")
    assert ("missing", "clay [cccccccccc]") in [each[:2] for each in verdicts(found, "LoRA")]
    assert [each for each in found.lines if each.subject == "CFG Scale"] == []


def test_a_sampler_that_a_picture_does_not_name_is_told() -> None:
    found = told(png(parameters=json.dumps({"sui_image_params": {"prompt": "a cat", "steps": 20, "cfgscale": 7, "seed": 1}})))
    assert found.request.scheduler == "Euler"
    assert line(found, "Scheduler")[0] == "approximated"
    plain = told(png(parameters="a cat\nSteps: 20, Seed: 1, CFG scale: 7, App: SD.Next"))
    assert line(plain, "Scheduler") == ("missing", "the picture does not say it")
    assert "scheduler" not in plain.said


def test_everything_that_is_not_taken_over_is_told() -> None:
    pairs = ", ".join(f"Setting {i}: {i}" for i in range(300))
    found = told(png(parameters=f"x\n{PAIRS}, {pairs}"))
    assert len(found.lines) == 200 and (found.lines[-1].verdict, found.lines[-1].value) == ("missing", "107 more")
    one = told(png(parameters=f"x\n{PAIRS}, {', '.join(f'Setting {i}: {i}' for i in range(60))}"))
    assert line(one, "Setting 59")[0] == "approximated"
    fooocus = told(png(parameters=FOOOCUS | {"clip_skip": 2, "vae": "x", "prompt_expansion": "more"}))
    assert {line(fooocus, key)[0] for key in ("clip_skip", "vae", "prompt_expansion")} == {"approximated"}
    invoke = told(png(invokeai_metadata={"positive_prompt": "x", "seamless_x": True, "generation_mode": "img2img"}))
    assert (line(invoke, "seamless_x")[0], line(invoke, "generation_mode")[0]) == ("approximated", "missing")
    layers = told(png(parameters=f"x\n{PAIRS}, CLiP-skip: 1"))
    assert not verdicts(layers, "CLiP-skip")


def test_why_there_is_more_than_one_reason() -> None:
    found = told(png(parameters=f"({'x' * 10_001}\n{PAIRS}"))
    assert "cut to 10,000" in line(found, "Prompt")[1] and "plain words" in line(found, "Prompt")[1]


def test_a_unit_whose_controlnet_is_not_known_is_not_exact() -> None:
    request = GenerationRequest(seed=5, controls=(ControlUse(kind="depth", image="1" * 64),))
    found = recall(read(encode(PICTURE, Record(request)), name="a"), HERE, has_picture=lambda key: True)
    assert line(found, "Control depth") == ("missing", "the picture does not say which ControlNet")


def test_a_lora_that_is_gone_does_not_blame_the_next() -> None:
    one, two = Mark(name="one", hash="1" * 64), Mark(name="two", hash="2" * 64)
    then, now = Provenance(model=Mark(name="Mini"), loras=(one, two)), Provenance(model=Mark(name="Mini"), loras=(two,))
    assert "2 LoRAs then, 1 now" in then.differences(now) and not any("one" in said for said in then.differences(now))


@pytest.mark.parametrize(
    ("first", "size", "verdict"),
    [("448x640", (448, 640), "exact"), ("0x0", (512, 768), "approximated"), ("nonsense", (512, 768), "approximated")],
)
def test_an_enlarged_picture_of_old_has_the_size_of_its_run(first: str, size: tuple[int, int], verdict: str) -> None:
    text = f"x\nSteps: 16, Sampler: Euler, CFG scale: 8.0, Seed: 18, Size: 512x768, Denoising strength: 0.7, First pass size: {first}"
    found = told(png(parameters=text))
    assert (found.request.width, found.request.height) == size
    assert line(found, "Width")[0] == line(found, "Height")[0] == verdict
    assert "enlarged" in line(found, "First pass size")[1]
