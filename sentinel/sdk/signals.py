"""What stops a request of a refused user: the one thing the SDK raises into an application.

Derived from BaseException, so that an application's `except Exception` neither swallows it nor goes on.

Blocked            this user may not go on
├── Redirected     this user is to go elsewhere
└── Challenged     this user is to show a second factor first
"""

from __future__ import annotations

from sentinel.core.decision import STRICTNESS, Verdict


class Blocked(BaseException):
    """The user of this request is refused; the middleware answers, whatever becomes of the exception."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(f"{verdict.kind} by decision {verdict.decision}")
        self.verdict = verdict

    def __reduce__(self) -> tuple[type[Blocked], tuple[Verdict]]:
        return type(self), (self.verdict,)  # it crosses process pools


class Redirected(Blocked):
    """The user of this request is to go to `verdict.to`."""


class Challenged(Blocked):
    """The user of this request is to show a second factor."""


_SIGNALS: dict[str, type[Blocked]] = {"block": Blocked, "redirect": Redirected, "challenge": Challenged}


def signal(verdict: Verdict) -> Blocked:
    """Return the signal of a verdict that is not `allow`."""
    return _SIGNALS[verdict.kind](verdict)


def refused(error: BaseException) -> Verdict | None:
    """Return the verdict of a signal, the strictest of a group that holds nothing but signals, None of all else."""
    if isinstance(error, Blocked):
        return error.verdict
    if not isinstance(error, BaseExceptionGroup):
        return None
    verdicts = [verdict for one in error.exceptions if (verdict := refused(one)) is not None]
    return max(verdicts, key=lambda one: STRICTNESS[one.kind]) if len(verdicts) == len(error.exceptions) else None
