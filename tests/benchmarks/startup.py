"""How long until the page answers, from the start of the process, against a bare gradio page with one button."""

import argparse
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.benchmarks.pairs import compare, conclude

ROOT = Path(__file__).resolve().parents[2]
BARE = """
import sys
import gradio as gr
with gr.Blocks() as page:
    gr.Button("Generate")
page.launch(server_name="127.0.0.1", server_port=int(sys.argv[1]), quiet=True)
"""
BOUND = 1.3
GIVE_UP = 300.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        studio = [sys.executable, str(ROOT / "launch.py"), "--here", "--data-dir", folder, "--port"]
        bare = [sys.executable, "-c", BARE]
        return conclude(
            compare(
                "page answering / bare gradio page",
                first=lambda _: until_answer(studio),
                second=lambda _: until_answer(bare),
                pairs=options.pairs,
                bound=BOUND,
            )
        )


def until_answer(command: list[str]) -> None:
    """Start a server on a free port, given as the last argument, wait for its first 200, and end it in the background."""
    port = free_port()
    process = subprocess.Popen([*command, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(f"http://127.0.0.1:{port}/", process)
    finally:
        # A server that is being ended would disturb the next measurement, so it goes at once.
        process.send_signal(signal.SIGKILL)
        process.wait()


def wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + GIVE_UP
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with code {process.returncode}")
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.01)
    raise TimeoutError(f"{address} did not answer in {GIVE_UP:.0f} seconds")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
