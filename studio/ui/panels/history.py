"""The History column: every picture that was kept, newest first; search, stars, tags, trash, comparing two, taking settings up again."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import gradio as gr

from studio import kept
from studio.errors import InvalidRequest, StudioError
from studio.people import Person
from studio.ports import Gallery
from studio.service import Studio
from studio.ui import widgets
from studio.ui.maps import answered
from studio.ui.panels.loras import size
from studio.ui.who import open_to, person_of

PAGE = 60
MOST_CHANGED = 500
SETTLE_SECONDS = 10.0
SHOWN_PROMPT = 300
_SEARCH = '<circle cx="7" cy="7" r="4.5"/><path d="M10.5 10.5l4 4"/>'
_STAR = '<path d="M8 2l1.8 3.9 4.2.5-3.1 2.9.8 4.2L8 11.4l-3.7 2.1.8-4.2L2 6.4l4.2-.5z"/>'


def history_panel(studio: Studio, gallery: Gallery) -> None:
    """Place the column."""
    widgets.html(
        _COLUMN.format(search=widgets.icon(_SEARCH), star=widgets.icon(_STAR)),
        script="history",
        server_functions=server_functions(studio, gallery),
        elem_id="history",
        page=PAGE,
        tag=kept.MAX_TAG,
    )


def server_functions(studio: Studio, gallery: Gallery) -> list[Callable[..., Any]]:
    """Return what the column's script calls. Each answers with one sentence under `error` when something cannot be done."""

    @open_to("viewer")
    async def history_page(asked: Any, asker: gr.Request) -> dict[str, Any]:
        return await _said(partial(page, gallery, person_of(asker), asked))

    @open_to("viewer")
    async def history_shelves(_: Any, asker: gr.Request) -> dict[str, Any]:
        return await _said(partial(shelves, studio, gallery, person_of(asker)))

    @open_to("viewer")
    async def history_entry(key: Any, asker: gr.Request) -> dict[str, Any]:
        return await _said(lambda: details(entry_of(gallery, person_of(asker), key)))

    @open_to("viewer")
    async def history_compare(asked: Any, asker: gr.Request) -> dict[str, Any]:
        return await _said(partial(compared, gallery, person_of(asker), asked))

    @open_to("viewer")
    async def history_change(asked: Any, asker: gr.Request) -> dict[str, Any]:
        return await _said(partial(changed, gallery, person_of(asker), asked))

    @open_to("viewer")
    async def history_tag(asked: Any, asker: gr.Request) -> dict[str, Any]:
        return await _said(partial(tagged, gallery, person_of(asker), asked))

    @open_to("viewer")
    async def history_empty(_: Any, asker: gr.Request) -> dict[str, Any]:
        return await _said(lambda: {"count": gallery.empty(person_of(asker))})

    return [history_page, history_shelves, history_entry, history_compare, history_change, history_tag, history_empty]


