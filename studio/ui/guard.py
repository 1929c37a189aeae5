"""The first thing every HTTP request meets: who may ask, what may be asked, and what browsers are told about answers.

Gradio answers any origin on some routes and has routes that this page does not use; see `docs/decisions`.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

CLOSED = ("/upload", "/file=http", "/proxy=", "/deep_link", "/vibe", "/monitoring", "/mcp", "/workflow", "/login", "/logout")
"""Parts of paths that this page has no use for."""
MAX_BODY = 1_000_000
# Pictures travel inside JSON as base64, a third larger than their files of at most 20 MB.
MAX_PICTURE_BODY = 60_000_000
WITH_PICTURES = ("/gradio_api/call/generate", "/gradio_api/queue/join", "/gradio_api/component_server")
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; frame-ancestors 'none'; "
    "base-uri 'self'; form-action 'self'; object-src 'none'"
)
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", _POLICY.encode()),
)


class Guard:
    """ASGI middleware. Only `hosts` are answered, only pages from the same address may ask.

    Checking the Host header keeps out foreign pages whose name was pointed at this machine.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app, self._hosts = app, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it with an empty answer."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
        elif status := self._refusal(scope):
            await _refuse(send, status)
        else:
            await self._app(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> int:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host, origin = headers.get("host", ""), headers.get("origin")
        length = headers.get("content-length", "0")
        if scope["type"] == "websocket" or (urlsplit(f"//{host}").hostname or "") not in self._hosts:
            return 403
        if origin is not None and urlsplit(origin).netloc != host:
            return 403
        if any(part in scope["path"] for part in CLOSED):
            return 403
        if "transfer-encoding" in headers:
            # Such a body says no length, so it could be endless.
            return 411
        most = MAX_PICTURE_BODY if scope["path"].endswith(WITH_PICTURES) else MAX_BODY
        return 413 if not length.isdigit() or int(length) > most else 0


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message.get("headers", [])}
            message["headers"] = [*message.get("headers", []), *(pair for pair in _HEADERS if pair[0] not in present)]
        await send(message)

    return wrapped


async def _refuse(send: Send, status: int) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
