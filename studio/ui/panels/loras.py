"""The LoRA section: what is on this machine and whether it fits, and what is chosen, with weights and trigger words."""

from typing import Any

import gradio as gr

from studio.images import jpeg_bytes
from studio.inventory import LoraCard, ModelCard
from studio.loras.files import preview
from studio.loras.verdict import doubts
from studio.request import MAX_LORAS, limits
from studio.service import Studio
from studio.ui import widgets
from studio.ui.form import Form
from studio.ui.render import data_uri
from studio.ui.who import open_to, person_of

PICTURE_SIDE = 96
_PANEL = """
<div class="loras">
  <div class="chosen" data-part="chosen" role="group" aria-label="Chosen LoRAs"></div>
  <div data-part="offer">
    <div class="field"><input type="search" data-part="search" aria-label="Search LoRAs" autocomplete="off" spellcheck="false"></div>
    <div class="offered" data-part="list" role="group" aria-label="LoRAs on this machine"></div>
  </div>
  <p class="help" data-part="empty" hidden></p>
  <details class="help" data-part="problems" hidden><summary></summary></details>
</div>
"""


def loras_panel(form: Form, studio: Studio) -> None:
    """Place the section; the field `loras` holds what is chosen here, tags in the prompt stay there."""
    widgets.heading("LoRAs", controls="loras-section", summary=[("all loras", 2)])
    least, most = limits("loras.weight")
    with gr.Column(elem_id="loras-section"):
        widgets.html(
            _PANEL,
            script="loras",
            server_functions=server_functions(studio),
            elem_id="loras",
            least=least,
            most=most,
            at_most=MAX_LORAS,
        )
        form.add("loras")


def server_functions(studio: Studio) -> list[Any]:
    """Return what the section's script calls. The browser knows names only; a path never leaves this machine."""

    @open_to("viewer")
    def list_loras(model: Any, asker: gr.Request) -> dict[str, Any]:
        inventory = studio.inventory()
        card = next((card for card in inventory.models if model in (None, card.name)), None)
        return {
            "rows": [row(lora, card) for lora in inventory.loras],
            "problems": [broken.problem for broken in inventory.broken_loras if person_of(asker).role == "owner"],
        }

    @open_to("viewer")
    def lora_picture(name: Any) -> str | None:
        card = _named(studio, name)
        small = preview(card.picture, side=PICTURE_SIDE) if card and card.picture else None
        return data_uri(jpeg_bytes(small)) if small else None

    def lora_hash(name: Any) -> str | None:
        card = _named(studio, name)
        return card.hash[:10] or None if card else None

    return [list_loras, lora_picture, lora_hash]


def row(lora: LoraCard, model: ModelCard | None) -> dict[str, Any]:
    """Return what the list shows of a LoRA beside a model."""
    header = lora.header
    verdict = lora.verdict(model) if model else None
    ranks = header.ranks if header else ()
    doubtful = doubts(lora.name, header)
    facts = [
        header.made_for.label if header else "",
        f"rank {ranks[0]}" if len(ranks) == 1 else f"ranks {ranks[0]} to {ranks[-1]}" if ranks else "",
        f"alpha {header.alpha:g}" if header and header.alpha is not None else "",
        size(lora.bytes),
    ]
    return {
        "name": lora.name,
        "facts": " · ".join(filter(None, facts)),
        "base": header.base if header else "",
        "words": list(header.words) if header else [],
        "text": bool(header and header.touches("text")),
        "fits": verdict is None or verdict.usable,
        "state": "partly" if doubtful and verdict and verdict.usable else verdict.state if verdict else "unsure",
        "says": " ".join(filter(None, [verdict.sentence if verdict else "", doubtful])),
        "picture": lora.picture is not None,
    }


def size(count: int) -> str:
    """Say a size in bytes as a person does; nothing for none."""
    return (
        f"{count / 1e6:.0f} MB" if count >= 1e7 else f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.0f} kB" if count else ""
    )


def _named(studio: Studio, name: Any) -> LoraCard | None:
    return next((card for card in studio.inventory().loras if card.name == name), None)
