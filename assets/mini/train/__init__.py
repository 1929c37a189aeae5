"""How Mini's weights are made: one module a stage, each resumable, all working in a run folder outside the repository."""
