"""Every error that a person may see.

* ReleaseError
  * WrongUse            the request makes no sense as typed
  * NotAllowed          the person may not do this, or not here
  * Conflict            somebody or something else is in the way (lock, freeze, a decision already taken)
    * Held              somebody has the environment: who asks may be told when it is free
  * Refused             going on would be unsafe; the world was looked at and says no
  * Unavailable         a system outside does not answer
    * HostUnreachable   a server does not answer, or does not accept us
  * StepFailed          a step was tried and did not reach its aim
  * BadSettings         the settings or a checklist are wrong
"""

from __future__ import annotations


class ReleaseError(Exception):
    """What happened, in a sentence for a person; ``hint`` is the next thing to try, ``changed`` what was and was not changed."""

    def __init__(self, message: str, *, hint: str = "", changed: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.changed = changed

    def __str__(self) -> str:
        return self.message


class WrongUse(ReleaseError):
    """The request makes no sense as typed."""


class NotAllowed(ReleaseError):
    """The person may not do this, or not here."""


class Conflict(ReleaseError):
    """Somebody or something else is in the way: a lock, a freeze, a decision already taken."""


class Held(Conflict):
    """Somebody has the environment, or comes first: who asks may be told when it is free."""

    def __init__(self, message: str, *, environment: str, hint: str = "", changed: str = "") -> None:
        super().__init__(message, hint=hint, changed=changed)
        self.environment = environment


class Refused(ReleaseError):
    """Going on would be unsafe: the world was looked at, and says no."""


class Unavailable(ReleaseError):
    """A system outside does not answer, or answers nonsense. Trying again later may help."""


class HostUnreachable(Unavailable):
    """A server does not answer, or does not accept us."""


class HostKeyChanged(Refused):
    """A server shows another key than the pinned one: never skipped, never retried blindly."""


class StepFailed(ReleaseError):
    """A step was tried and did not reach its aim."""


class BadSettings(ReleaseError):
    """The settings or a checklist are wrong: the message names the place, what was found, and what is expected."""
