"""Guests: who is in, whom to invite, tokens for programs, the log, and the way out for one or for all. The owner's but for `me`."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from studio.access import Access, Quota
from studio.errors import NotAllowed, StudioError
from studio.people import Person
from studio.service import Studio
from studio.ui import asgi, widgets
from studio.ui.entrance import cookie_of
from studio.ui.who import open_to, person_of

LOG_SHOWN = 60
_TIMES = ((1, "1 hour"), (24, "1 day"), (168, "1 week"), (720, "30 days"))
_FOR_EVER = "for ever"


def _options(pairs: tuple[tuple[object, str], ...], chosen: object) -> str:
    return "".join(f'<option value="{value}"{" selected" if value == chosen else ""}>{label}</option>' for value, label in pairs)


_ROLES = _options((("maker", "makes pictures"), ("viewer", "looks on")), "maker")
_QUOTA = f"""
<label><span>Megapixel-steps an hour</span>
  <input name="per_hour" type="number" min="0" max="1000000" step="any" value="{Quota().per_hour:g}"></label>
<label><span>Waiting at once</span>
  <input name="waiting" type="number" min="1" max="8" step="1" value="{Quota().waiting}"></label>
"""
_PANEL = f"""
<div class="guests">
  <button type="button" class="pill" data-part="open" aria-haspopup="dialog" hidden><span data-part="who">Guests</span></button>
  <dialog data-part="dialog" aria-labelledby="guests-title">
    <div class="top">
      <h2 id="guests-title">Guests</h2><button type="button" class="close" data-part="close" aria-label="Close">×</button>
    </div>
    <p class="help" data-part="about"></p>
    <p class="warning" data-part="problem" role="alert" hidden></p>
    <div data-part="owner" hidden>
      <section data-part="invite-section">
        <h3>Invite</h3>
        <form data-part="invite">
          <label class="wide"><span>Whom</span>
            <input name="name" maxlength="40" autocomplete="off" placeholder="a name, if you like"></label>
          <label><span>Who</span><select name="role">{_ROLES}</select></label>
          <label><span>Until</span><select name="hours">{_options(_TIMES, 24)}</select></label>
          <label><span>For how many</span><input name="uses" type="number" min="1" max="100" step="1" value="1"></label>
          {_QUOTA}
          <button class="small-button">Make a link</button>
        </form>
      </section>
      <div class="made" data-part="made" hidden>
        <p data-part="made-text"></p>
        <div class="copy">
          <input data-part="secret" readonly aria-label="The secret">
          <button type="button" class="small-button" data-part="copy">Copy</button>
        </div>
      </div>
      <section data-part="people"><h3>In now</h3><ul data-part="guests"></ul></section>
      <section data-part="pending"><h3>Invited</h3><ul data-part="invitations"></ul></section>
      <section data-part="sharing-section">
        <label class="switch"><input type="checkbox" data-part="sharing">
          <span>Those who look on see my pictures of this sitting</span></label>
      </section>
      <section>
        <h3>Tokens for programs</h3>
        <ul data-part="tokens"></ul>
        <form data-part="token">
          <label class="wide"><span>Name</span><input name="name" maxlength="40" required autocomplete="off"></label>
          <label><span>Who</span><select name="role">{_ROLES}<option value="owner">may do everything</option></select></label>
          <label><span>Until</span><select name="hours">{_options((*_TIMES, ("", _FOR_EVER)), 720)}</select></label>
          {_QUOTA}
          <button class="small-button">Make a token</button>
        </form>
      </section>
      <section><details data-part="log-section"><summary>What happened</summary><ol data-part="log"></ol></details></section>
      <section class="last">
        <button type="button" class="danger" data-part="drop">Drop everyone</button>
        <span class="help">Ends all guests, links and tokens, and what they run, at once.</span>
      </section>
    </div>
    <div data-part="guest" hidden><p data-part="used"></p></div>
    <button type="button" class="small-button" data-part="leave" hidden>Sign out</button>
  </dialog>
