"""A picture file of ours in another format, with its settings or without."""

from studio import intake
from studio.metadata.own import read_record
from studio.metadata.writing import FormatName, encode


def convert(content: bytes, *, kind: FormatName, bare: bool, name: str) -> bytes:
    """Return a picture file's pixels as another file.

    Args:
        content: the file.
        kind: the format of the new one.
        bare: whether it carries nothing but pixels; else it carries the settings of the old one.
        name: what the picture is called in sentences.

    Raises:
        StudioError: the file is damaged, or carries no settings though they are wanted, or the format cannot hold them.
    """
    record = None if bare else read_record(content, name=name)
    return encode(intake.read(content, name=name).picture.convert("RGB"), record, kind=kind)
