"""Counts prompt tokens with a model folder's own tokenizer, without torch."""

from studio.inventory import ModelCard


class FolderTokens:
    """Placeholder until the tokenizer is wired."""

    def count(self, model: ModelCard, text: str) -> tuple[int, int]:
        """Return (tokens, 75)."""
        return len(text.split()), 75
