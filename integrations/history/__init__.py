"""Reading a Git repository's history for reviews."""

from integrations.history.reader import GitHistory

__all__ = ["GitHistory"]
