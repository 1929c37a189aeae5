"""Which addresses are answered, with which methods, how large a body may be, and to whom among guests. All others are closed.

Gradio has some sixty routes; the page and the two clients need these.
"""

import re
from dataclasses import dataclass

from studio.people import Role

API = "/gradio_api"
ENTER, LEAVE, OPENAPI, MCP = "/studio/enter", "/studio/leave", "/openapi.json", "/mcp"
CALL = f"{API}/call/generate"
FILE = f"{API}/file="
STARTED = f"{API}/startup-events"
SMALL = 1_000_000
# Pictures travel inside JSON as base64, a third larger than their files of at most 20 MB.
WITH_PICTURES = 60_000_000
_READ, _WRITE = ("GET", "HEAD"), ("POST",)


@dataclass(frozen=True)
class Route:
    """One kind of address: a pattern over the whole path, methods, least role among guests, most bytes of a body."""

    pattern: str
    methods: tuple[str, ...]
    role: Role = "viewer"
    most_bytes: int = SMALL


TABLE = (
    Route("/|/config|/theme\\.css|/favicon\\.ico|/robots\\.txt|/manifest\\.json", _READ),
    Route(f"/(assets|static|svelte)/.+|{API}/(info|theme\\.css|startup-events|app_id)", _READ),
    Route(f"{API}/component_server/?", _WRITE, most_bytes=WITH_PICTURES),
    Route(f"{API}/(run/predict|queue/join)", _WRITE, most_bytes=WITH_PICTURES),
    Route(f"{API}/(cancel|reset)", _WRITE),
    Route(f"{API}/queue/data|{API}/heartbeat/[^/]+", ("GET",)),
    Route(f"{CALL}/?", _WRITE, role="maker", most_bytes=WITH_PICTURES),
    Route(f"{CALL}/[^/]+", ("GET",), role="maker"),
    Route(f"{FILE}(?!https?:).+", _READ, role="maker"),
    Route(MCP, ("GET", "POST", "DELETE"), role="maker", most_bytes=WITH_PICTURES),
    Route(f"{ENTER}|{LEAVE}", _WRITE, most_bytes=10_000),
    Route(OPENAPI, _READ),
    Route(r"/kept/([0-9a-f]{16}\.(png|jpg)|pictures\.zip)", _READ),
)


def route(method: str, path: str) -> Route | None:
    """Return the route of a request, or None when it is closed to everybody."""
    return next((each for each in TABLE if method in each.methods and re.fullmatch(each.pattern, path, re.DOTALL)), None)
