"""A studio that is closed to strangers, served over the fake engine: how tests sign in, and what they sign in with."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from studio.access import Access, Quota
from studio.app import access
from studio.control.annotator import ControlAnnotator
from studio.engine.fake import FakeEngine, fake_parts
from studio.service import Studio
from studio.settings import Settings
from studio.ui.serve import Server, serve
from tests.served import first_port


@dataclass(frozen=True)
class Closed:
    """What a test needs of a closed studio."""

    studio: Studio
    server: Server
    data_dir: Path

    @property
    def address(self) -> str:
        """Where it is served."""
        return self.server.address

    @property
    def access(self) -> Access:
        """Its register."""
        assert self.studio.access
        return self.studio.access

    def cookie(self, secret: str, *, name: str = "") -> dict[str, str]:
        """Exchange a secret for the cookie that a browser would keep."""
        entry = self.access.enter(secret, name=name)
        return {f"studio-{urlsplit(self.address).port}": entry.cookie}

    def owner(self) -> dict[str, str]:
        """Sign the owner in."""
        return self.cookie(self.access.owner_secret)

    def guest(self, role: str, *, quota: Quota | None = None, name: str = "") -> dict[str, str]:
        """Invite somebody and sign them in."""
        return self.cookie(self.access.invite(role, quota=quota)[1], name=name)  # type: ignore[arg-type]

    def http(self, cookies: dict[str, str] | None = None, **options: object) -> httpx.Client:
        """Return a client that shows these cookies."""
        return httpx.Client(base_url=self.address, cookies=cookies, **options)  # type: ignore[arg-type]


@contextmanager
def closed_fake(
    data_dir: Path, *, step_seconds: float = 0.01, mcp: bool = False, engine: Callable[..., FakeEngine] = FakeEngine
) -> Iterator[Closed]:
    """Serve a closed studio on a free port of this machine."""
    settings = Settings(data_dir=data_dir, engine="fake", mcp=mcp)
    parts = replace(fake_parts(), annotator=ControlAnnotator(settings.weights_dir), access=access(settings))
    with closed_studio(Studio(lambda: engine(step_seconds=step_seconds), parts), settings) as closed:
        yield closed


@contextmanager
def closed_studio(studio: Studio, settings: Settings) -> Iterator[Closed]:
    """Open a studio and serve its page closed."""
    with studio.open():
        server = serve(studio, settings, port=first_port(), closed=True)
        try:
            yield Closed(studio, server, settings.data_dir)
        finally:
            server.close()
