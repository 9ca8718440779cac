"""A console for all tests of a module, and Chromium where it is or can be installed."""

from __future__ import annotations

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from sentinel.service import passwords
from tests.console.browsing import chromium_path, launched
from tests.console.visiting import visited


@pytest.fixture(scope="session", autouse=True)
def cheap_hashes():
    """Argon2 takes its time on purpose; tests take less."""
    kept, cheap = passwords._hasher, PasswordHash((Argon2Hasher(time_cost=1, memory_cost=256, parallelism=1),))
    passwords._hasher = lambda: cheap
    yield
    passwords._hasher = kept


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    """One server; tests take addresses, users and accounts of their own."""
    with visited(tmp_path_factory.mktemp("console")) as found:
        yield found


@pytest.fixture(scope="module")
def chromium():
    """The browser of a file's tests. Its event loop is the thread's: while it runs, no other test can run one."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = chromium_path()
    if path is None:
        pytest.skip("there is no Chromium: `apt-get install chromium`")
    with launched(path) as browser:
        yield browser
