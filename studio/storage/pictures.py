"""Pictures that requests name, kept as PNG files under their content's hash, so that a request can be asked again."""

import io
import logging
import os
import re
import time
from contextlib import suppress
from pathlib import Path

from PIL import Image

from studio import atomic
from studio.errors import StudioError
from studio.images import content_key
from studio.people import Person
from studio.stamps import stamp

log = logging.getLogger("studio")
GUESTS = "guests"
GUEST_BYTES = 200_000_000
# Seconds for which a guest's picture is sure to stay after it was given or used.
HELD_FOR = 900.0


class DiskPictures:
    """A folder of PNG files; a file appears whole or not at all. Drafts of a killed writer are swept at start, guests' too."""

    def __init__(self, folder: Path, *, most_bytes: int | None = None) -> None:
        self._folder, self._most_bytes = folder, most_bytes
        if most_bytes is None:
            atomic.sweep(folder)

    def of(self, person: Person) -> "DiskPictures":
        """Return the pictures of one person; a guest's are a folder of their own of at most 200 MB, from which the longest unused go."""
        return self if person.role == "owner" else DiskPictures(self._folder / GUESTS / person.id, most_bytes=GUEST_BYTES)

    def keep(self, picture: Image.Image) -> str:
        """Keep a picture (of a mode PNG knows: 1, L, LA, I;16, RGB or RGBA) and return its key.

        Raises:
            StudioError: the folder cannot be written, or a guest's is full.
        """
        key = content_key(picture)
        path = self._place(key)
        if path.exists():
            self._use(path)
        else:
            buffer = io.BytesIO()
            picture.save(buffer, "PNG")
            self._make_room(len(buffer.getvalue()))
            atomic.make_folder(path.parent, called="The data folder")
            atomic.write(path, buffer.getvalue(), called="The data folder")
        return key

    def get(self, key: str) -> Image.Image | None:
        """Return the picture of a key, or None when it is not here. Anything but 64 hexadecimal digits is not here.

        A damaged file is set aside, so that the picture can be given again.
        """
        if not re.fullmatch(r"[0-9a-f]{64}", key):
            return None
        path = self._place(key)
        try:
            with Image.open(path) as picture:
                picture.load()
                self._use(path)
                return picture.copy()
        except (OSError, SyntaxError, ValueError) as error:
            # Pillow's own complaints carry no number; those of the system, such as too many open files, say nothing of the picture.
            if getattr(error, "errno", None) is None:
                self._set_aside(path, error)
            return None

    def _set_aside(self, path: Path, error: Exception) -> None:
        try:
            atomic.move(path, path.with_suffix(".damaged"))
            log.warning("%s is damaged and was set aside: %s", path.name, error)
        except StudioError:
            log.warning("%s is damaged and stays where it is", path.name, exc_info=True)

    def _use(self, path: Path) -> None:
        if self._most_bytes is not None:
            with suppress(OSError):  # at worst it goes before others
                os.utime(path)

    def _make_room(self, more: int) -> None:
        """Remove what was not used for longest where a guest's pictures and `more` bytes are more than they may have."""
        if self._most_bytes is None:
            return
        held = sorted((changed, size, path) for path, changed, size in stamp(self._folder.glob("*/*.png")))
        over, now = sum(size for _, size, _ in held) + more - self._most_bytes, time.time()
        for changed, size, path in held:
            if over <= 0 or now - changed / 1e9 < HELD_FOR:
                break
            with suppress(OSError):
                Path(path).unlink()
                over -= size
        if over > 0:
            raise StudioError(
                f"Your pictures for control fill {self._most_bytes / 1e6:.0f} MB, which is all you may; use one again, or wait a little."
            )

    def _place(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.png"