async def _said(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    return await asyncio.to_thread(answered, work)


def page(gallery: Gallery, person: Person, asked: Any) -> dict[str, Any]:
    """Return some of a person's pictures; `asked` is [query, key to go on below or None, whether to wait for what is being written]."""
    match asked:
        case [wanted, (int() | None) as before, bool() as fresh] if before is None or 0 <= before < 2**53:
            if fresh:
                gallery.settle(SETTLE_SECONDS)
            leaf = gallery.page(person, kept.query(wanted), before=before, count=PAGE)
            return {"entries": [row(entry) for entry in leaf.entries], "following": leaf.following}
    raise InvalidRequest("This page did not ask properly; reload it.")


def row(entry: kept.Entry) -> dict[str, Any]:
    """Return what a thumbnail needs."""
    request = entry.request
    return {
        "id": entry.id,
        "made": entry.made,
        "run": entry.run,
        "prompt": request.prompt[:SHOWN_PROMPT] if request else "",
        "model": (request.model if request else None) or "",
        "seed": request.seed if request else None,
        "width": (request.width if request else None) or 1,
        "height": (request.height if request else None) or 1,
        "loras": [use.name for use in request.loras] if request else [],
        "starred": entry.starred,
        "tags": list(entry.tags),
        "deleted": entry.deleted is not None,
    }


def details(entry: kept.Entry) -> dict[str, Any]:
    """Return a picture with the request that makes it again, as the form's fields."""
    return {"entry": row(entry), "request": entry.request.model_dump() if entry.request else None}


def shelves(studio: Studio, gallery: Gallery, person: Person) -> dict[str, Any]:
    """Return how much there is, what can be chosen among, how long it is kept, and what a person should know."""
    found = gallery.shelves(person)
    held = f"{found.count:,} {'picture' if found.count == 1 else 'pictures'}"
    return {
        "held": held,
        "size": size(found.bytes),
        "count": found.count,
        "deleted": found.deleted,
        "models": list(found.models),
        "loras": list(found.loras),
        "promise": gallery.promise,
        "notes": list(studio.notes(person)),
    }


def entry_of(gallery: Gallery, person: Person, key: Any) -> kept.Entry:
    """Return one of a person's pictures.

    Raises:
        InvalidRequest: there is none of that id.
    """
    entry = gallery.entry(person, key) if isinstance(key, str) else None
    if entry is None:
        raise InvalidRequest("The picture is not in the history any more.")
    return entry


def compared(gallery: Gallery, person: Person, asked: Any) -> dict[str, Any]:
    """Return in which settings two pictures differ; `asked` is [id, id]."""
    match asked:
        case [str(one), str(other)]:
            entries = [entry_of(gallery, person, key) for key in (one, other)]
            left, right = (entry.request for entry in entries)
            lines = kept.differences(left, right) if left and right else []
            note = "" if left and right else "One of the two files carries no settings that this studio can read."
            return {"entries": [row(entry) for entry in entries], "differences": lines, "note": note}
    raise InvalidRequest("Choose two pictures to compare.")


def changed(gallery: Gallery, person: Person, asked: Any) -> dict[str, Any]:
    """Star, unstar, delete or restore; `asked` is [ids, change]."""
    match asked:
        case [list() as keys, str(change)] if len(keys) <= MOST_CHANGED and all(isinstance(key, str) for key in keys):
            for known in get_args(kept.Change):
                if change == known:
                    return {"count": gallery.change(person, keys, known)}
    raise InvalidRequest(f"Choose at most {MOST_CHANGED} pictures at once.")


def tagged(gallery: Gallery, person: Person, asked: Any) -> dict[str, Any]:
    """Give a picture tags; `asked` is [id, tags, those that the page knew of before]."""
    match asked:
        case [str(key), wanted, before]:
            tags = gallery.tag(person, key, kept.tags(wanted), before=kept.tags(before))
            if tags is None:
                raise StudioError("The picture is not in the history any more.")
            return {"tags": list(tags)}
    raise InvalidRequest("This page did not ask properly; reload it.")


_COLUMN = """
<section class="history" aria-label="History" data-part="history">
  <div class="history-head">
    <h2>History</h2>
    <span class="note" data-part="held"></span>
    <button type="button" class="link" data-part="search-open" aria-expanded="false" aria-controls="history-filter">search {search}</button>
  </div>
  <div id="history-filter" class="history-filter" data-part="filter" role="search" hidden>
    <input type="search" data-part="text" aria-label="Search prompts, models, LoRAs and tags" placeholder="words, tags" maxlength="300">
    <div class="pair"><select data-part="model" aria-label="Model"></select><select data-part="lora" aria-label="LoRA"></select></div>
    <div class="pair">
      <input type="date" data-part="since" aria-label="Made on this day or later">
      <input type="date" data-part="until" aria-label="Made on this day or before">
    </div>
    <div class="tabs small" role="group" aria-label="Which pictures">
      <button type="button" data-shelf="all" aria-pressed="true">All</button>
      <button type="button" data-shelf="starred" aria-pressed="false">Starred</button>
      <button type="button" data-shelf="deleted" aria-pressed="false">Trash</button>
    </div>
  </div>
  <p class="warning" data-part="notes" role="status" hidden></p>
  <div class="history-list" data-part="list" role="group" aria-label="Kept pictures, newest first"></div>
  <p class="help" data-part="empty" hidden></p>
  <div data-part="more" aria-hidden="true"></div>
  <p class="help history-promise"><span data-part="promise"></span>
    <button type="button" class="link" data-part="empty-trash" hidden>Empty the trash</button></p>
  <div class="history-foot" data-part="foot">
    <div class="toast" data-part="toast" role="status" hidden><span data-part="toast-text"></span>
      <button type="button" class="link" data-part="toast-undo">Undo</button>
      <button type="button" class="link" data-part="toast-close" aria-label="Dismiss">×</button></div>
    <div class="chosen-card" data-part="card" hidden>
      <div class="line"><b data-part="card-title"></b><span class="note" data-part="card-when" translate="no"></span></div>
      <p class="help" data-part="card-prompt" translate="no"></p>
      <input data-part="tags" aria-label="Tags, separated by commas" placeholder="tags, separated by commas" maxlength="800">
      <div class="small-tools">
        <button type="button" data-part="star" aria-pressed="false">{star}<span>Star</span></button>
        <button type="button" data-part="full">Open full</button>
        <button type="button" data-part="delete">Delete</button>
      </div>
    </div>
    <div class="chosen-card" data-part="many" hidden>
      <div class="line"><b data-part="many-title"></b><button type="button" class="link" data-part="many-none">none</button></div>
      <div class="small-tools">
        <button type="button" data-part="many-compare">Compare</button>
        <button type="button" data-part="many-zip">Download</button>
        <button type="button" data-part="many-star">Star</button>
        <button type="button" data-part="many-delete">Delete</button>
      </div>
    </div>
  </div>
  <dialog class="full" data-part="full-dialog" aria-label="Picture in full">
    <img data-part="full-picture" alt="">
    <button type="button" class="pill round" data-part="full-close" aria-label="Close">×</button>
  </dialog>
  <dialog class="compare" data-part="compare-dialog" aria-label="Compare two pictures">
    <div class="compare-head"><b>Compare</b>
      <button type="button" class="pill round" data-part="compare-close" aria-label="Close">×</button></div>
    <div class="compare-body">
      <div class="compare-pictures" data-part="compare-pictures">
        <img data-part="compare-right" alt=""><img data-part="compare-left" alt=""><i></i>
        <input type="range" min="0" max="100" step="0.5" value="50" data-part="compare-slider" aria-label="Between the two pictures">
      </div>
      <div class="compare-list"><table><thead><tr><th>Setting</th><th>left</th><th>right</th></tr></thead>
        <tbody data-part="compare-rows"></tbody></table><p class="help" data-part="compare-note"></p></div>
    </div>
  </dialog>
</section>
"""
