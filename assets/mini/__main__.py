"""`python -m assets.mini`: train a stage, export, measure, draw sheets. Run it from the repository's root."""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

STAGES = {
    "render": 0.0,
    "vae": 40.0,
    "text": 4.0,
    "latents": 0.0,
    "unet": 60.0,
    "bends": 0.0,
    "decoder": 10.0,
    "preview": 3.0,
    "judge": 6.0,
    "posed": 0.0,
    **dict.fromkeys(("control-sketch", "control-depth", "control-pose"), 20.0),
    **dict.fromkeys(("lora-clay", "lora-ink", "lora-pixel", "lora-neon"), 6.0),
    "judge-styled": 9.0,
    "judge-styles": 5.0,
    "judge-depth": 4.0,
}
MEMBERS = ("tokenizer", "text_encoder", "vae", "unet", "preview_decoder", "scheduler")
DEFAULT_RUN = Path(tempfile.gettempdir()) / "mini-run"
MEASURES = Path(__file__).parent / "MEASURES.md"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m assets.mini", description=__doc__)
    parser.add_argument("--run", type=Path, default=DEFAULT_RUN, help="folder for renderings and checkpoints")
    parser.add_argument("--threads", type=int, default=2)
    commands = parser.add_subparsers(dest="command", required=True)
    trainer = commands.add_parser("train", help="train one stage (order: " + ", ".join(STAGES) + ")")
    trainer.add_argument("stage", choices=STAGES)
    trainer.add_argument("--minutes", type=float, default=None)
    trainer.add_argument(
        "--workers",
        type=int,
        choices=(1, 2, 4),
        default=1,
        help="processes that share each step of the U-Net or a ControlNet, or the bends",
    )
    exporter = commands.add_parser("export", help="write trained members into assets/mini")
    exporter.add_argument("members", nargs="*", default=["base"], help="`base` or parts of it, `controlnets`, `loras`; without: `base`")
    exporter.add_argument("--keep", type=float, default=0.0, help="share of the present U-Net's weights that stays, 0 .. 1")
    measurer = commands.add_parser("evaluate", help="print the table of measures")
    measurer.add_argument("--count", type=int, default=300)
    measurer.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    measurer.add_argument("--members", nargs="+", choices=("base", "controlnets", "loras"), default=["base", "controlnets", "loras"])
    measurer.add_argument("--save", action="store_true", help="also write assets/mini/MEASURES.md")
    sheet = commands.add_parser("sheet", help="draw a grid of samples")
    sheet.add_argument("--out", type=Path, required=True)
    sheet.add_argument("--count", type=int, default=24)
    sheet.add_argument("--members", choices=("base", "controlnets", "loras"), default="base")
    chosen = parser.parse_args()
    known = ("base", *MEMBERS, "controlnets", "loras")
    if chosen.command == "export" and (unknown := set(chosen.members) - set(known)):
        parser.error(f"there is no member {', '.join(sorted(unknown))}; choose from {', '.join(known)}")
    if chosen.command == "export" and not 0 <= chosen.keep <= 1:
        parser.error("--keep is a share from 0 to 1")
    return chosen


def main() -> None:
    """Do what the command line says."""
    chosen = arguments()
    import torch

    from studio.heap import keep_freed

    keep_freed()
    torch.set_num_threads(chosen.threads)
    match chosen.command:
        case "train":
            from .train.crew import work
            from .train.stages import train

            minutes = STAGES[chosen.stage] if chosen.minutes is None else chosen.minutes
            if chosen.workers > 1 and chosen.stage not in ("unet", "bends") and not chosen.stage.startswith("control-"):
                raise SystemExit(f"{chosen.stage} has one worker; --workers is for unet, bends and control-*")
            work(partial(train, chosen.stage, chosen.run, minutes), workers=chosen.workers, threads=chosen.threads)
        case "export":
            from .export import export_trained

            members = [each for name in chosen.members for each in (MEMBERS if name == "base" else [name])]
            export_trained(chosen.run, members, keep=chosen.keep)
        case "evaluate":
            from .evaluate.table import measure

            table = measure(chosen.count, getattr(torch, chosen.dtype), chosen.members)
            print(table)
            if chosen.save:
                how = f"`python -m assets.mini evaluate --count {chosen.count}` ({chosen.dtype})"
                MEASURES.write_text(f"# Measures\n\n{how}:\n\n{table}\n", encoding="utf-8")
        case _:
            from .evaluate.sheet import write_sheet

            write_sheet(chosen.out, chosen.members, chosen.count)


if __name__ == "__main__":
    main()
