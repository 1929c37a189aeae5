"""Serving the page on this machine: address, port, folders, and gradio configured for strangers from the start.

Nothing here imports torch; the page answers while the model is still loading.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.errors import StudioError
from studio.service import Studio
from studio.settings import Settings

if TYPE_CHECKING:
    import gradio as gr

LOOPBACK = ("127.0.0.1", "localhost", "::1")
PORTS_TRIED = 100
MAX_THREADS = 200


@dataclass(frozen=True)
class Server:
    """A page that is being served."""

    address: str
    page: gr.Blocks
    files: Path

    def wait(self) -> None:
        """Wait until somebody presses Ctrl+C, then end the serving."""
        try:
            while self.page.is_running:
                time.sleep(0.2)
        finally:
            self.close()

    def close(self) -> None:
        """End the serving."""
        self.page.close(verbose=False)
        shutil.rmtree(self.files, ignore_errors=True)


def serve(studio: Studio, settings: Settings, *, host: str = "127.0.0.1", port: int = 7860) -> Server:
    """Serve the page and return once it answers.

    Returns:
        The server; its address has another port when `port` was taken.

    Raises:
        StudioError: the host is not this machine, or no port is free.
    """
    if host not in LOOPBACK:
        raise StudioError(f"The page is only served to this machine: host must be one of {', '.join(LOOPBACK)}, not {host}.")
    chosen = free_port(host, port)
    # One folder per port, because two studios may share a data folder.
    files = settings.data_dir / "cache" / f"page-{chosen}"
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir(parents=True)
    os.environ.update(_environment(files))
    # Imported here because gradio reads its environment when imported.
    from studio.ui.page import build  # noqa: PLC0415

    page = build(studio, files=files)
    page.queue(api_open=False)
    page.launch(server_name=host, server_port=chosen, **_options())
    return Server(f"http://{'[::1]' if host == '::1' else host}:{chosen}", page, files)


def free_port(host: str, port: int) -> int:
    """Return `port`, or the next one that is free.

    Raises:
        StudioError: a hundred ports in a row are taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in range(port, min(port + PORTS_TRIED, 65536)):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StudioError(f"No port from {port} on is free; name another one with --port.")


def _environment(files: Path) -> dict[str, str]:
    return {
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_TEMP_DIR": str(files),
        "GRADIO_RUN_HISTORY": "False",
        "GRADIO_SSR_MODE": "False",
        "GRADIO_SHARE": "False",
        "GRADIO_MCP_SERVER": "False",
    }


def _options() -> dict[str, Any]:
    from starlette.middleware import Middleware  # noqa: PLC0415

    from studio.ui import theme, web  # noqa: PLC0415
    from studio.ui.envelope import Envelope  # noqa: PLC0415
    from studio.ui.guard import Guard  # noqa: PLC0415

    return {
        "prevent_thread_lock": True,
        "quiet": True,
        "max_threads": MAX_THREADS,
        "show_error": False,
        "run_history": False,
        "enable_monitoring": False,
        "footer_links": [],
        "max_file_size": "20mb",
        "ssr_mode": False,
        "share": False,
        "mcp_server": False,
        "pwa": False,
        "theme": theme.theme(),
        "css": web.style_sheet(),
        "head": web.head(),
        "app_kwargs": {"middleware": [Middleware(Guard, hosts=LOOPBACK), Middleware(Envelope)]},
    }
