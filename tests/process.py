"""`sentinel serve` as a process of its own: started as people start it, or forked from one that has imported it all."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from tests.api.served import Client, wait_for
from tests.api.whole import PLAYBOOKS

ENTRY = [sys.executable, "-c", "import sys; from sentinel.cli import main; sys.exit(main())"]


class Process:
    """One `sentinel serve` on a port of its own."""

    def __init__(self, folder: Path, *flags: Any) -> None:
        self.data = folder / "data"
        playbooks = folder / "all.yaml"
        playbooks.write_text(PLAYBOOKS)
        self.errors = (folder / "errors").open("a+b")
        arguments = ["serve", "--data", self.data, *flags]
        for flag, usual in (("--port", 0), ("--playbooks", playbooks)):
            arguments += [] if flag in flags else [flag, usual]
        self.run = self.begin(list(map(str, arguments)), folder)
        line = self.run.stdout.readline()
        found = re.fullmatch(r"Sentinel listens at http://127\.0\.0\.1:(\d+)\n", line)
        assert found, line + self.said()
        self.client = Client(int(found[1]))
        wait_for(lambda: self.client.get("/readyz").status == 200)

    def begin(self, arguments: list[str], folder: Path) -> Any:
        """Start the command."""
        return subprocess.Popen(
            [*ENTRY, *arguments], stdout=subprocess.PIPE, stderr=self.errors, text=True, env=_environment(), cwd=folder
        )

    def said(self) -> str:
        """Return what it wrote to standard error."""
        self.errors.seek(0)
        return self.errors.read().decode()

    @property
    def local(self) -> Any:
        """What commands beside the server know of it."""
        return json.loads((self.data / "server.json").read_text())

    @property
    def first_key(self) -> str:
        """The key that the first start made."""
        found = re.search(r"SENTINEL_KEY=(\S+)", (self.data / "first-start.txt").read_text())
        assert found
        return found[1]

    def end(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal, and return its exit code."""
        if self.run.poll() is None:
            self.run.send_signal(number)
        code: int = self.run.wait(300)
        self.run.stdout.close()
        self.errors.close()
        return code


class Forked(Process):
    """One that is forked from a process that has imported everything already: that is more than half of a start.

    For whoever asserts what servers do, not how the program begins and ends.
    """

    def begin(self, arguments: list[str], folder: Path) -> Any:
        """Start the command."""
        return _Fork(arguments, folder, Path(self.errors.name))


def tried(folder: Path, *arguments: Any) -> tuple[int, str]:
    """Fork a command that ends by itself; return its exit code and what it wrote to standard error."""
    errors = folder / "errors"
    fork = _Fork(list(map(str, arguments)), folder, errors)
    code = fork.wait(300)
    fork.stdout.close()
    return code, errors.read_text()


class _Fork:
    """What is used of `subprocess.Popen`."""

    def __init__(self, arguments: list[str], folder: Path, errors: Path) -> None:
        reader, writer = _forks().Pipe(duplex=False)
        with reader, writer:
            command = (arguments, _environment(), folder, errors, writer)
            self._process = _forks().Process(target=_run, args=command, daemon=True)
            self._process.start()
            self.stdout = os.fdopen(os.dup(reader.fileno()))

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, seconds: float) -> int:
        self._process.join(seconds)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("sentinel", seconds)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("SENTINEL_")}


@cache
def _forks() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.preloaded", __name__])
    return context


def _run(arguments: list[str], environment: Mapping[str, str], folder: Path, errors: Path, output: Connection) -> None:
    """Be the command: with its own environment, folder and streams."""
    from sentinel.cli import main

    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    with errors.open("ab") as file, output:
        os.dup2(output.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout = os.fdopen(1, "w", closefd=False)  # the fork's own are of whatever the tests wrote to
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    sys.argv[:] = ["sentinel", *arguments]
    sys.exit(main())
