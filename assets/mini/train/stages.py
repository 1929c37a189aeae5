"""The stages by name; each imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path


def train(stage: str, run: Path, minutes: float) -> None:
    """Run one stage for `minutes` of wall time; started again, it continues."""
    kind, _, name = stage.partition("-")
    match kind:
        case "control":
            from .control import train_control

            train_control(run, name, minutes)
        case "lora":
            from .lora import train_lora

            train_lora(run, name, minutes)
        case "judge":
            train_judges(name, run, minutes)
        case "render" | "posed" | "latents" | "bends":
            prepare(stage, run)
        case _:
            train_base(stage, run, minutes)


def prepare(stage: str, run: Path) -> None:
    """The stages that draw, encode and bend; they end when all is done."""
    from .bends import bend_latents
    from .control import draw_posed
    from .scenes import render_all
    from .unet import encode_latents

    match stage:
        case "render":
            render_all(run)
        case "posed":
            draw_posed(run)
        case "bends":
            bend_latents(run)
        case _:
            encode_latents(run)
            encode_latents(run, part="large")


def train_judges(name: str, run: Path, minutes: float) -> None:
    """The judge, the same in every style (`styled`), and the readers of styles (`styles`) and depth (`depth`)."""
    from .judge import smear, train_judge
    from .judge_members import train_depth_reader, train_style_reader, train_styled

    match name:
        case "styled":
            train_styled(run, minutes)
        case "styles":
            train_style_reader(run, minutes)
        case "depth":
            train_depth_reader(run, minutes)
        case _:
            smear(run)
            train_judge(run, minutes)


def train_base(stage: str, run: Path, minutes: float) -> None:
    """The members of the base."""
    match stage:
        case "vae":
            from .vae import quality, train_vae

            print(quality(train_vae(run, minutes), run))
        case "text":
            from .text import train_text

            train_text(run, minutes)
        case "unet":
            from .unet import train_unet

            train_unet(run, minutes)
        case "decoder":
            from .decoder import train_decoder
            from .vae import quality

            print(quality(train_decoder(run, minutes), run))
        case _:
            from .preview import train_preview

            train_preview(run, minutes)
