"""The door: finds out who asks, shows strangers the sign-in page, and ends what somebody runs when they are shown out."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from studio.access import Access
from studio.errors import NotAllowed, StudioError
from studio.people import OWNER, Person
from studio.ui import asgi, signin
from studio.ui.ending import until_ended
from studio.ui.entrance import Entrance, cookie_of
from studio.ui.hosts import Hosts
from studio.ui.rooms import OtherPage, Rooms
from studio.ui.routes import ENTER, LEAVE, MCP, SMALL, STARTED, WITH_PICTURES
from studio.ui.who import KEY

# Who a cookie or token belongs to is looked up again after this time, because another process may have revoked it.
KNOWN_FOR = 1.0
MOST_AT_ONCE = 64
# Bodies are held in memory while they are looked at; this is four pictures of 20 MB.
MOST_BYTES = 2 * WITH_PICTURES
MOST_KNOWN = 10_000


class Door:
    """ASGI middleware. While it is not `closed`, whoever shows no token is this machine's own person; tokens count always."""

    def __init__(self, app: ASGIApp, access: Access, rooms: Rooms, *, hosts: Hosts) -> None:
        self._app, self._access, self._rooms = app, access, rooms
        self._closed = hosts.closed
        self._entrance = Entrance(access, cookie=hosts.cookie)
        self._known: dict[str, tuple[float, Person | None]] = {}
        self._running: dict[asyncio.Event, tuple[Person, int]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changes = 0
        # Gradio calls this server once while it starts it, and shows nothing.
        self.starting = True
        access.listen(self._show_out)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for the door itself, or pass the request on with its person noted."""
        self._loop = asyncio.get_running_loop()
        headers = asgi.headers_of(scope) if scope["type"] == "http" else {}
        shown = self._shown(headers)
        if scope["type"] != "http" or (not self._closed and not shown and scope["path"] not in (ENTER, LEAVE)):
            await self._app(scope, receive, send)
        elif not self._closed and scope["path"] in (ENTER, LEAVE):
            await asgi.tell(send, 404, "Nobody signs in here, because this page is for this machine only.")
        elif scope["path"] == ENTER:
            await self._entrance.enter(scope, receive, send)
        elif scope["path"] == LEAVE:
            await self._entrance.leave(scope, receive, send)
        elif self.starting and scope["path"] == STARTED:
            await self._app(scope, receive, send)
        else:
            await self._let_in(shown, scope, receive, send)

    def _shown(self, headers: asgi.Headers) -> str:
        """Return the token or cookie that a request shows, marked as which; empty when it shows none that counts here."""
        kind, _, value = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return f"token {value.strip()}"
        found = cookie_of(headers, self._entrance.cookie) if self._closed else ""
        return f"cookie {found}" if found else ""

    async def _let_in(self, shown: str, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            guessing = shown.startswith("token ") and shown not in self._known
            if wait := self._entrance.wait(scope) if guessing else 0:
                await asgi.tell(send, 429, "Too many wrong tokens came from your address; wait a little.", retry_after=str(wait))
                return
            person = await self._person(shown)
            # Nothing is waited for between these two, so that nobody is shown out unnoticed.
            if person is None:
                await self._turn_away(shown, scope, send)
                return
            with self._noted(person, int(asgi.headers_of(scope).get("content-length", "0"))) as ended:
                await self._serve(person, ended, scope, receive, send)
        except NotAllowed as error:
            await asgi.tell(send, 409 if isinstance(error, OtherPage) else 403, str(error))
        except StudioError as error:
            await asgi.tell(send, 503, str(error))

    async def _turn_away(self, shown: str, scope: Scope, send: Send) -> None:
        if shown.startswith("token "):
            await self._entrance.note_wrong(scope, "wrong token")
            await asgi.tell(send, 401, "This token is not known (any more); ask for a new one.", www_authenticate="Bearer")
        elif scope["path"] == "/":
            await signin.show(send, again=bool(shown))
        else:
            await asgi.tell(send, 401, "You need an invitation; open your link again.")

    async def _person(self, shown: str) -> Person | None:
        at, known = self._known.get(shown, (0.0, None))
        if not shown or (known and time.monotonic() - at < KNOWN_FOR):
            return known
        changes = -1
        while changes != self._changes:
            # Somebody may be shown out while this is looked up.
            changes = self._changes
            known = await asyncio.to_thread(self._look_up, shown)
        self._known.pop(shown, None)
        if known and len(self._known) < MOST_KNOWN:
            self._known[shown] = (time.monotonic(), known)
        return known

    def _look_up(self, shown: str) -> Person | None:
        kind, _, value = shown.partition(" ")
        return self._access.by_token(value) if kind == "token" else self._access.by_cookie(value)

    async def _serve(self, person: Person, ended: asyncio.Event, scope: Scope, receive: Receive, send: Send) -> None:
        self._rooms.check(person, scope["method"], scope["path"], query=scope["query_string"])
        scope = {**scope, KEY: person}
        if scope["method"] == "POST" and scope["path"] != MCP:
            body, whole = await asgi.read(receive)
            if not whole:
                return
            body = await asyncio.to_thread(self._rooms.check_body, person, scope["path"], body)
            scope, receive = asgi.with_length(scope, len(body)), asgi.again(body, receive)
        await until_ended(ended, self._app, scope, receive, self._hearing(person, send))

    @contextmanager
    def _noted(self, person: Person, size: int) -> Iterator[asyncio.Event]:
        """Note a request whose body has `size` bytes for as long as it is answered."""
        theirs = [length for other, length in self._running.values() if other.id == person.id]
        if person != OWNER and len(theirs) >= MOST_AT_ONCE:
            raise NotAllowed(f"You have {MOST_AT_ONCE} requests under way, which is all you may; close some pages.")
        if person != OWNER and sum(theirs) + size > (SMALL if person.role == "viewer" else MOST_BYTES):
            raise NotAllowed("You are sending more than you may at once; send smaller pictures, one after the other.")
        ended = asyncio.Event()
        self._running[ended] = person, size
        try:
            yield ended
        finally:
            del self._running[ended]

    def _hearing(self, person: Person, send: Send) -> Send:
        """Return a `send` that notes whose event gradio begins."""

        async def hearing(message: Message) -> None:
            if message["type"] == "http.response.body" and len(message.get("body", b"")) < 200:
                self._rooms.note_event(person, message.get("body", b""))
            await send(message)

        return hearing

    def _show_out(self, identity: str | None) -> None:
        """Called on any thread."""
        self._changes += 1
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end, identity)

    def _end(self, identity: str | None) -> None:
        self._known.clear()
        for ended, (person, _) in self._running.items():
            if identity == person.pass_id or (identity is None and person.pass_id != OWNER.id):
                ended.set()
