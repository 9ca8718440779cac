"""How often somebody may try to sign in: limits by address and by account, whether it exists or not, in bounded memory.

Every attempt is charged before the password is looked at, and refunded if it was right. An address from which somebody
signed in to an account has attempts of its own for it, so that others who guess cannot use up the owner's.
"""

from __future__ import annotations

from collections.abc import Callable

from sentinel.core import address
from sentinel.edge.errors import ApiError
from sentinel.edge.limits import Buckets

BY_ADDRESS = (1 / 20, 20)  # tries a second, and at once
BY_ACCOUNT = (1 / 30, 10)


class Throttle:
    """Limits tries by address and by account; called on the event loop only."""

    def __init__(self, steady: Callable[[], float]) -> None:
        self._steady = steady
        self._addresses = Buckets(*BY_ADDRESS)
        self._accounts = Buckets(*BY_ACCOUNT)
        self._familiar = Buckets(*BY_ACCOUNT)  # by address and account, since the first right try

    def ask(self, ip: str | None, account: str) -> int | None:
        """Charge a try and return None if it may be made, else return the seconds to wait."""
        now, where = self._steady(), _where(ip)
        accounts, name = self._of(where, account)
        try:
            self._addresses.ask(where, now)
            self._addresses.spend(where, 1, now)
            accounts.ask(name, now)
        except ApiError as error:
            return error.retry_after or 1
        accounts.spend(name, 1, now)
        return None

    def forgive(self, ip: str | None, account: str) -> None:
        """Refund a try that was right; from now on the address has tries of its own for this account."""
        now, where = self._steady(), _where(ip)
        accounts, name = self._of(where, account)
        self._addresses.spend(where, -1, now)
        accounts.spend(name, -1, now)
        self._familiar.spend(f"{where} {account}", 0, now)

    def _of(self, where: str, account: str) -> tuple[Buckets, str]:
        """Return the buckets that count an account's tries from an address, and the name of its bucket there."""
        own = f"{where} {account}"  # no address has a space
        return (self._familiar, own) if own in self._familiar else (self._accounts, account)


def _where(ip: str | None) -> str:
    return address.group(ip) if ip else ""
