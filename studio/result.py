"""What a finished job hands over: pictures with the requests that make them again."""

from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from studio import metadata
from studio.provenance import Provenance
from studio.request import GenerationRequest


@dataclass(frozen=True)
class Result:
    """The pictures of a job, RGB, and per picture one concrete request and by what it was made."""

    images: list[Image.Image]
    requests: list[GenerationRequest]
    provenances: list[Provenance] = field(default_factory=list)

    def save(self, index: int, path: str | Path) -> Path:
        """Write picture `index` with its settings inside; PNG, JPEG or WebP by the suffix.

        Raises:
            StudioError: the suffix is none of these, or the file cannot be written.
        """
        return metadata.save_record(self.images[index], self.record(index), Path(path))

    def record(self, index: int) -> metadata.Record:
        """Return what picture `index` carries in its file."""
        return metadata.Record(self.requests[index], self.provenances[index] if self.provenances else None)
