"""What a rule may look at: a range, and the contents of its files on both sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.changes import Change, History, Range, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


# Tables with tens of millions of rows: reading one takes longer than the minute that a silent deployment may be away.
LARGE_TABLES = frozenset({"annotation", "iso_image_metrics", "coloc_annotation", "ion"})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What no repository of code tells: which tables are large, and the names of variables that the environment has values for.

    ``variables`` is None where the configuration repository was not read.
    """

    large_tables: frozenset[str] = LARGE_TABLES
    variables: frozenset[str] | None = None


class Reading:
    """A range while it is being reviewed. Rules add to ``blind_spots`` what they could not see, to ``remarks`` asides."""

    def __init__(self, history: History, span: Range, around: Surroundings | None = None) -> None:
        self.span = span
        self.around = around or Surroundings()
        self.old = span.merge_base or span.base.sha
        self.new = span.head.sha
        self.blind_spots: list[str] = []
        self.remarks: list[str] = []
        self.kept: object = None  # the server's sources, once read
        self._history = history

    def changes(self, *, under: str = "", ending: str = "") -> Iterator[Change]:
        """The changes whose new or old path lies under a folder and ends so."""
        for change in self.span.changes:
            for path in {change.path, change.before}:
                if path.startswith(under) and path.endswith(ending):
                    yield change
                    break

    def before(self, change: Change) -> str | None:
        """The file's text in the base; None where it was absent."""
        return self._text(change.old_blob, change.before) if change.status is not Status.ADDED else None

    def after(self, change: Change) -> str | None:
        """The file's text in the head; None where it is absent."""
        return self._text(change.new_blob, change.path) if change.status is not Status.DELETED else None

    def files(self, *, commit: str, under: str) -> Mapping[str, str]:
        """Path → blob at or below ``under``."""
        return self._history.files(commit=commit, under=under)

    def expect(self, blobs: Iterable[str]) -> None:
        """Say which blobs will be read: together they come faster."""
        self._history.expect(blobs=blobs)

    def blob(self, blob: str, path: str) -> str:
        """A blob's text, empty (and a blind spot) where the clone lacks it."""
        return self._text(blob, path) or ""

    def _text(self, blob: str, path: str) -> str | None:
        text = self._history.blob(blob=blob) if blob else None
        if text is None and blob:
            self.blind_spots.append(f"This clone lacks the contents of {path}: it was judged by its name alone.")
        return text
