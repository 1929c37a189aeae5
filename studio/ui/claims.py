"""Whose gradio sessions and events are whose. Their names come from the browser or from gradio; the first person to use one keeps it."""

from collections import OrderedDict

KEPT = 50_000
LONGEST = 128


class Claims:
    """Remembers the newest names. Used on the server's event loop only."""

    def __init__(self) -> None:
        self._owners: OrderedDict[tuple[str, str], str] = OrderedDict()

    def claim(self, kind: str, name: object, person: str) -> bool:
        """Take a name, or find that it is taken; False when it is another's, or no name at all."""
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST:
            return False
        owner = self._owners.setdefault((kind, name), person)
        self._owners.move_to_end((kind, name))
        while len(self._owners) > KEPT:
            self._owners.popitem(last=False)
        return owner == person

    def owns(self, kind: str, name: object, person: str) -> bool:
        """Whether a name was taken by this person."""
        return isinstance(name, str) and self._owners.get((kind, name)) == person
