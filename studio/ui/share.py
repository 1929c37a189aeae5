"""The public address: gradio's tunnel, opened by its own means, with its program checked before every start.

Gradio writes the program it downloads to its place before it compares checksums, and runs what it finds there unchecked.
"""

import hashlib
import logging
import secrets
import subprocess
import threading
from pathlib import Path

import httpx
from gradio import networking, tunneling

from studio.errors import StudioError
from studio.ui.serve import Tunnel

log = logging.getLogger("studio")
CERTIFICATE = Path(tunneling.BINARY_FOLDER) / "certificate.pem"
_LATER = "so the page goes on without; invite people in your network with --host 0.0.0.0, or try again later."


def open_tunnel(host: str, port: int) -> Tunnel:
    """Give the page at an address and port of this machine a public https address. It takes up to a minute where the network is silent.

    Raises:
        StudioError: the service cannot be reached, or its program is not the one whose checksum gradio states.
    """
    program = checked_program(Path(tunneling.BINARY_PATH), tunneling.BINARY_URL)
    try:
        gateway, remote_port, certificate = _service()
        CERTIFICATE.write_text(certificate, encoding="utf-8")
    except (httpx.HTTPError, OSError, ValueError, LookupError, TypeError) as error:
        log.info("the tunnel's service: %s", error)
        raise StudioError(f"The service that gives out public addresses cannot be reached, {_LATER}") from error
    tunnel = tunneling.Tunnel(gateway, remote_port, host, port, secrets.token_urlsafe(32), str(CERTIFICATE))
    return _started(tunnel, program)


def checked_program(path: Path, url: str) -> Path:
    """Return the tunnel's program, downloaded where it is missing, once its SHA-256 is the one that gradio states for `url`.

    A program with another one is deleted: it was damaged on the way, or somebody put it there.

    Raises:
        StudioError: it cannot be downloaded, there is none for this machine, or it is another one.
    """
    wanted = tunneling.CHECKSUMS.get(url)
    if wanted is None:
        raise StudioError(f"There is no checked tunnel program for this kind of machine, {_LATER}")
    content = path.read_bytes() if path.is_file() else _downloaded(url)
    if hashlib.sha256(content).hexdigest() != wanted:
        path.unlink(missing_ok=True)
        raise StudioError(f"The tunnel's program is not the one it should be and was not run, {_LATER}")
    if not path.is_file():
        _place(path, content)
    return path


def _downloaded(url: str) -> bytes:
    try:
        answer = httpx.get(url, timeout=30).raise_for_status()
    except httpx.HTTPError as error:
        log.info("the tunnel's program: %s", error)
        raise StudioError(f"The tunnel's program cannot be downloaded here, {_LATER}") from error
    return answer.content


def _place(path: Path, content: bytes) -> None:
    """Write the checked program where only its owner may change it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        draft.write_bytes(content)
        draft.chmod(0o700)
        draft.replace(path)
    except OSError as error:
        raise StudioError(f"The tunnel's program cannot be written to {path.parent}, {_LATER}") from error


def _service() -> tuple[str, int, str]:
    place = httpx.get(networking.GRADIO_API_SERVER, timeout=30).raise_for_status().json()[0]
    return str(place["host"]), int(place["port"]), str(place["root_ca"])


def _started(tunnel: tunneling.Tunnel, program: Path) -> Tunnel:
    # A service that never answers would leave gradio reading for ever, so the reading has a thread of its own.
    found: list[str] = []

    def read() -> None:
        try:
            found.append(str(tunnel._start_tunnel(str(program))))
        except (ValueError, OSError, subprocess.SubprocessError) as error:
            log.info("the tunnel: %s", error)

    reading = threading.Thread(target=read, name="studio-tunnel", daemon=True)
    reading.start()
    reading.join(tunneling.TUNNEL_TIMEOUT_SECONDS + 5)
    if not found:
        tunnel.kill()
        raise StudioError(f"The tunnel could not be opened, {_LATER}")
    return Tunnel(found[0], tunnel.kill)
