"""Signing in and out: a secret is exchanged for a cookie that scripts cannot read, and guessing is slowed down."""

import asyncio
import json
import math

from starlette.types import Receive, Scope, Send

from studio.access import Access, Entry
from studio.access.keys import LONGEST
from studio.access.throttle import Throttle
from studio.errors import NotSignedIn, StudioError
from studio.people import Person
from studio.ui import asgi

# So many wrong answers may be held back at once; further ones are refused, so that guessing cannot fill the memory.
MOST_HELD = 100


class Entrance:
    """Answers the two addresses for signing in and out. `cookie` is the cookie's name."""

    def __init__(self, access: Access, *, cookie: str) -> None:
        self.cookie = cookie
        self._access, self._throttle = access, Throttle()
        self._held = 0

    def wait(self, scope: Scope) -> int:
        """Return for how many seconds the asking address must not try a secret; 0 when it may."""
        return math.ceil(self._throttle.wait(_address(scope)))

    async def note_wrong(self, scope: Scope, why: str) -> None:
        """Count a wrong secret, write it down, and hold the answer back while many come."""
        self._throttle.failed(_address(scope))
        await asyncio.to_thread(self._access.refused, _address(scope), why)
        if (pause := self._throttle.pause()) and self._held < MOST_HELD:
            self._held += 1
            try:
                await asyncio.sleep(pause)
            finally:
                self._held -= 1

    async def enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Exchange the secret in `{"secret": ..., "name": ...}` for a session's cookie."""
        body, whole = await asgi.read(receive)
        asked = _asked(body)
        if wait := self.wait(scope):
            await asgi.tell(send, 429, f"Too many wrong links came from your address; wait {wait} s.", retry_after=str(wait))
        elif whole and asked is None:
            await asgi.tell(send, 422, 'The body must be JSON such as {"secret": "...", "name": "Ann"}.')
        elif whole and asked:
            await self._try(*asked, scope, send)

    async def leave(self, scope: Scope, receive: Receive, send: Send) -> None:
        """End the session whose cookie is shown, and have it forgotten."""
        await asgi.read(receive)
        try:
            await asyncio.to_thread(self._access.leave, cookie_of(asgi.headers_of(scope), self.cookie))
        except StudioError as error:
            await asgi.tell(send, 503, str(error))
            return
        await asgi.say(send, 200, {}, set_cookie=self._cookie("", scope, seconds=0))

    async def _try(self, secret: str, name: str, scope: Scope, send: Send) -> None:
        try:
            entry = await asyncio.to_thread(self._entered, secret, name, scope)
        except NotSignedIn as error:
            await self.note_wrong(scope, "wrong link")
            await asgi.tell(send, 403, str(error))
        except StudioError as error:
            await asgi.tell(send, 503, str(error))
        else:
            self._throttle.passed(_address(scope))
            person, cookie = (entry, {}) if isinstance(entry, Person) else (entry.person, {"set_cookie": self._of(entry, scope)})
            await asgi.say(send, 200, {"name": person.name, "role": person.role, "came_in": entry is not person}, **cookie)

    def _entered(self, secret: str, name: str, scope: Scope) -> Entry | Person:
        """Let somebody in; who is in already, and would not gain by it, stays who they are."""
        cookie = cookie_of(asgi.headers_of(scope), self.cookie)
        person = self._access.by_cookie(cookie) if cookie else None
        if person and not self._access.gives_more(secret, person):
            return person
        entry = self._access.enter(secret, name=name or (person.name if person else ""), address=_address(scope), present=person)
        if person:
            self._access.leave(cookie)
        return entry

    def _of(self, entry: Entry, scope: Scope) -> str:
        return self._cookie(entry.cookie, scope, seconds=max(1, math.ceil(entry.until - self._access.now())))

    def _cookie(self, value: str, scope: Scope, *, seconds: int) -> str:
        # Lax rather than Strict: a guest who follows their link again from a chat is known at once. Nothing changes by a mere visit.
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        return f"{self.cookie}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"


def cookie_of(headers: asgi.Headers, name: str) -> str:
    """Return the value of a cookie, empty when it is not there.

    Read by hand: `SimpleCookie` gives nothing at all when another program of this machine has set one that it cannot read, such as JSON.
    """
    pairs = (each.strip().partition("=") for each in headers.get("cookie", "").split(";"))
    return {found: value for found, _, value in pairs}.get(name, "")


def _asked(body: bytes) -> tuple[str, str] | None:
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        return None
    match sent:
        case {"secret": str(secret)} if len(secret) <= LONGEST:
            name = sent.get("name", "")
            return secret, name if isinstance(name, str) else ""
        case _:
            return None


def _address(scope: Scope) -> str:
    # Behind the tunnel uvicorn has put the visitor's address here, from the tunnel's own header.
    client = scope.get("client")
    return str(client[0]) if client else ""
