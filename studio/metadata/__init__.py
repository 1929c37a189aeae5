"""The request inside a picture: written on save, read back from any picture of ours."""

from studio.metadata.own import png_bytes, read_metadata, save

__all__ = ["png_bytes", "read_metadata", "save"]
