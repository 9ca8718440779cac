"""Passwords: their rules, and how they are hashed and compared. Whose they are is not known here.

Argon2 takes a tenth of a second of processor time on purpose, so the caller bounds how many run at once.
"""

from __future__ import annotations

import secrets
from functools import cache

from pwdlib import PasswordHash

from sentinel.core.errors import SentinelError

SHORTEST = 12
LONGEST = 256


def check(password: str, name: str) -> None:
    """Raise SentinelError for a password that is too short, too long or easily guessed by who knows the name."""
    if len(password) < SHORTEST:
        raise SentinelError(f"`password`: shorter than {SHORTEST} characters", "four unrelated words will do")
    if len(password) > LONGEST:
        raise SentinelError(f"`password`: longer than {LONGEST} characters")
    rest = password.casefold().replace(name.partition("@")[0], "")
    if len(set(rest)) < 5:
        raise SentinelError("`password`: too easily guessed", "four unrelated words will do")


def hashed(password: str) -> str:
    """Return what is kept of a password."""
    return _hasher().hash(password)


def verify(password: str, kept: str | None) -> tuple[bool, str | None]:
    """Say whether a password is the one whose hash was kept, and return a better hash of it where there is one.

    Where none was kept it takes as long.
    """
    good, better = _hasher().verify_and_update(password[:LONGEST], kept or _nobody())
    right = good and kept is not None and len(password) <= LONGEST
    return right, better if right else None


@cache
def _hasher() -> PasswordHash:
    return PasswordHash.recommended()


@cache
def _nobody() -> str:
    """Return the hash of a password that nobody has."""
    return _hasher().hash(secrets.token_urlsafe(32))
