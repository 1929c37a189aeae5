"""Drafts of the form on disk: one small file a person and browser, replaced as a whole, so that a restart finds what was being set up."""

import hashlib
import json
import logging
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from studio import atomic
from studio.errors import InvalidRequest
from studio.kept import Draft
from studio.people import Person

log = logging.getLogger("studio")
SCHEMA = 1
MAX_CHARACTERS = 4_000_000
KEPT_DRAFTS = 32
"""Browsers whose drafts are kept for one person; the one that was silent longest is forgotten first."""


class DiskDrafts:
    """A folder a person. Folders and files are named by hashes, because names come from outside."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def read(self, person: Person, device: str) -> Draft | None:
        """Return the newest draft of a person's browser; None when there is none, or its file was damaged."""
        path = self._place(person, device)
        try:
            data = json.loads(path.read_bytes())
            return Draft(version=int(data["version"]), tab=str(data["tab"]), content=dict(data["content"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            log.warning("the draft %s cannot be read", path.name, exc_info=True)
            return None

    def write(self, person: Person, device: str, *, tab: str, content: dict[str, Any]) -> Draft:
        """Keep a draft in place of the one before and return it with its number, which grows by one.

        Raises:
            InvalidRequest: it is too large.
            StudioError: the disk is full or the folder read-only; the one before stays.
        """
        with self._lock:
            before = self.read(person, device)
            draft = Draft(version=before.version + 1 if before else 1, tab=tab, content=content)
            text = json.dumps({"schema": SCHEMA, "version": draft.version, "tab": tab, "content": content}, ensure_ascii=True)
            if len(text) > MAX_CHARACTERS:
                raise InvalidRequest(
                    f"The form takes {len(text) / 1e6:.0f} MB, so it is kept in this browser only; make the drawings smaller."
                )
            path = self._place(person, device)
            atomic.make_folder(path.parent, called="The drafts' folder")
            atomic.write(path, text.encode(), called="The draft")
            self._forget(path.parent)
        return draft

    def _place(self, person: Person, device: str) -> Path:
        return self._folder / _name(person.id) / f"{_name(device)}.json"

    def _forget(self, folder: Path) -> None:
        # The draft itself is kept by now; what cannot be forgotten, or is by another studio, fails nothing.
        with suppress(OSError):
            files = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
            for path in files[:-KEPT_DRAFTS]:
                path.unlink(missing_ok=True)


def _name(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
