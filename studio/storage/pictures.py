"""Pictures that requests name, kept as PNG files under their content's hash, so that a request can be asked again."""

import io
import re
from pathlib import Path

from PIL import Image

from studio import atomic
from studio.images import content_key


class DiskPictures:
    """A folder of PNG files; a file appears whole or not at all. Drafts of a killed writer are swept at start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        atomic.sweep(folder)

    def keep(self, picture: Image.Image) -> str:
        """Keep a picture (of a mode PNG knows: 1, L, LA, I;16, RGB or RGBA) and return its key.

        Raises:
            StudioError: the folder cannot be written.
        """
        key = content_key(picture)
        path = self._place(key)
        if not path.exists():
            buffer = io.BytesIO()
            picture.save(buffer, "PNG")
            atomic.make_folder(path.parent, called="The data folder")
            atomic.write(path, buffer.getvalue(), called="The data folder")
        return key

    def get(self, key: str) -> Image.Image | None:
        """Return the picture of a key, or None when it is not here. Anything but 64 hexadecimal digits is not here."""
        if not re.fullmatch(r"[0-9a-f]{64}", key):
            return None
        try:
            with Image.open(self._place(key)) as picture:
                picture.load()
                return picture.copy()
        except FileNotFoundError:
            return None

    def _place(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.png"
