"""The one tree of errors.

SentinelError
├── DurationError      a text that is no duration
├── EventError         one event that cannot be taken
│   └── IdentityError  identifiers that name nobody
├── DecisionError      one decision that cannot be meant
├── InputError         a file or stream that is not what it should be
├── Forbidden          not this person's to do
├── Conflict           what is there already stands against it
│   └── Superseded     the same draft was asked for again                              (service.trials.workbench)
├── StoreError         what is kept cannot be used as it is: damaged, in use by another server, of another version
│   └── StoreBusy      the store cannot do it now, and nothing was done; the same call may succeed later
│       └── StateLost  what servers share was lost, and is being built again               (windows.valkey)
├── ExpressionError    a condition that cannot be compiled                             (engine.problems)
├── PlaybookErrors     every mistake of every file, at once                            (loader.mistakes)
├── TargetError        a URL that is not asked                                         (actions.target)
├── FetchError         no answer was had from another host                             (actions.fetch)
├── DeliveryError      a notification or webhook that did not arrive                   (actions.outcome)
├── Busy               too much waits to be written                                    (service.intake)
├── QueryError         a search that cannot be understood                              (service.search)
├── ApiError           a request that is refused                                       (edge.errors)
│   ├── NotTaken       a method at an address that takes others                        (edge.errors)
│   └── Refused        an upload of that client that its server would refuse           (compat.seismo)
├── Inexpressible      what the rule asks has no like here                             (compat.sigma.conditions)
│   └── UnknownFields  of its fields nobody said what they are here                    (compat.sigma.conditions)
├── SettingsError      settings that cannot be meant, all at once                      (settings)
├── Stopping           the server is told to stop while it still starts                (app.server)
├── DemoError          the demo cannot be shown on this machine                        (demo.processes)
├── Refused            the server said no to a command                                 (cli.client)
└── Unreachable        no server answers a command                                     (cli.client)

Texts start without a capital, end without a full stop, quote the user's words in backticks;
the place comes first and the hint last.
"""

from __future__ import annotations


def fault(error: BaseException) -> str:
    """Return an error's type and message, for logs, counts and retries: where nobody is there to put it right."""
    return f"{type(error).__name__}: {error}"


def wordless(error: BaseException) -> Exception:
    """Return an exception with the type's name and the traceback of a fault, but without its message.

    A message may repeat values of an event, which logs must not hold.
    """
    told = Exception(type(error).__qualname__).with_traceback(error.__traceback__)
    beneath = error.__cause__ if error.__suppress_context__ else error.__context__
    told.__cause__ = None if beneath is None else wordless(beneath)
    return told


class SentinelError(Exception):
    """Something the caller can put right; the message says what and how."""

    exit_code = 2

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class DurationError(SentinelError):
    """A text that is no duration."""


class EventError(SentinelError):
    """One event that cannot be taken; `field` is the dotted path of what is wrong."""

    def __init__(self, field: str, message: str, hint: str | None = None) -> None:
        super().__init__(f"`{field}`: {message}", hint)
        self.field = field


class IdentityError(EventError):
    """Identifiers that name nobody."""


class DecisionError(SentinelError):
    """One decision that cannot be meant; `field` is what is wrong with it."""

    def __init__(self, field: str, message: str, hint: str | None = None) -> None:
        super().__init__(f"`{field}`: {message}", hint)
        self.field = field


class InputError(SentinelError):
    """A file or stream that is not what it should be."""


class Forbidden(SentinelError):
    """Not this person's to do."""


class Conflict(SentinelError):
    """What is there already stands against it: another of that name, a quicker change, no room for more."""


class StoreError(SentinelError):
    """What is kept cannot be used as it is: damaged, in use by another server, of another version."""


class StoreBusy(StoreError):
    """The store cannot do it now, and nothing was done; ask again after `retry_after` seconds.

    `outside` is what those are told who need not know where things are kept: the message, where it does not say that.
    """

    def __init__(
        self, message: str, hint: str | None = None, retry_after: int = 1, outside: str | None = None
    ) -> None:  # fmt: skip
        super().__init__(message, hint)
        self.retry_after = retry_after
        self.outside = message if outside is None else outside
        self.outside_hint = hint if outside is None else None
