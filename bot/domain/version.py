"""Versions of METASPACE: three numbers, compared as numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.domain.errors import WrongUse

if TYPE_CHECKING:
    from collections.abc import Iterable

_FORM = re.compile(r"(\d+)\.(\d+)\.(\d+)", re.ASCII)


class Bump(StrEnum):
    """Which number of a version a release raises."""

    PATCH = "patch"
    MINOR = "minor"
    MAJOR = "major"


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """One release's version; ordered numerically, so 1.8.10 comes after 1.8.9."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> Version:
        """Read ``x.y.z``. Raises WrongUse for anything else, also for ``v1.2.3`` and ``1.2``."""
        version = cls.try_parse(text.strip())
        if version is None:
            raise WrongUse(
                f"{text.strip()[:40]!r} is not a version.", hint="three numbers with dots between them, as in 1.9.10"
            )
        return version

    @classmethod
    def try_parse(cls, text: str) -> Version | None:
        """Read ``x.y.z``, or None: tags such as ``rel-v0.9`` and ``1.0`` are no versions."""
        match = _FORM.fullmatch(text)
        return cls(*(int(part) for part in match.groups())) if match else None

    def next(self, bump: Bump) -> Version:
        """The version that follows when ``bump`` is raised; the numbers behind it start again at 0."""
        match bump:
            case Bump.MAJOR:
                return Version(self.major + 1, 0, 0)
            case Bump.MINOR:
                return Version(self.major, self.minor + 1, 0)
            case Bump.PATCH:
                return Version(self.major, self.minor, self.patch + 1)

    def bump_to(self, other: Version) -> Bump | None:
        """Which bump leads from here to ``other``, or None when no single one does."""
        return next((bump for bump in Bump if self.next(bump) == other), None)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


def accept(proposed: str, *, existing: Iterable[Version]) -> Version:
    """The version a person chose, as three numbers or as the bump itself (``minor``), if it may be the next one.

    It must be new, and one bump away from the newest version there is. Raises WrongUse, with the versions that would do.
    """
    taken = set(existing)
    newest = max(taken, default=None)
    word = proposed.strip().casefold()
    if word in set(Bump):
        if newest is None:
            raise WrongUse(f"There is no version yet to take the next {word} of.", hint="three numbers, as in 1.0.0")
        return newest.next(Bump(word))
    version = Version.parse(proposed)
    if version in taken:
        raise WrongUse(f"{version} exists already.", hint=_choices(newest))
    if newest is not None and newest.bump_to(version) is None:
        verb = "goes back behind" if version < newest else "jumps from"
        raise WrongUse(f"{version} {verb} {newest}.", hint=_choices(newest))
    return version


def possible(newest: Version | None) -> dict[Bump, Version]:
    """The versions that may come next, by the bump that leads there; none where there is no version yet."""
    return {bump: newest.next(bump) for bump in Bump} if newest else {}


def _choices(newest: Version | None) -> str:
    return "one of " + ", ".join(str(one) for one in possible(newest).values()) if newest else "any version"
