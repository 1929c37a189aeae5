"""What a finished job hands over: pictures with the requests that make them again."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from studio import metadata
from studio.request import GenerationRequest


@dataclass(frozen=True)
class Result:
    """The pictures of a job, RGB, and one concrete request per picture."""

    images: list[Image.Image]
    requests: list[GenerationRequest]

    def save(self, index: int, path: str | Path) -> Path:
        """Write picture `index` with its request inside; PNG, JPEG or WebP by the suffix.

        Raises:
            StudioError: the suffix is none of these, or the file cannot be written.
        """
        return metadata.save(self.images[index], self.requests[index], Path(path))
