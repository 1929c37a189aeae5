"""Mini's world: which scenes exist, how they look and how people describe them. Needs numpy only."""
