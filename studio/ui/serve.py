"""Serving the page: address, port, folders, and gradio configured for strangers from the start.

Nothing here imports torch; the page answers while the model is still loading.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from studio.errors import StudioError
from studio.service import Studio
from studio.settings import Settings
from studio.ui.hosts import EVERYWHERE, LOOPBACK, Hosts, bracketed, reachable

if TYPE_CHECKING:
    import gradio as gr

    from studio.ui.layers import Layers

PORTS_TRIED = 100
MAX_THREADS = 200


@dataclass(frozen=True)
class Tunnel:
    """A way in from outside: its https address, and what ends it."""

    address: str
    close: Callable[[], None]


@dataclass
class Server:
    """A page that is being served. `owner_secret` is empty where nobody needs to sign in."""

    address: str
    page: gr.Blocks
    files: Path
    layers: Layers
    owner_secret: str = ""
    tunnels: list[Tunnel] = field(default_factory=list)

    def publish(self, open_tunnel: Callable[[str, int], Tunnel]) -> str:
        """Give the page, which was served closed, an address that anybody can reach, and return it.

        `open_tunnel` is told at which address and port of this machine the page answers.

        Raises:
            StudioError: no tunnel can be had; the page goes on without one.
        """
        parts = urlsplit(self.address)
        host = parts.hostname or ""
        tunnel = open_tunnel(EVERYWHERE.get(host, host), parts.port or 0)
        self.tunnels.append(tunnel)
        self.layers.publish(tunnel.address)
        return tunnel.address

    def links(self) -> list[str]:
        """Return the addresses that a person may open, the public one first; with the owner's secret where one is needed."""
        secret = f"/#{self.owner_secret}" if self.owner_secret else ""
        return [f"{address}{secret}" for address in (*(tunnel.address for tunnel in self.tunnels), *reachable(self.address))]

    def wait(self) -> None:
        """Wait until the serving ends, or somebody presses Ctrl+C."""
        while self.page.is_running:
            time.sleep(0.2)

    def close(self) -> None:
        """End the serving."""
        for tunnel in self.tunnels:
            tunnel.close()
        self.page.close(verbose=False)
        shutil.rmtree(self.files, ignore_errors=True)


def serve(studio: Studio, settings: Settings, *, host: str = "127.0.0.1", port: int = 7860, closed: bool = False) -> Server:
    """Serve the page and return once it answers.

    Args:
        studio: what the page drives.
        settings: where its folders are.
        host: an address of this machine. Any but a loopback one closes the page.
        port: the first port to try.
        closed: whether everybody, the owner included, has to sign in.

    Returns:
        The server; its address has another port when `port` was taken.

    Raises:
        StudioError: the address is not this machine's, no port is free, or a closed page has no register of who may come in.
    """
    closed = closed or host not in LOOPBACK
    if closed and studio.access is None:
        raise StudioError(f"The page is only served to this machine: host must be one of {', '.join(LOOPBACK)}, not {host}.")
    chosen = free_port(host, port)
    files = _folder(settings, chosen, closed=closed)
    os.environ.update(_environment(files) | around_proxies(host))
    # Imported here because gradio reads its environment when imported.
    from studio.ui.layers import Layers  # noqa: PLC0415
    from studio.ui.page import build  # noqa: PLC0415

    page = build(studio, files=files)
    page.queue(api_open=False)
    # In brackets for gradio too, which puts it into addresses as it stands.
    named = bracketed(host)
    layers = Layers(page, studio, files, hosts=Hosts(chosen, closed=closed), mcp=settings.mcp)
    page.launch(server_name=named, server_port=chosen, **_options(layers, studio, settings))
    if not layers.in_place(page.app):
        page.close(verbose=False)
        raise StudioError("The page could not be guarded, so it is not shown; install the versions in requirements.txt.")
    address = f"http://{named}:{chosen}"
    if closed and studio.access:
        layers.publish(reachable(address)[0])
    return Server(address, page, files, layers, studio.access.owner_secret if closed and studio.access else "")


def free_port(host: str, port: int) -> int:
    """Return `port`, or the next one that is free.

    Raises:
        StudioError: a hundred ports in a row are taken, or the address is not this machine's.
    """
    # Gradio looks at 127.0.0.1 whatever the host is, and serves no port that is taken there.
    hosts = dict.fromkeys((host, LOOPBACK[0]))
    for candidate in range(port, min(port + PORTS_TRIED, 65536)):
        if all(_is_free(each, candidate) for each in hosts):
            return candidate
    raise StudioError(f"No port from {port} on is free at {host}; name another one with --port, or another --host.")


def _is_free(host: str, port: int) -> bool:
    # On Windows SO_REUSEADDR would share a port that somebody listens at; the other option is only there.
    option = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def around_proxies(host: str) -> dict[str, str]:
    """Return the variables by which this machine's own addresses are asked without a proxy, as gradio does before the page is shown.

    Whoever asks for proxies looks for those that Windows and macOS keep only where no variable is set; so they become variables, too.
    """
    kept = [entry.strip() for name in ("no_proxy", "NO_PROXY") for entry in os.environ.get(name, "").split(",")]
    # A star counts only where it stands alone.
    own = "*" if "*" in kept else ",".join(filter(None, dict.fromkeys((*kept, *LOOPBACK, host))))
    proxies = {f"{scheme}_proxy": address for scheme, address in getproxies().items() if scheme != "no"}
    return {**proxies, "no_proxy": own, "NO_PROXY": own}


def _folder(settings: Settings, port: int, *, closed: bool) -> Path:
    """Return an empty folder for pictures on their way to callers, who are told its path; so guests get one that says nothing."""
    if closed:
        return Path(tempfile.mkdtemp(prefix="studio-")).resolve()
    # One folder per port, because two studios may share a data folder.
    files = settings.data_dir / "cache" / f"page-{port}"
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir(parents=True)
    return files.resolve()


def _environment(files: Path) -> dict[str, str]:
    return {
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_TEMP_DIR": str(files),
        "GRADIO_RUN_HISTORY": "False",
        "GRADIO_SSR_MODE": "False",
        "GRADIO_SHARE": "False",
        "GRADIO_MCP_SERVER": "False",
        "GRADIO_ALLOWED_PATHS": "",
    }


def _options(layers: Layers, studio: Studio, settings: Settings) -> dict[str, Any]:
    from studio.ui import kept, theme, web, words  # noqa: PLC0415

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        # Gradio would put its own layers, which answer foreign pages, outside of those that it is given.
        async with layers.around(app):
            yield

    return {
        "prevent_thread_lock": True,
        "quiet": True,
        "max_threads": MAX_THREADS,
        "show_error": False,
        "run_history": False,
        "enable_monitoring": False,
        "footer_links": [],
        "max_file_size": "20mb",
        "allowed_paths": [],
        "blocked_paths": [] if layers.files.is_relative_to(settings.data_dir.resolve()) else [str(settings.data_dir.resolve())],
        "ssr_mode": False,
        "share": False,
        "mcp_server": False,
        "pwa": False,
        "theme": theme.theme(),
        "css": web.style_sheet(),
        "head": web.head(),
        "i18n": words.translations(),
        "app_kwargs": {"lifespan": lifespan, "routes": kept.routes(studio.gallery) if studio.gallery else []},
    }
