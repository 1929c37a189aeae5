"""Adapters that read and write the disk."""
