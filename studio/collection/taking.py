"""The pictures of presets that are taken in from a file, one at a time and not endlessly many."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from PIL import Image

from studio import intake
from studio.errors import BadPicture
from studio.ports import Pictures
from studio.presets import Preset
from studio.presets.bundle import MAX_FILE_BYTES, Incoming

PICTURE_SIDE = 384
MAX_PIXELS = 500_000_000
"""How many pixels all pictures of one file may have together."""


def small(picture: Image.Image) -> Image.Image:
    """Return a picture as it stands for a preset: RGB, at most 384 pixels a side.

    Raises:
        BadPicture: it is too large or too small, or of a mode that means no colour.
    """
    tidy = intake.tidy(picture).picture.convert("RGB")
    tidy.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    return tidy


class Taking:
    """Keeps the pictures that presets of a file need; `notes` says what was left out, the file's own notes first."""

    def __init__(self, incoming: Incoming, pictures: Pictures) -> None:
        self._files, self._pictures = incoming.pictures, pictures
        self._left = MAX_PIXELS
        self._done: set[str] = set()
        self.notes = list(incoming.notes)

    def with_pictures(self, preset: Preset, own: str) -> Preset:
        """Keep what a preset needs and return it; without a picture of its own when that cannot be had.

        Args:
            preset: one of the file's.
            own: the picture that stands for it, as a `data:` address, or an empty text.
        """
        for key in preset.pictures():
            if key in self._files and key not in self._done:
                self._done.add(key)
                self._take(preset, partial(intake.read, self._files[key], most=MAX_FILE_BYTES))
            if self._pictures.get(key) is None:
                what = "its own picture" if key == preset.picture else "the picture of a control unit"
                self.notes.append(f"{preset.name}: {what} is not in the file.")
        if preset.picture and self._pictures.get(preset.picture) is None:
            preset = replace(preset, picture=None)
        if own:
            preset = replace(preset, picture=self._take(preset, partial(intake.decode, own), made=small))
        return preset

    def _take(
        self, preset: Preset, opened: Callable[[], intake.Taken], *, made: Callable[[Image.Image], Image.Image] = lambda picture: picture
    ) -> str | None:
        if self._left <= 0:
            self.notes.append(f"{preset.name}: a picture was left out, as the file brings too many.")
            return None
        try:
            picture = opened().picture
        except BadPicture as error:
            self.notes.append(f"{preset.name}: {error}")
            return None
        self._left -= picture.width * picture.height
        return self._pictures.keep(made(picture))