</div>
"""


def guests_panel(studio: Studio) -> None:
    """Place the button and its dialog; a studio without a register has neither."""
    if studio.access:
        widgets.html(_PANEL, script="guests", server_functions=server_functions(studio.access), elem_id="guests")


def server_functions(access: Access) -> list[Callable[..., Any]]:
    """Return what the dialog's script calls; whatever is refused is one sentence under `error`."""

    @open_to("viewer")
    async def me(_: Any, asker: gr.Request) -> dict[str, Any]:
        person = person_of(asker)
        known = {"role": person.role, "name": person.name, "signed": bool(access.address), "quota": None, "spent": 0.0}
        return known | await answered(lambda: allowance(access, person))

    async def overview(_: Any) -> dict[str, Any]:
        return await answered(lambda: shown(access))

    async def invite(asked: Any) -> dict[str, Any]:
        return await answered(lambda: {"secret": access.invite(**_invitation(asked))[1], **shown(access)})

    async def make_token(asked: Any) -> dict[str, Any]:
        return await answered(lambda: {"secret": access.make_token(**_token(asked))[1], **shown(access)})

    async def withdraw(identity: Any) -> dict[str, Any]:
        return await answered(lambda: {"done": isinstance(identity, str) and access.withdraw(identity), **shown(access)})

    async def share(wanted: Any) -> dict[str, Any]:
        access.sharing = wanted is True
        return await answered(lambda: shown(access))

    async def drop_everyone(_: Any, asker: gr.Request) -> dict[str, Any]:
        return await answered(lambda: {"done": access.drop_everyone(keep=_cookie(asker)), **shown(access)})

    return [me, overview, invite, make_token, withdraw, share, drop_everyone]


async def answered(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what `work` returns, done beside the server's own thread, or its sentence under `error`."""
    try:
        return {"error": "", **await asyncio.to_thread(work)}
    except StudioError as error:
        return {"error": str(error)}


def allowance(access: Access, person: Person) -> dict[str, Any]:
    """Return what a person may ask for in an hour, and how much of it is used; nothing where they have no bounds."""
    # The owner has none: every page begins with this question, and must not fail where the book cannot be opened.
    quota = None if person.role == "owner" else access.quota(person)
    return {"quota": quota.per_hour, "spent": access.spent(person.id)} if quota else {}


def shown(access: Access) -> dict[str, Any]:
    """Return what the dialog shows. Times are seconds since 1970."""
    return {
        "address": access.address,
        "sharing": access.sharing,
        "guests": [
            {"id": each.id, "name": each.name, "role": each.role, "seen": each.seen, "until": each.until}
            | {"spent": access.spent(each.id), "quota": each.quota.per_hour}
            for each in access.guests()
        ],
        "invitations": [
            {"id": each.id, "name": each.name, "role": each.role, "until": each.until, "uses": each.uses} for each in access.invitations()
        ],
        "tokens": [
            {"id": each.id, "name": each.name, "role": each.role, "until": each.until, "seen": each.seen} for each in access.tokens()
        ],
        "log": list(access.log(LOG_SHOWN)),
    }


def _invitation(asked: Any) -> dict[str, Any]:
    fields = _fields(asked, "role", "name", "hours", "uses", "per_hour", "waiting")
    return {**{name: fields[name] for name in ("role", "name", "hours", "uses")}, "quota": _quota(fields)}


def _token(asked: Any) -> dict[str, Any]:
    fields = _fields(asked, "role", "name", "hours", "per_hour", "waiting")
    return {**{name: fields[name] for name in ("role", "name", "hours")}, "quota": _quota(fields)}


def _fields(asked: Any, *names: str) -> Mapping[str, Any]:
    if not isinstance(asked, dict) or set(asked) != set(names) or not isinstance(asked["role"], str):
        raise NotAllowed("This page did not ask properly; reload it.")
    return asked


def _quota(fields: Mapping[str, Any]) -> Quota:
    per_hour, waiting = fields["per_hour"], fields["waiting"]
    if isinstance(per_hour, bool) or not isinstance(per_hour, int | float):
        raise NotAllowed("The quota must be a number of megapixel-steps an hour.")
    if type(waiting) is not int:
        raise NotAllowed("The pictures waiting at once must be a whole number from 1 to 8.")
    return Quota(per_hour=float(per_hour), waiting=waiting)


def _cookie(asker: Any) -> str:
    """Return the session's cookie; its name has the server's own port in it, which a tunnel's address does not show."""
    request = getattr(asker, "request", asker)
    port = request.scope["server"][1]
    return cookie_of(asgi.headers_of(request.scope), f"studio-{port}")
