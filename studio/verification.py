"""Runs a picture's request again and says whether the same picture comes out, and if not, how near and why."""

import io
import math
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from studio import intake
from studio.errors import BadPicture
from studio.images import content_key
from studio.jobs import UNKEPT, Job
from studio.metadata import Recall, file_bytes
from studio.metadata.likeness import Likeness, compare
from studio.people import OWNER, Person
from studio.provenance import Provenance
from studio.request import MAX_SEED
from studio.service import Studio


@dataclass(frozen=True)
class Verification:
    """What came out.

    Attributes:
        identical: whether the picture was made again bit by bit; None where the file cannot tell, as a JPEG of another program.
        likeness: the file's picture beside the one made now; None where their sizes differ.
        differences: what was otherwise, each a part of a sentence.
        sentence: all of it in words.
        picture: the one made now, RGB.
    """

    identical: bool | None
    likeness: Likeness | None
    differences: tuple[str, ...]
    sentence: str
    picture: Image.Image


@dataclass(frozen=True)
class Check:
    """A picture whose request is being run again, in a batch of the size that it was made in; it is picture `place` of it."""

    job: Job
    recall: Recall
    given: Image.Image
    lossless: bool
    place: int = 0

    def outcome(self, timeout: float | None = None) -> Verification:
        """Wait for the run and compare.

        Raises:
            StudioError: the run failed or was stopped.
            TimeoutError: `timeout` seconds have passed.
        """
        result = self.job.result(timeout)
        made, now = result.images[self.place], result.provenances[self.place] if result.provenances else None
        then = self.recall.provenance
        likeness = compare(self.given, made) if self.given.size == made.size else None
        identical: bool | None = None
        if then and then.pixels:
            identical = then.pixels == content_key(made)
        elif self.lossless:
            identical = bool(likeness and likeness.same)
        differences = _differences(self.recall, then, now)
        altered = bool(then and then.pixels and self.lossless and then.pixels != content_key(self.given))
        said = (_verdict(identical), _measured(likeness, self, made), _altered(altered), _why(identical, differences))
        sentence = " ".join(filter(None, said))
        return Verification(identical, likeness, differences, sentence, made)


def begin(studio: Studio, data: bytes, *, name: str, visitor: str = "local", person: Person = OWNER) -> Check:
    """Read a picture file and queue its request.

    Raises:
        BadPicture: it is no picture, or carries no settings that are known here.
        StudioError: its request cannot be run here; the sentence says what is missing.
    """
    recall = studio.recall(data, name=name, person=person)
    picture = intake.read(data, name=name).picture.convert("RGB")
    with Image.open(io.BytesIO(data)) as opened:
        lossless = opened.format == "PNG"
    if recall.request.seed < 0:
        raise BadPicture(f"{name} does not say its seed, so it cannot be made again.")
    batch, place = _batch(recall)
    first = (recall.request.seed - place) % (MAX_SEED + 1)
    request = recall.request.model_copy(update={"batch_size": batch, "seed": first})
    return Check(studio.submit(request, visitor=f"{UNKEPT}{visitor}", person=person), recall, picture, lossless, place)


def _batch(recall: Recall) -> tuple[int, int]:
    """Return (pictures in the run, place of this one), where they fit together."""
    made = recall.provenance
    return (made.batch, made.place) if made and made.place < made.batch else (1, 0)


def verify(studio: Studio, path: str | Path) -> Verification:
    """Run the request of a picture file again and say whether the same picture comes out.

    Raises:
        StudioError: the file carries no settings, or they cannot be run here.
    """
    place = Path(path)
    return begin(studio, file_bytes(place), name=place.name).outcome()


def _differences(recall: Recall, then: Provenance | None, now: Provenance | None) -> tuple[str, ...]:
    said = [f"{line.subject} {line.value}: {line.why}" for line in recall.lines if line.verdict == "missing"]
    if then and now:
        said += then.differences(now)
    elif then is None:
        said += [f"{line.subject}: {line.why}" for line in recall.lines if line.verdict == "approximated"]
        said.append("the picture does not say by which versions, device and weights it was made")
    return tuple(said)


def _verdict(identical: bool | None) -> str:
    match identical:
        case True:
            return "Bit-identical: the request makes this very picture again."
        case False:
            return "Not identical."
        case None:
            return "Whether it is identical cannot be told from this file, as its format loses detail."


def _measured(likeness: Likeness | None, check: Check, made: Image.Image) -> str:
    if likeness is None:
        return f"The file has {check.given.width} x {check.given.height} pixels and the request makes {made.width} x {made.height}."
    if likeness.same or math.isinf(likeness.psnr):
        return ""
    loses = "" if check.lossless else ", part of which its format costs"
    return f"The file's pixels are a PSNR of {likeness.psnr:.1f} dB and an SSIM of {likeness.ssim:.4f} from those made now{loses}."


def _altered(altered: bool) -> str:
    return "The file's pixels were changed after it was made." if altered else ""


def _why(identical: bool | None, differences: tuple[str, ...]) -> str:
    if identical or not differences:
        return ""
    return f"What differs: {'; '.join(differences[:8])}."
