"""The page that strangers see: it takes an invitation and nothing else. It loads nothing, and its policy lets nothing else run."""

import base64
import hashlib
import json
from functools import cache

from starlette.types import Send

from studio.ui import asgi, web, words


async def show(send: Send, *, again: bool) -> None:
    """Answer with the sign-in page; `again`: somebody whose stay has ended."""
    page, policy = _page(again)
    headers = {"cache_control": "no-store", "content_security_policy": policy}
    await asgi.answer(send, 401, page, content_type="text/html; charset=utf-8", **headers)


@cache
def _page(again: bool) -> tuple[bytes, str]:
    style, script = web.text("signin.css"), _script()
    page = web.text("signin.html")
    for name, value in (("icon", web.ICON), ("style", style), ("script", script), ("again", "yes" if again else "")):
        page = page.replace("{" + name + "}", value)
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:; connect-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )
    return page.encode(), policy


def _script() -> str:
    spoken = json.dumps(words.tables("signin"), ensure_ascii=False).replace("</", "<\\/")
    return f"{web.text('words.js')}\nstudioWords({spoken});\n{web.text('signin.js')}"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
