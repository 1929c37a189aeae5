"""Reading the settings of pictures of ours, of this schema and the ones before."""

from pathlib import Path

from studio.errors import BadPicture
from studio.metadata import containers
from studio.metadata.record import Record, read_document
from studio.request import GenerationRequest

MAX_FILE_BYTES = 64_000_000


def read_metadata(source: str | Path) -> GenerationRequest:
    """Return the request that a picture of ours carries.

    Raises:
        BadPicture: the file is no readable picture or carries no request of ours.
    """
    return read_record(file_bytes(Path(source)), name=Path(source).name).request


def read_record(data: bytes, *, name: str) -> Record:
    """Return what a picture of ours carries.

    Raises:
        BadPicture: the bytes are no readable picture, or carry no request of ours.
    """
    carried = containers.read(data, name=name)
    if not carried.document:
        raise BadPicture(f"{name} carries no settings of this studio.")
    return read_document(carried.document, name=name)


def file_bytes(path: Path) -> bytes:
    """Return a picture file's content.

    Raises:
        BadPicture: it cannot be read, or is larger than any picture that carries settings.
    """
    try:
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
            raise BadPicture(f"{path.name} is a file of {size / 1e6:.0f} MB; give one of at most {MAX_FILE_BYTES // 10**6} MB.")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise BadPicture(f"{path.name} cannot be read as a picture: {getattr(error, 'strerror', None) or error}.") from error
