"""Texts that change only on purpose: generated pages and the request's schema."""
