"""Who asks: the person in front of this machine, or a guest who was let in over a link."""

from dataclasses import dataclass, field
from typing import Literal

Role = Literal["owner", "maker", "viewer"]
"""What a person may do: everything; make pictures; look on."""


@dataclass(frozen=True)
class Person:
    """One person; `id` tells persons apart and lasts over visits, `name` is for eyes.

    `via` is the id of the token that a program of theirs shows, where that is another one, as the owner's is.
    """

    id: str
    role: Role
    name: str = ""
    via: str = field(default="", compare=False)

    @property
    def pass_id(self) -> str:
        """The id of what they are here by: as long as that is good, they are."""
        return self.via or self.id


OWNER = Person("owner", "owner")
