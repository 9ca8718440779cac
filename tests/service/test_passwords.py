"""What a password must be, that only the right one is right, and that nobody's takes as long as somebody's."""

from __future__ import annotations

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from sentinel.core.errors import SentinelError
from sentinel.core.record import Account
from sentinel.service import passwords
from sentinel.service.accounts import Accounts
from sentinel.store.embedded.store import open_store

GOOD = "four unrelated words"
NOW = 1_800_000_000_000_000


@pytest.fixture(autouse=True)
def cheap(monkeypatch):
    """Argon2 takes its time on purpose; tests take less."""
    hasher = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=256, parallelism=1),))
    monkeypatch.setattr(passwords, "_hasher", lambda: hasher)
    return hasher


def test_a_password_is_told_from_others_by_its_hash():
    kept = passwords.hashed(GOOD)
    assert kept.startswith("$argon2id$") and GOOD not in kept
    assert passwords.verify(GOOD, kept) == (True, None)
    assert passwords.verify(f"{GOOD} ", kept) == (False, None)


def test_what_is_longer_than_a_password_may_be_is_none_though_it_begins_like_one():
    longest = "ab cd ef" * (passwords.LONGEST // 8)
    kept = passwords.hashed(longest)
    assert passwords.verify(longest, kept)[0]
    assert passwords.verify(f"{longest}x", kept) == (False, None)


def test_nobodys_password_is_compared_too_and_never_right(cheap, monkeypatch):
    asked = []
    real = cheap.verify_and_update
    monkeypatch.setattr(cheap, "verify_and_update", lambda *given: asked.append(given) or real(*given))
    assert passwords.verify(GOOD, None) == (False, None)
    assert len(asked) == 1


def test_a_hash_of_less_work_is_made_anew_once_the_password_is_right():
    old = PasswordHash((Argon2Hasher(time_cost=2, memory_cost=128, parallelism=1),)).hash(GOOD)
    right, better = passwords.verify(GOOD, old)
    assert right and better is not None and passwords.verify(GOOD, better) == (True, None)
    assert passwords.verify("another", old) == (False, None)


def test_whoever_signs_in_with_a_hash_of_less_work_is_let_in_and_has_a_better_one_from_then_on(tmp_path):
    old = PasswordHash((Argon2Hasher(time_cost=2, memory_cost=128, parallelism=1),)).hash(GOOD)
    store = open_store(tmp_path / "data")
    store.accounts.invite(Account("a1", "ana", "admin"), NOW + 1, "test", NOW)
    assert store.accounts.set_password("a1", old, "test", NOW)
    accounts = Accounts(store, lambda: NOW)
    for wrong in (("ana", "another"), ("bob", GOOD)):
        assert accounts.sign_in(*wrong) is None
    tokens = [accounts.sign_in(" Ana ", GOOD) for _ in range(2)]
    assert [accounts.session(token).account.name for token in tokens] == ["ana", "ana"]
    _, kept = store.accounts.named("ana")
    assert kept != old and passwords.verify(GOOD, kept) == (True, None)
    store.close()


@pytest.mark.parametrize("password", ["short", "x" * 257, "aaaaaaaaaaaa", "ana-ana-ana-ana-1"])
def test_a_password_that_will_not_do_is_refused(password):
    with pytest.raises(SentinelError, match="`password`"):
        passwords.check(password, "ana@example.com")


def test_a_good_password_is_none_of_the_name():
    passwords.check(GOOD, "ana")
