"""The request inside a picture: written on save, read back from any picture of ours."""

from studio.metadata.own import read_metadata, save

__all__ = ["read_metadata", "save"]
