"""A console for all tests of a module, and Chromium where it is or can be installed."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from sentinel.service import passwords
from tests.console.visiting import visited

NAMES = ("chromium", "chromium-browser", "google-chrome")


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


def _found() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def _installed() -> str | None:
    """Install Chromium where that takes no password; return its path."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]
        subprocess.run(command, capture_output=True, timeout=300, check=False)
    return _found()


@pytest.fixture(scope="module")
def chromium():
    """The browser of a file's tests. Its event loop is the thread's: while it runs, no other test can run one."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = _found() or _installed()
    if path is None:
        pytest.skip("there is no Chromium: `apt-get install chromium`")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield browser
        browser.close()
