"""How often somebody may try to sign in: by address and by account, known or not, in bounded memory.

Every try is paid for before the password is looked at, and a right one gets its price back.
"""

from __future__ import annotations

from collections.abc import Callable

from sentinel.core import address
from sentinel.edge.errors import ApiError
from sentinel.edge.limits import Buckets

BY_ADDRESS = (1 / 20, 20)  # tries a second, and at once
BY_ACCOUNT = (1 / 30, 10)


class Throttle:
    """Two buckets a try; on the loop only."""

    def __init__(self, steady: Callable[[], float]) -> None:
        self._steady = steady
        self._addresses = Buckets(*BY_ADDRESS)
        self._accounts = Buckets(*BY_ACCOUNT)

    def ask(self, ip: str | None, account: str) -> int | None:
        """Pay for a try; return None where it may be made, else how many seconds to wait."""
        now = self._steady()
        where = address.group(ip) if ip else ""
        try:
            self._addresses.ask(where, now)
            self._addresses.spend(where, 1, now)
            self._accounts.ask(account, now)
        except ApiError as error:
            return error.retry_after or 1
        self._accounts.spend(account, 1, now)
        return None

    def forgive(self, ip: str | None, account: str) -> None:
        """Give the price of a right try back."""
        now = self._steady()
        self._addresses.spend(address.group(ip) if ip else "", -1, now)
        self._accounts.spend(account, -1, now)
