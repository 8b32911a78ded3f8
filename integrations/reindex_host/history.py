"""How many datasets were done when: few enough points for a picture, over however many days."""

from __future__ import annotations

EVERY, MOST = 10.0, 400  # seconds between two points at least, and points that are kept


class History:
    """Points (time, done), oldest first; old ones thin out."""

    def __init__(self, points: list[list[float]]) -> None:
        self.points = points

    def note(self, now: float, done: int, *, last: bool = False) -> None:
        """Note how many are done now, unless that was noted a moment ago."""
        if self.points and not last and now < self.points[-1][0] + EVERY:
            return
        self.points.append([now, done])
        if len(self.points) > MOST:
            half = MOST // 2
            self.points[:half] = self.points[:half:2]
