"""The README's Python example, run as it stands, with Mini."""

import os
import re
import subprocess
import sys
from pathlib import Path

from studio import read_metadata

ROOT = Path(__file__).resolve().parents[2]


def test_the_python_example_makes_the_picture(tmp_path: Path) -> None:
    example = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[0]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split()[-1] == "Finished"
    assert read_metadata(tmp_path / "out.png").prompt in example
