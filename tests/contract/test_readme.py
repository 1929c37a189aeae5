"""The README's Python example and its first command for a picture, run as they stand, with Mini."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from PIL import Image

from studio import read_metadata

ROOT = Path(__file__).resolve().parents[2]


def test_the_python_example_makes_the_picture(tmp_path: Path) -> None:
    example = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[0]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split()[-1] == "Finished"
    assert read_metadata(tmp_path / "out.png").prompt in example


def test_the_first_command_makes_the_picture(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r'^python (launch\.py generate "[^"]+" --seed 7 --out out\.png)', readme, re.MULTILINE)
    _, *given = shlex.split(command)
    environment = {**os.environ, "HOME": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, str(ROOT / "launch.py"), *given, "--here"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    made = read_metadata(tmp_path / "out.png")
    assert (made.prompt, made.seed) == ("a large red sphere on grass during the day", 7)
    with Image.open(tmp_path / "out.png") as picture:
        red, green, blue = picture.convert("RGB").resize((16, 16)).getpixel((8, 8))  # type: ignore[misc]
    assert red > 2 * max(green, blue)
