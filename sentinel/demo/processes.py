"""The demo's processes: a server and a shop on free ports of this machine, ended with the process that started them.

What happens between them is not known here.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from sentinel import content
from sentinel.core.errors import SentinelError

PATIENCE = 180.0  # seconds a process has to come up, on a machine that is busy with much else
_GRACE = 5.0
_SHOP = "The shop is open at "
_SERVE = "import sys; from sentinel.cli import main; sys.exit(main())"
_SET_PDEATHSIG = 1


class DemoError(SentinelError):
    """The demo cannot be shown on this machine."""


class Stage(NamedTuple):
    """Where the demo's server and shop answer, and the server's data folder."""

    server: str
    shop: str
    data: Path


class Person(NamedTuple):
    """An account of the shop, before the curtain rises."""

    name: str
    email: str
    password: str


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Lend a folder that is removed at the end."""
    path = Path(tempfile.mkdtemp(prefix="sentinel-demo-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def stage(
    scratch: Path, people: Sequence[Person], playbooks: Path | None, key: Callable[[Path], str]
) -> Iterator[Stage]:
    """Start both processes and end them; `key` makes the shop's key, once the server with that data folder answers."""
    data = scratch / "server"
    with contextlib.ExitStack() as running:
        server = running.enter_context(_process(scratch, "server.log", _server_command(data, playbooks), {}))
        url = _wait(server, "the server", scratch / "server.log", lambda: _local(data))
        _wait(server, "the server", scratch / "server.log", lambda: _answers(f"{url}/readyz"))
        accounts = scratch / "accounts.json"
        accounts.write_text(json.dumps([one._asdict() for one in people]), "utf-8")
        environ = {"SENTINEL_URL": url, "SENTINEL_KEY": key(data), "SHOP_ACCOUNTS": str(accounts)}
        log = scratch / "shop.log"
        shop = running.enter_context(
            _process(scratch, "shop.log", [sys.executable, "-m", "shop", "--port", "0"], environ)
        )
        address = _wait(shop, "the shop", log, lambda: _said(log, _SHOP))
        _wait(shop, "the shop", log, lambda: _answers(f"{address}/"))
        yield Stage(url, address, data)


def _server_command(data: Path, playbooks: Path | None) -> list[str]:
    geo = content.folder("geo")
    command = [sys.executable, "-c", _SERVE, "serve", "--port", "0", "--data", str(data), "--log-format", "console"]
    command += ["--geo", f"{geo / 'demo-city.mmdb'},{geo / 'demo-asn.mmdb'}"]
    return command if playbooks is None else [*command, "--playbooks", str(playbooks.absolute())]


def _path() -> dict[str, str]:
    """Return the variable by which the processes find the shop, and this very Sentinel."""
    places = [str(content.folder("shop").parent), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, places))}


@contextlib.contextmanager
def _process(
    scratch: Path, log: str, command: Sequence[str], environ: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a process group of its own, so that a Ctrl-C meets the demo alone, and end it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SENTINEL_")}
    kept |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "PYTHONUNBUFFERED": "1"} | _path()
    with (scratch / log).open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  our own programs
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=scratch,
            env=kept | environ, process_group=0, preexec_fn=_die_with_parent(),
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _die_with_parent() -> Callable[[], None] | None:
    """Return what asks Linux to kill the child when its parent dies; elsewhere the orderly end must do."""
    if not sys.platform.startswith("linux"):
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask() -> None:
        prctl(_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return ask


def _wait(process: subprocess.Popen[bytes], name: str, log: Path, found: Callable[[], str]) -> str:
    """Return what `found` finds, once it finds something."""
    until = time.monotonic() + PATIENCE
    while not (answer := found()):
        if process.poll() is not None:
            raise DemoError(f"{name} ended with {process.returncode}:\n{_tail(log)}")
        if time.monotonic() > until:
            raise DemoError(f"{name} was not ready within {PATIENCE:.0f} s:\n{_tail(log)}")
        time.sleep(0.05)
    return answer


def _local(data: Path) -> str:
    try:
        return str(json.loads((data / "server.json").read_text("utf-8"))["url"])
    except FileNotFoundError:
        return ""


def _said(log: Path, words: str) -> str:
    lines = log.read_text("utf-8", "replace").splitlines()
    return next((line.removeprefix(words) for line in lines if line.startswith(words)), "")


def _answers(url: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2):
            return url
    except OSError:
        return ""


def _tail(log: Path) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-12:])
