"""The README's HTTP examples, run as they stand but for the address, against a page on the fake engine."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.closed import closed_fake
from tests.served import Served

TEXT = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
HTTP = TEXT[TEXT.index("## HTTP") :]


def examples(language: str, page: Served) -> list[str]:
    found = re.findall(rf"```{language}\n(.*?)```", HTTP, re.DOTALL)
    return [example.replace("http://127.0.0.1:7860", page.address) for example in found]


def test_the_client_examples_make_pictures(page: Served, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "white").save(tmp_path / "map.png")
    first, second = examples("python", page)[:2]
    ran = subprocess.run([sys.executable, "-c", first + second], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "'prompt': 'a red sphere'" in ran.stdout and "'seed': 7" in ran.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_curl_examples_make_pictures(page: Served) -> None:
    asking, waiting = next(example for example in examples("sh", page) if "curl" in example).strip().splitlines()
    event = json.loads(subprocess.run(asking, shell=True, capture_output=True, text=True, check=True).stdout)["event_id"]
    told = subprocess.run(waiting.replace("EVENT_ID", event), shell=True, capture_output=True, text=True, check=True).stdout
    assert "event: complete" in told and '"seed": 7' in told


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_with_a_token_as_the_readme_says(tmp_path: Path) -> None:
    assert "-H 'Authorization: Bearer tok_...'" in HTTP
    with closed_fake(tmp_path) as closed:
        secret = closed.access.make_token("maker", name="curl")[1]
        body = ["-H", "Content-Type: application/json", "-d", '{"data": [{"steps": 1}]}']
        command = ["curl", "-s", f"{closed.address}/gradio_api/call/generate", *body]
        assert "invitation" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
        answer = subprocess.run([*command, "-H", f"Authorization: Bearer {secret}"], capture_output=True, text=True, check=True).stdout
        assert "event_id" in answer
