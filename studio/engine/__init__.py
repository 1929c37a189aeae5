"""Engines: the real one over diffusers modules, and a fake one that needs no weights."""
