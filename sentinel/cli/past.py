"""The past events that commands judge playbooks on: files, or what a server has stored, running or not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from sentinel import settings
from sentinel.cli.client import Unreachable, connect
from sentinel.core import moment
from sentinel.core.duration import parse_duration
from sentinel.core.errors import InputError, SentinelError
from sentinel.core.event import Event
from sentinel.service.past import of_view
from sentinel.service.ports import Store

LOT = 500
APP = "default"
Files = Annotated[
    list[str] | None,
    typer.Option(
        "--events", help="A file of events, NDJSON or CSV, also packed by gzip or zstd; `-` for stdin.", metavar="FILE"
    ),
]
Since = Annotated[
    str | None, typer.Option("--since", help="What a server stored in the last such time.", metavar="30d")
]


class Stored:
    """What a server has stored of the time before now; may be read several times, and is the same each time.

    A running server is asked. Where none runs beside the data folder, its store is opened, and held meanwhile.
    """

    def __init__(self, since: str, url: str | None, key: str | None, app: str | None, data: Path | None) -> None:
        self._until = time.time_ns() // 1000
        self._since = self._until - parse_duration(since)
        self._server = url, key
        self._app = app
        self._data = data or settings.read().data

    def batches(self) -> Iterator[list[Event]]:
        """Give the events in the order of time."""
        events = self._events()
        while lot := list(islice(events, LOT)):
            yield lot

    def _events(self) -> Iterator[Event]:
        try:
            client = connect(*self._server, self._app, self._data)
        except Unreachable:
            if any(self._server):
                raise
            return self._opened()
        span = {"from": moment.to_text(self._since), "to": moment.to_text(self._until)}
        return map(of_view, client.lines("/v1/events/export", span))

    def _opened(self) -> Iterator[Event]:
        from sentinel.store.backup import CONTROL
        from sentinel.store.embedded import open_store

        if not (self._data / CONTROL).is_file():
            raise InputError(f"`{self._data}` holds no store", "name a data folder with `--data`, or give `--events`")
        store: Store = open_store(self._data)
        try:
            app = self._app or APP
            if store.access.app(app) is None:
                raise SentinelError(f"there is no app `{app}`")
            for event in store.events.in_order(app, self._since):
                if event.at >= self._until:
                    return
                event.historical = False
                yield event
        finally:
            store.close()


def one_source(events: list[str] | None, since: str | None) -> None:
    """Raise unless exactly one of both is given."""
    if bool(events) == bool(since):
        raise InputError("past events are needed, from one place", "give `--events FILE` or `--since 30d`")
