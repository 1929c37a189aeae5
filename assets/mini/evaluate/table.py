"""The table of measures in Markdown. One call measures everything; rows say the threshold and the judge's own ceiling."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..judge.network import Judge
from ..judge.verdict import Verdict, load_judge, look
from ..world.render import render
from ..world.scene import Scene
from .control import control_rows
from .loras import lora_rows
from .measures import both_right, colour_right, main_thing, placed_right, shape_right, share
from .prompts import Ask, asks
from .rows import Row, percent, table
from .sampling import GUIDANCE, STEPS, Settings, draw, load_pipeline

MEMBERS = ("base", "controlnets", "loras")
# A negative prompt pushes as hard as guidance says; who wants to be rid of something turns it up.
PUSHING = 5.0
CURVE = (1.0, 2.0, 3.5, 5.0, 7.5)
Test = Callable[[Scene, Verdict], bool]


@dataclass(frozen=True)
class Seen:
    """Prompts with the judge's verdicts on generated pictures and on renderings of the same scenes."""

    asks: list[Ask]
    made: list[Verdict]
    rendered: list[Verdict]

    def share(self, test: Test) -> tuple[float, float]:
        """Share of pictures that pass: generated, rendered."""
        scenes = [ask.scene for ask in self.asks]
        made = [test(scene, verdict) for scene, verdict in zip(scenes, self.made, strict=True)]
        return share(made), share([test(scene, verdict) for scene, verdict in zip(scenes, self.rendered, strict=True)])


def _row(measure: str, wanted: str, shares: tuple[float, float]) -> Row:
    return Row(measure, wanted, percent(shares[0]), percent(shares[1]))


def observe(pipeline: Any, judge: Judge, wanted: list[Ask], settings: Settings) -> Seen:
    """Draw the prompts, render their scenes, and judge both."""
    made = draw(pipeline, [ask.prompt for ask in wanted], [ask.seed for ask in wanted], settings)
    drawn = np.stack([render(ask.scene).picture for ask in wanted])
    return Seen(wanted, look(judge, made), look(judge, drawn))


def _both(first: Test, second: Test) -> Test:
    return lambda scene, verdict: first(scene, verdict) and second(scene, verdict)


def single_rows(pipeline: Any, judge: Judge, count: int, settings: Settings) -> list[Row]:
    """Colour, shape, ground and light of single objects, and figures."""
    seen = observe(pipeline, judge, asks("single", count), settings)
    figures = observe(pipeline, judge, asks("figure", max(8, count // 4)), settings)
    return [
        _row("colour of a single object as asked", ">= 95 %", seen.share(colour_right)),
        _row("shape of a single object as asked", ">= 92 %", seen.share(shape_right)),
        _row("ground as asked", ">= 95 %", seen.share(lambda scene, verdict: verdict.ground == scene.ground)),
        _row("time of day as asked", ">= 98 %", seen.share(lambda scene, verdict: verdict.light == scene.light)),
        _row("figure: shape and colour as asked", "-", figures.share(_both(colour_right, shape_right))),
    ]


def pair_rows(pipeline: Any, judge: Judge, count: int, settings: Settings) -> list[Row]:
    """Pairs: colours bound to shapes, and places."""
    seen = observe(pipeline, judge, asks("pair", count), settings)
    return [
        _row("two objects: both colour-shape pairs right", ">= 75 %", seen.share(both_right)),
        _row("the same, and left and right as asked", "-", seen.share(placed_right)),
    ]


def negative_row(pipeline: Any, judge: Judge, count: int, settings: Settings) -> Row:
    """How often a sphere of free colour is red, with and without the negative prompt."""
    prompts, seeds = ["a sphere on grass"] * count, [31_000_000 + index for index in range(count)]
    reds: list[int] = []
    for negative in ("", "red"):
        changed = Settings(PUSHING, settings.steps, negative, settings.dtype)
        verdicts = look(judge, draw(pipeline, prompts, seeds, changed))
        reds.append(sum(main_thing(verdict).colour == "red" for verdict in verdicts))
    found = f"{reds[0]} of {count} without, {reds[1]} of {count} with"
    return Row(f"`a sphere on grass`, negative `red`, guidance {PUSHING:g}: red spheres", "5 times fewer", found, "-")


def curve_row(pipeline: Any, judge: Judge, count: int, settings: Settings) -> Row:
    """Two objects right against guidance; single ones are right without any."""
    wanted = asks("pair", count)
    points: list[str] = []
    for guidance in CURVE:
        changed = Settings(guidance, settings.steps, settings.negative, settings.dtype)
        points.append(f"{guidance:g}: {percent(observe(pipeline, judge, wanted, changed).share(both_right)[0])}")
    return Row("guidance: two objects, both colour-shape pairs right", "rising from 1 to 5", ", ".join(points), "-")


def speed_row(pipeline: Any) -> Row:
    """Seconds of one guided U-Net step for one picture (median of 9)."""
    unet = pipeline.unet
    latents = torch.zeros(2, unet.config.in_channels, unet.config.sample_size, unet.config.sample_size, dtype=unet.dtype)
    states = torch.zeros(2, 77, unet.config.cross_attention_dim, dtype=unet.dtype)
    times: list[float] = []
    with torch.no_grad():
        for _ in range(9):
            start = time.perf_counter()
            unet(latents, 500, encoder_hidden_states=states)
            times.append(time.perf_counter() - start)
    return Row("one guided step, this machine's CPU", "<= 60 ms", f"{1000 * float(np.median(times)):.0f} ms", "-")


def preview_row(pipeline: Any, wanted: list[Ask]) -> Row:
    """PSNR of the preview decoder against the autoencoder, on latents of generated pictures."""
    from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny

    from ..export import BASE
    from ..train.preview import preview_quality

    tiny: Any = AutoencoderTiny.from_pretrained(BASE / "preview_decoder")
    generators = [torch.Generator("cpu").manual_seed(ask.seed) for ask in wanted]
    prompts = [ask.prompt for ask in wanted]
    made = pipeline(prompts, num_inference_steps=STEPS, guidance_scale=GUIDANCE, generator=generators, output_type="latent")
    found = f"{preview_quality(pipeline.vae.float(), tiny, made.images.float()):.1f} dB"
    return Row("preview decoder against the autoencoder", ">= 25 dB", found, "-")


def base_rows(pipeline: Any, count: int, settings: Settings) -> list[Row]:
    """The base alone; `count` prompts, half of them pairs."""
    judge = load_judge()
    rows = [*single_rows(pipeline, judge, count // 2, settings), *pair_rows(pipeline, judge, count // 2, settings)]
    rows.append(negative_row(pipeline, judge, count, settings))
    rows.append(curve_row(pipeline, judge, count // 8, settings))
    rows.append(speed_row(pipeline))
    rows.append(preview_row(pipeline, asks("pair", 16)))
    return rows


def measure(count: int, dtype: torch.dtype = torch.float32, members: Sequence[str] = MEMBERS) -> str:
    """The rows of some members as a Markdown table; `count` prompts for the base, a third as many for each other member."""
    pipeline, settings, rows = load_pipeline(dtype), Settings(dtype=dtype), list[Row]()
    if "base" in members:
        rows += base_rows(pipeline, count, settings)
    if "controlnets" in members:
        rows += control_rows(pipeline, max(4, count // 3), settings)
    if "loras" in members:
        rows += lora_rows(max(4, count // 3), settings)
    return table(rows)
