"""`sentinel demo`: its options, signals and exit code. The demo itself is in the room `demo`."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from sentinel.cli.client import connect
from sentinel.demo.story import Story
from sentinel.demo.teller import Teller

_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130


def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the story.")] = False,
    playbooks: Annotated[
        Path | None,
        typer.Option("--playbooks", help="Playbooks instead of the shipped ones.", metavar="FOLDER", exists=True),
    ] = None,
) -> int:
    """Attack a small shop that Sentinel protects, and watch it being stopped.

    It starts its own server and shop, on free ports, in a folder that is removed at the end. The exit code is 0 if
    every attack was stopped and no customer refused, else 1.
    """
    story = Story(Teller(), lambda data: connect(None, None, None, data), playbooks)
    told = False
    try:
        with _ended_by_signals(), story.told():
            told = True
            if not once:
                story.visit()
                while True:
                    time.sleep(1)
    except KeyboardInterrupt:
        if not told:
            return INTERRUPTED
    return 1 if story.problems else 0


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let the first signal that asks for an end raise KeyboardInterrupt, and no other disturb the tidying up."""

    def end(*_: object) -> NoReturn:
        for number in _ENDS:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    kept = {number: signal.signal(number, end) for number in _ENDS}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
