"""Who may log in: accounts in memory, with salted and stretched passwords."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_COST = 2**12  # scrypt's n: a tenth of what a real shop should spend, so that a demo on a laptop stays quick
_SALT = 16
KNOWN = [{"name": "Jane Potter", "email": "jane@example.com", "password": "correct horse"}]


@dataclass(frozen=True)
class Account:
    """A customer; `id` never changes, the e-mail address is how she logs in."""

    id: str
    name: str
    email: str
    password: bytes


class Accounts:
    """Finds accounts by id and by e-mail address."""

    def __init__(self) -> None:
        self._by_id: dict[str, Account] = {}
        self._by_email: dict[str, Account] = {}
        self._lock = threading.Lock()
        self._nobody = _stretch("", secrets.token_bytes(_SALT))

    def get(self, id: str | None) -> Account | None:
        """Return the account of an id."""
        return self._by_id.get(id or "")

    def add(self, name: str, email: str, password: str) -> Account | None:
        """Open an account; None where the address has one already."""
        stretched = _stretch(password, secrets.token_bytes(_SALT))
        with self._lock:
            if email.lower() in self._by_email:
                return None
            account = Account(str(1001 + len(self._by_id)), name, email.lower(), stretched)
            self._by_id[account.id] = self._by_email[account.email] = account
            return account

    def check(self, email: str, password: str) -> Account | None:
        """Return the account that an address and a password open; a stranger's takes as long as a customer's."""
        account = self._by_email.get(email.lower())
        kept = account.password if account else self._nobody
        right = hmac.compare_digest(_stretch(password, kept[:_SALT]), kept)
        return account if right else None


def load() -> Accounts:
    """Return the accounts of the JSON file SHOP_ACCOUNTS, else one to try the shop with."""
    accounts = Accounts()
    for one in _listed():
        accounts.add(one["name"], one["email"], one["password"])
    return accounts


def _listed() -> Iterator[dict[str, str]]:
    file = os.environ.get("SHOP_ACCOUNTS")
    yield from json.loads(Path(file).read_text("utf-8")) if file else KNOWN


def _stretch(password: str, salt: bytes) -> bytes:
    return salt + hashlib.scrypt(password.encode(), salt=salt, n=_COST, r=8, p=1)
