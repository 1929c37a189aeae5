"""Who asks: the person in front of this machine, or a guest who was let in over a link."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["owner", "maker", "viewer"]
"""What a person may do: everything; make pictures; look on."""


@dataclass(frozen=True)
class Person:
    """One person; `id` tells persons apart and lasts over visits, `name` is for eyes."""

    id: str
    role: Role
    name: str = ""


OWNER = Person("owner", "owner")
