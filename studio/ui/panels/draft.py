"""The draft: what stands in the form is kept on the server too, and a line says when another tab changed it."""

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import gradio as gr

from studio.errors import InvalidRequest
from studio.people import Person
from studio.stores import Drafts
from studio.ui import widgets
from studio.ui.maps import answered
from studio.ui.who import open_to, person_of

_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII)
_NAME = re.compile(r"(draft|preset|control(-[0-9a-f]{1,32})?)", re.ASCII)
_MARKUP = """
<div class="draft-note" data-part="note" role="status" hidden>
  <span data-part="text"></span>
  <button type="button" class="link" data-part="take">Show what it set</button>
  <button type="button" class="link" data-part="close" aria-label="Dismiss">×</button>
</div>
"""


def draft_panel(drafts: Drafts) -> None:
    """Place the line; it is only seen when there is something to say."""
    widgets.html(_MARKUP, script="draftPanel", server_functions=server_functions(drafts), elem_id="draft")


def server_functions(drafts: Drafts) -> list[Callable[..., Any]]:
    """Return what the script calls. A draft is reached by its person and the browser's token, which nobody can guess."""

    @open_to("viewer")
    async def draft_load(device: Any, asker: gr.Request) -> dict[str, Any]:
        return await asyncio.to_thread(answered, lambda: loaded(drafts, person_of(asker), device))

    @open_to("maker")
    async def draft_save(asked: Any, asker: gr.Request) -> dict[str, Any]:
        return await asyncio.to_thread(answered, lambda: saved(drafts, person_of(asker), asked))

    return [draft_load, draft_save]


def loaded(drafts: Drafts, person: Person, device: Any) -> dict[str, Any]:
    """Return the newest draft of a browser; version 0 when there is none."""
    draft = drafts.read(person, _token(device))
    return {"version": draft.version, "tab": draft.tab, "content": draft.content} if draft else {"version": 0, "tab": "", "content": {}}


def saved(drafts: Drafts, person: Person, asked: Any) -> dict[str, Any]:
    """Keep a draft; `asked` is [device, tab, number of the draft that the tab knows, content as JSON text].

    The last one to write wins; `other` says that another tab wrote since.
    """
    match asked:
        case [device, tab, int(known), str(text)]:
            before = drafts.read(person, _token(device))
            draft = drafts.write(person, _token(device), tab=_token(tab), content=content_of(text))
            return {"version": draft.version, "other": before is not None and before.version != known and before.tab != tab}
    raise InvalidRequest("This page did not ask properly; reload it.")


def content_of(text: str) -> dict[str, Any]:
    """Read a draft's content: values by name.

    Raises:
        InvalidRequest: it is none.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or not all(_NAME.fullmatch(name) for name in content):
        raise InvalidRequest("This page did not ask properly; reload it.")
    return content


def _token(value: Any) -> str:
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise InvalidRequest("This page did not start properly; reload it.")
    return value
