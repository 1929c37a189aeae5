"""Makes the maps of a plan's ControlNet units from the pictures that the units name, and measures how a finished picture follows them."""

from collections.abc import Iterator

from PIL import Image

from studio.errors import InvalidRequest
from studio.events import Agreement
from studio.people import Person
from studio.plan import Plan
from studio.ports import Annotator, Pictures, Progress
from studio.request import ControlUse, shorten


class MapMaker:
    """Reads each picture when its map is made and not before: many jobs may wait, and a photo takes a hundred times its file in memory."""

    def __init__(self, annotator: Annotator, pictures: Pictures) -> None:
        self._annotator, self._pictures = annotator, pictures

    def make(self, plan: Plan, person: Person, progress: Progress) -> Iterator[Image.Image]:
        """Yield the map of each unit, RGB, of the plan's size; `progress` ends the work by raising.

        Raises:
            InvalidRequest: a picture is gone; StudioError: as `Annotator.annotate`.
        """
        for index, control in enumerate(plan.controls):
            picture = self._pictures.of(person).get(control.use.image)
            if picture is None:
                raise InvalidRequest(f"controls[{index}].image: {shorten(control.use.image)} is not here any more; give the picture again.")
            yield self._annotator.annotate(picture, control.use, (plan.width, plan.height), progress)

    def measure(self, picture: Image.Image, control: Image.Image, use: ControlUse) -> Agreement:
        """Say how well a picture follows a map; see `Annotator.measure`."""
        return self._annotator.measure(picture, control, use)
