"""A small server on the loopback that speaks as much of the hub's protocol as a download needs: HEAD, ETag, sizes, ranges."""

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PIECE = 1 << 20


class LoopbackHub(ThreadingHTTPServer):
    """Serves `folder/owner/name/...`. Notes what was asked for as (name, first byte); `spoil` sends other bytes than it says."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.asked: list[tuple[str, int]] = []
        self.spoil = False
        self.hashes: dict[tuple[str, float], str] = {}

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def sha256(self, path: Path) -> str:
        key = str(path), path.stat().st_mtime
        if key not in self.hashes:
            with path.open("rb") as file:
                self.hashes[key] = hashlib.file_digest(file, "sha256").hexdigest()
        return self.hashes[key]


class _Handler(BaseHTTPRequestHandler):
    server: LoopbackHub

    def do_GET(self) -> None:
        found = re.fullmatch(r"/([\w.-]+/[\w.-]+)/resolve/main/([\w./-]+)", self.path.partition("?")[0])
        path = self.server.folder / found[1] / found[2] if found else None
        if found is None or path is None or not path.is_file():
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound" if path and path.parent.is_dir() else "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        size = path.stat().st_size
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        first = int(wanted[1]) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("ETag", f'"{self.server.sha256(path)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{size - 1}/{size}")
        self.send_header("Content-Length", str(size - first))
        self.end_headers()
        if self.command == "GET":
            self.server.asked.append((found[2], first))
            self._body(path, first)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _body(self, path: Path, first: int) -> None:
        with path.open("rb") as file:
            file.seek(first)
            while piece := file.read(PIECE):
                try:
                    self.wfile.write(bytes(len(piece)) if self.server.spoil else piece)
                except (BrokenPipeError, ConnectionResetError):
                    return


@contextmanager
def loopback_hub(folder: Path) -> Iterator[LoopbackHub]:
    """Serve a folder for as long as the block lasts."""
    with LoopbackHub(folder) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
