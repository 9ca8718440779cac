"""Where commands take past events from: files, or a server's store, whether the server runs or not."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from sentinel import settings
from sentinel.cli.client import Client, Unreachable, connect
from sentinel.cli.options import duration_of
from sentinel.core import moment
from sentinel.core.errors import InputError, SentinelError
from sentinel.core.event import Event
from sentinel.core.record import Filter
from sentinel.engine.emit import emits
from sentinel.service.eventfiles.exported import event_of
from sentinel.service.ports import Store
from sentinel.service.search import LONGEST
from sentinel.service.trials.past import Run
from sentinel.service.trials.swift import Swift, concerned

LOT = 500
NAMES = 1000  # of events, as many as are told at once
AT_ONCE = 2_000_000  # events of which those that matter may be found all at once, not name by name
_PLAIN = re.compile(r"[A-Za-z0-9_.:/ -]{1,256}")
APP = "default"
Files = Annotated[
    list[str] | None,
    typer.Option(
        "--events",
        help="A file of events: NDJSON or CSV, plain or packed by gzip or zstd; `-` is standard input.",
        metavar="FILE",
    ),
]
Since = Annotated[
    str | None,
    typer.Option("--since", help="Use what a server stored in that time, up to now.", metavar="30d"),
]


class Told(NamedTuple):
    """What is stored of a time: how many events, under which names, and when the first and the last were."""

    events: int
    names: frozenset[str]
    oldest: int
    newest: int


class Stored:
    """What a server has stored of the time before now; may be read several times, and is the same each time.

    A running server is asked. Where none runs beside the data folder, its store is opened, and held meanwhile.
    """

    def __init__(self, since: str, url: str | None, key: str | None, app: str | None, data: Path | None) -> None:
        self._until = time.time_ns() // 1000
        self._since = self._until - duration_of("--since", since)
        self._server = url, key
        self._app = app
        self._data = data or settings.read().data

    def batches(self) -> Iterator[list[Event]]:
        """Give the events in the order of time."""
        client = self._client()
        if client is not None:
            yield from _lots(self._exported(client))
            return
        with self._opened() as (store, app):
            yield from _lots(self._in_order(store, app))

    def judge(self, run: Run) -> None:
        """Let a run judge them. Only what can matter is read; what it comes to is what all of them come to."""
        playbooks = run.playbooks
        if any(map(emits, playbooks)):  # what playbooks made is stored, and made anew
            run.run_stored(self.batches())
        elif (client := self._client()) is not None:
            self._judge_exported(run, client)
        else:
            with self._opened() as (store, app):
                self._judge_opened(run, store, app)

    def _judge_exported(self, run: Run, client: Client) -> None:
        told = self._told_by(client)
        names = frozenset[str]() if told is None else concerned(run.playbooks, told.names)
        query = _query(names)
        if told is None or query is None:
            run.run_stored(_lots(self._exported(client)))
            return
        run.run_stored(_lots(self._exported(client, query)) if names else ())
        run.among(told.events, told.oldest, told.newest)

    def _judge_opened(self, run: Run, store: Store, app: str) -> None:
        playbooks = run.playbooks
        told = self._told(store, app)
        if told is None:
            run.run_stored(_lots(self._in_order(store, app)))
            return
        if told.events > AT_ONCE:
            run.run_stored(_lots(self._in_order(store, app, concerned(playbooks, told.names))))
        else:
            run.run_stored(Swift(store.events, app, self._since, self._until).whole(playbooks))
        run.among(told.events, told.oldest, told.newest)

    def _client(self) -> Client | None:
        try:
            return connect(*self._server, self._app, self._data)
        except Unreachable:
            if any(self._server):
                raise
            return None

    def _span(self) -> dict[str, str]:
        return {"from": moment.to_text(self._since), "to": moment.to_text(self._until)}

    def _exported(self, client: Client, query: str | None = None) -> Iterator[Event]:
        asked = self._span() | ({} if query is None else {"q": query})
        return map(event_of, client.lines("/v1/events/export", asked))

    def _told_by(self, client: Client) -> Told | None:
        """Return what a server says of the time, None where it does not know all of it yet."""
        found = client.ask("GET", "/v1/events/names", query=self._span() | {"limit": NAMES, "by": "events"})
        if found["behind"] or len(found["items"]) == NAMES or not found["items"]:
            return None
        times = [(moment.parse(one["first"]), moment.parse(one["last"])) for one in found["items"]]
        names = frozenset(one["event"] for one in found["items"])
        return Told(found["total"]["events"], names, min(first for first, _ in times), max(last for _, last in times))

    def _told(self, store: Store, app: str) -> Told | None:
        asked = Filter(since=self._since, until=self._until)
        try:
            found = store.explorer.names(app, asked, by="events", limit=NAMES)
        except SentinelError:  # it takes too long
            return None
        if found.behind or len(found.items) == NAMES or not found.items:
            return None
        names = frozenset(one.name for one in found.items)
        oldest, newest = min(one.first for one in found.items), max(one.last for one in found.items)
        return Told(found.total.events, names, oldest, newest)

    @contextmanager
    def _opened(self) -> Iterator[tuple[Store, str]]:
        from sentinel.store.embedded.backup import CONTROL
        from sentinel.store.embedded.store import open_store

        if not (self._data / CONTROL).is_file():
            raise InputError(f"`{self._data}` holds no store", "name a data folder with `--data`, or give `--events`")
        store: Store = open_store(self._data)
        try:
            app = self._app or APP
            if store.access.app(app) is None:
                raise SentinelError(f"there is no app `{app}`")
            yield store, app
        finally:
            store.close()

    def _in_order(self, store: Store, app: str, names: Collection[str] | None = None) -> Iterator[Event]:
        for event in store.events.in_order(app, self._since, names):
            if event.at >= self._until:
                return
            event.historical = False
            yield event


def _lots(events: Iterator[Event]) -> Iterator[list[Event]]:
    while lot := list(islice(events, LOT)):
        yield lot


def _query(names: Collection[str]) -> str | None:
    """Return a condition for events of some names, None where it cannot be asked."""
    if not all(map(_PLAIN.fullmatch, names)):
        return None
    query = f"event in [{', '.join(json.dumps(name) for name in sorted(names))}]"
    return query if len(query) <= LONGEST else None


def one_source(events: list[str] | None, since: str | None) -> None:
    """Raise unless exactly one of both is given."""
    if events and since:
        raise InputError("`--events` and `--since` are two sources of past events", "leave one of them out")
    if not events and not since:
        raise InputError("past events are needed", "give `--events FILE`, or `--since 30d` for what a server stored")
