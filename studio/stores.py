"""What keeps pictures, presets, drafts and waiting jobs, as protocols; see `ports` for the others."""

from collections.abc import Sequence
from typing import Any, Protocol

from PIL import Image

from studio.kept import Asked, Draft
from studio.people import Person
from studio.presets import Preset
from studio.presets.shelf import Shelf


class Pictures(Protocol):
    """Keeps the pictures that requests name, by their content's hash."""

    def keep(self, picture: Image.Image) -> str:
        """Keep a picture and return its key: 64 hexadecimal digits that depend on size, mode and pixels only."""
        ...

    def get(self, key: str) -> Image.Image | None:
        """Return the picture of a key, or None when it is not here."""
        ...

    def of(self, person: Person) -> "Pictures":
        """Return the pictures of one person. Guests have theirs apart, so that a hash opens nobody else's picture."""
        ...


class PresetStore(Protocol):
    """Keeps presets, each person's apart; what came with the studio is on everybody's shelf."""

    @property
    def pictures(self) -> Pictures:
        """Where the pictures of presets are kept, so that none goes while a preset needs it."""
        ...

    def read(self, person: Person) -> Shelf:
        """Look again and return what there is now."""
        ...

    def write(self, person: Person, preset: Preset, *, replaces: Preset | None = None, undo: bool = False) -> str:
        """Keep a preset, as a new one or in the place of another of the person's.

        Returns:
            What `restore` needs to have the replaced one back, if `undo` was asked for; else an empty text.

        Raises:
            StudioError: it cannot be written; the replaced one is as it was.
        """
        ...

    def remove(self, person: Person, preset: Preset) -> str:
        """Take one of the person's presets away and return what `restore` needs.

        Raises:
            StudioError: it cannot be done; it is as it was.
        """
        ...

    def restore(self, person: Person, token: str) -> Preset:
        """Bring back what `write` replaced or `remove` took away, under another name when its own is taken meanwhile.

        Raises:
            UnknownPreset: it is no longer kept.
        """
        ...

    def deleted(self, person: Person) -> Sequence[tuple[str, Preset]]:
        """Return what was deleted and can be had back, the newest first, each with what `restore` needs."""
        ...


class Drafts(Protocol):
    """Keeps what stands in a form, per person and browser."""

    def read(self, person: Person, device: str) -> Draft | None:
        """Return the newest draft of a person's browser, or None."""
        ...

    def write(self, person: Person, device: str, *, tab: str, content: dict[str, Any]) -> Draft:
        """Keep a draft in place of the one before and return it with its number.

        Raises:
            StudioError: it is too large or cannot be written; the one before stays.
        """
        ...


class Backlog(Protocol):
    """Remembers the jobs that are not over, so that a restart of the studio finds them."""

    def take_over(self) -> list[Asked]:
        """Begin, and return what the last studio left, oldest first; before this nothing is remembered."""
        ...

    def note(self, asked: Asked) -> None:
        """Remember a job.

        Raises:
            StudioError: it cannot be written.
        """
        ...

    def count(self, key: str, starts: int) -> None:
        """Add to how often a job was started, 1 when it begins and -1 when the studio ends properly while it runs."""
        ...

    def drop(self, key: str) -> None:
        """Forget a job."""
        ...

    def close(self) -> None:
        """Leave it to the next studio."""
        ...
