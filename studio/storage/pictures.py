"""Pictures that requests name, kept as PNG files under their content's hash, so that a request can be asked again."""

import os
import re
import secrets
from pathlib import Path

from PIL import Image

from studio.errors import StudioError
from studio.images import content_key


class DiskPictures:
    """A folder of PNG files; a file appears whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, picture: Image.Image) -> str:
        """Keep a picture (of a mode PNG knows: 1, L, LA, I;16, RGB or RGBA) and return its key.

        Raises:
            StudioError: the folder cannot be written.
        """
        key = content_key(picture)
        path = self._place(key)
        if not path.exists():
            draft = path.with_name(f".{key}.{secrets.token_hex(4)}")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with draft.open("wb") as file:
                    picture.save(file, "PNG")
                    file.flush()
                    os.fsync(file.fileno())
                draft.replace(path)
            except OSError as error:
                raise StudioError(
                    f"{path.parent} cannot be written: {error.strerror or error}; free some space or choose another --data-dir."
                ) from error
            finally:
                draft.unlink(missing_ok=True)
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
