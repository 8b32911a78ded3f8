"""Follows one run of METASPACE's script by what it logs on its standard error (``scripts/update_es_index.py``, ``es_export.py``).

It says ``Reindexing 3 out of 8`` (or ``Updating …``) when it begins a dataset, logs what failed, goes on, and ends with status
0 all the same. So a dataset counts as done when the next one begins, or at the end, and nothing was said against it between. A
failure's text holds the dataset's name, in which people may write what they like, line ends and words of this very log included.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

KEPT = 500  # characters of what was said
_LONGEST = 4000  # characters of a failure's record, which may have a traceback
_FIRST = re.compile(r"(?P<prefix>.*?)(?P<verb>Reindexing|Updating) (?:(?P<all>\d+) dataset\(s\)|1 out of (?P<n>\d+))$")
_GONE = "Dataset does not exist(ds_id="
# All are logged and passed over: a document that was refused, old ones that were not deleted.
_FAILED = ("Failed to reindex(ds_id=", "Document failed:", "Dataset deletion failed:", "Annotation deletion failed:")
_WHERE = re.compile(r", moldb: ([^()\n]{1,40})\): ?")
_TRACEBACK = "\nTraceback (most recent call last):"


class Outcome(NamedTuple):
    """What became of a dataset: ``done``, ``failed`` (with METASPACE's words), ``gone``, or ``undone``: it was not done after all."""

    kind: str
    dataset: str
    said: str = ""


class Reading:
    """What one run has said so far. ``at`` is the number of the dataset in work, from 1; 0 before the first."""

    def __init__(self, datasets: Sequence[str]) -> None:
        self.datasets, self.at = datasets, 0
        self.last: deque[str] = deque(maxlen=5)  # lines, for a run that dies
        self._progress: re.Pattern[str] | None = None
        self._record: re.Pattern[str] | None = None
        self._open = False  # the last record was a failure, and lines without a header belong to it
        self._said: list[str] = []
        self._gone = False

    @property
    def in_work(self) -> str | None:
        """The dataset in work."""
        return self.datasets[self.at - 1] if self.at else None

    def line(self, text: str) -> list[Outcome]:
        """Take a line and return what it tells of datasets."""
        if text.strip():
            self.last.append(text.strip()[:KEPT])
        if self._progress is None:
            self._learn(text)
        number = self._progress and self._progress.match(text)
        if number:
            return self._begun(int(number["i"]))
        self._listen(text)
        return []

    def ended(self, status: int) -> list[Outcome]:
        """Return what the end tells: with status 0 the last dataset's outcome, if it had come to the last."""
        return self._close() if status == 0 and self.at == len(self.datasets) else []

    def _learn(self, text: str) -> None:
        """Learn from the first lines how a record begins in this configuration: the same, but for numbers, for progress."""
        found = _FIRST.match(text)
        if not found or int(found["all"] or found["n"]) != len(self.datasets):
            return
        prefix = found["prefix"]
        exact = "".join(r"\d+" if part.isdigit() else re.escape(part) for part in re.split(r"(\d+)", prefix))
        any_one = "".join(
            r"[\w.\-]+" if re.match(r"[\w.\-]*\w", part) else re.escape(part)
            for part in re.split(r"([\w.\-]*\w[\w.\-]*)", prefix)
        )
        self._progress = re.compile(f"{exact}{found['verb']} (?P<i>\\d+) out of {len(self.datasets)}$")
        self._record = re.compile(f"{any_one}(?P<message>.*)$")

    def _begun(self, number: int) -> list[Outcome]:
        if number == self.at + 1 and number <= len(self.datasets):
            told = self._close() if self.at else []
        elif self.at and 0 < number <= self.at:
            # Said twice: one of the two stood in a dataset's name. What was counted since is not to be believed.
            told = [Outcome("undone", one) for one in self.datasets[number - 1 : self.at - 1]]
            self._forget()
        else:
            return []  # nobody skips one: not METASPACE's
        self.at = number
        return told

    def _listen(self, text: str) -> None:
        record = self._record and self._record.match(text)
        message = record["message"] if record else ""
        if message.startswith(_FAILED):
            self._open = True
            self._said.append(message)
        elif record:
            self._open = False
            self._gone = self._gone or message.startswith(f"{_GONE}{self.in_work})")
        if not record and self._open and len(self._said[-1]) < _LONGEST:
            self._said[-1] += f"\n{text}"

    def _close(self) -> list[Outcome]:
        dataset, said, gone = self.datasets[self.at - 1], self._said, self._gone
        self._forget()
        if said:
            return [Outcome("failed", dataset, "; ".join(map(_words, said))[:KEPT])]
        return [Outcome("gone" if gone else "done", dataset)]

    def _forget(self) -> None:
        self._said, self._gone, self._open = [], False, False


def _words(record: str) -> str:
    """Return what a failure's record says beside the dataset's name: the database, and the error."""
    message = record[:_LONGEST].split(_TRACEBACK, maxsplit=1)[0]
    places = list(_WHERE.finditer(message))
    return f"moldb {places[-1][1]}: {message[places[-1].end() :].strip()}" if places else message.strip()
