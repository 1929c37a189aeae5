"""The first thing every HTTP request meets: who may ask, what may be asked, and what browsers are told about answers.

Gradio answers any origin on some routes and has routes that this page does not use; see `docs/decisions`.
"""

from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from studio.ui import asgi
from studio.ui.hosts import Hosts
from studio.ui.routes import route

_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; frame-ancestors 'none'; "
    "base-uri 'self'; form-action 'self'; object-src 'none'"
)
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
    (b"content-security-policy", _POLICY.encode()),
)
_SENTENCES = {
    411: "The body must come with its content-length.",
    413: "The body is larger than anything that is asked here; send smaller pictures.",
    415: "The body must be sent as application/json.",
    421: "The studio does not know this name as its own; open it by its address in digits, or start it with --address and the one you use.",
}
# No file system knows longer names, and gradio fails on them.
LONGEST_PART = 255
# No other address is ever to read an answer, so gradio's own permissions to do so are taken off.
_CORS = b"access-control-"


class Guard:
    """ASGI middleware, outermost. `known` says of a host name whether it is this server's; only pages from the same address may ask.

    Checking the Host header keeps out foreign pages whose name was pointed at this machine. `origin`, when it is set, is the address
    that a tunnel gives this server: its pages may ask whatever the tunnel says in Host.
    """

    def __init__(self, app: ASGIApp, known: Hosts) -> None:
        self._app, self._known = app, known
        self.origin = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it: with a sentence where an honest program may have gone wrong, else with nothing."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif status := self._refusal(scope):
            await (asgi.tell(send, status, _SENTENCES[status]) if status in _SENTENCES else asgi.answer(send, status))
        else:
            await self._app(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> int:
        headers = asgi.headers_of(scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if scope["type"] == "websocket":
            return 403
        if not self._known(_host_name(host)):
            # Whoever closed the page meant to reach it from elsewhere, maybe by this name.
            return 421 if self._known.closed else 403
        if origin is not None and _place(origin) != host and not (self.origin and origin == self.origin):
            return 403
        found = route(scope["method"], scope["path"])
        if found is None:
            return 403
        if "\0" in scope["path"] or max(map(len, scope["path"].encode("utf-8", "replace").split(b"/"))) > LONGEST_PART:
            return 404
        return _misshapen(scope["method"], headers, most_bytes=found.most_bytes)


def _misshapen(method: str, headers: asgi.Headers, *, most_bytes: int) -> int:
    """Return the status that refuses a body, or 0."""
    if "transfer-encoding" in headers:
        # Such a body says no length, so it could be endless.
        return 411
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()) or len(length) > 15 or int(length) > most_bytes:
        return 413
    # Other types need no leave of this server before a foreign page may send them.
    return 415 if method == "POST" and headers.get("content-type", "").split(";")[0].strip().lower() != "application/json" else 0


def _place(origin: str) -> str | None:
    """Return the host and port of an origin, None where it is no address; an empty one is that of pages without any."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message.get("headers", []) if not pair[0].lower().startswith(_CORS)]
            present = {name.lower() for name, _ in kept}
            message["headers"] = [*kept, *(pair for pair in _HEADERS if pair[0] not in present)]
        await send(message)

    return wrapped
