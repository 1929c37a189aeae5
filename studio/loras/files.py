"""What lies with a LoRA: its preview picture, read only when asked for."""

import warnings
from pathlib import Path

from PIL import Image

MAX_PIXELS = 64 * 1024 * 1024


def preview(path: Path, *, side: int) -> Image.Image | None:
    """Return a preview picture, RGB, its longer side at most `side` pixels; None when it cannot be read."""
    try:
        with warnings.catch_warnings(), Image.open(path, formats=("PNG", "JPEG", "WEBP")) as picture:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            if picture.width * picture.height > MAX_PIXELS:
                return None
            picture.draft("RGB", (2 * side, 2 * side))
            small = picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None
    small.thumbnail((side, side))
    return small
