"""`sentinel import`: past events from files to a server, in batches, with patience.

A repeated run counts nothing twice, because events keep their ids. One that was broken off goes on where it was: how
far each file was acknowledged is kept in the user's state folder until the file is done.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from sentinel.cli import show
from sentinel.cli.client import AppId, Client, Data, Refused, Secret, Unreachable, Url, connect
from sentinel.cli.options import As, AsFormat, Format, Input, Map, Name, Strict, columns_of
from sentinel.cli.progress import following
from sentinel.cli.terminal import complain, many
from sentinel.service.eventfiles.reading import Account, EventFile, Options
from sentinel.service.eventfiles.streams import STDIN, Stream, look

LOT = 2_000  # events a request
LARGEST = 4 << 20  # bytes a request, before it is packed
AGAIN = (429, 502, 503, 504)  # what is answered, by the server or a proxy before it, to what may be sent again
PATIENCE = 300.0  # seconds a server may stay away
FIELDS = ("event", "id", "timestamp", "success", "user", "ip", "device", "request", "properties")
_STATE = Path(".local/state/sentinel/imports")
_SHOWN = 10


@dataclass(slots=True)
class Sent:
    """What became of the events."""

    accepted: int = 0
    duplicates: int = 0
    skipped: int = 0
    rejected: int = 0
    shown: list[str] = field(default_factory=list)


def import_events(
    files: Annotated[
        list[str], typer.Argument(help="NDJSON or CSV, gzip or zstd; `-` is standard input.", metavar="FILE")
    ],
    input: As = Input.auto,
    map: Map = None,
    event: Name = None,
    enforce: Annotated[bool, typer.Option("--enforce", help="Let these events act on users and addresses.")] = False,
    strict: Strict = False,
    url: Url = None, key: Secret = None, app: AppId = None, data: Data = None, format: AsFormat = Format.text,
) -> int:  # fmt: skip
    """Send past events to a server; they act on nobody unless told to."""
    for name in files:
        look(name)
    client = connect(url, key, app, data)
    options = Options(input.value, columns_of(map or ()), event)
    account, sent = Account(strict=strict), Sent()
    for name in files:
        stream = Stream(name)
        try:
            _import(stream, Sender(client, enforce), Bookmark.of(name, client.url, app), account, options, sent)
        finally:
            stream.close()
    return _report(account, sent, format)


class Sender:
    """Sends batches and waits where the server asks to; `wait` is what passes the time."""

    def __init__(self, client: Client, enforce: bool, wait: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._path = "/v1/import?enforce=true" if enforce else "/v1/import"
        self._wait = wait

    def send(self, raws: list[Any]) -> Any:
        """Return the server's receipt; raises what it refuses for good, or where it stayed away for too long."""
        body = gzip.compress(msgspec.json.encode(raws), 1)
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        waited, pause = 0.0, 0.5
        while True:
            try:
                return self._client.send("POST", self._path, body, headers)
            except Unreachable:
                if waited >= PATIENCE:
                    raise
                seconds = pause = min(2 * pause, 15.0)
            except Refused as refused:
                if refused.status not in AGAIN or waited >= PATIENCE:
                    raise
                seconds = float(refused.retry_after or 1)
            self._wait(seconds)
            waited += seconds


class Bookmark:
    """How many events of one file a server has acknowledged; for files that can change or cannot be found, nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    @classmethod
    def of(cls, name: str, url: str, app: str | None) -> Bookmark:
        """Return the bookmark of a file as it is now; a file that was changed since has another."""
        if name == STDIN:
            return cls(None)
        file = Path(name).resolve()
        found = file.stat()
        what = json.dumps([url, app, str(file), found.st_size, found.st_mtime_ns])
        try:
            return cls(Path.home() / _STATE / sha256(what.encode()).hexdigest()[:24])
        except RuntimeError:  # a user without a home: a second run sends it all, and nothing counts twice
            return cls(None)

    def read(self) -> int:
        """Return how many events need not be sent."""
        try:
            return int(self._path.read_text()) if self._path else 0
        except (OSError, ValueError):
            return 0

    def write(self, events: int) -> None:
        """Note how far it is, where there is a place for that."""
        with contextlib.suppress(OSError):
            self._write(events)

    def _write(self, events: int) -> None:
        if self._path:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft = self._path.with_suffix(".new")
            draft.write_text(str(events))
            draft.replace(self._path)

    def forget(self) -> None:
        """Note that the file is done."""
        if self._path:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)


def _import(stream: Stream, sender: Sender, bookmark: Bookmark, account: Account, options: Options, sent: Sent) -> None:
    done, skip = 0, bookmark.read()
    with following([stream]) as moved:
        for raws in _lots(stream, account, options):
            done += len(raws)
            if done <= skip:
                sent.skipped += len(raws)
                continue
            _count(sender.send(raws), stream.name, sent)
            bookmark.write(done)
            moved()
    bookmark.forget()


def _lots(stream: Stream, account: Account, options: Options) -> Iterator[list[Any]]:
    """Give the events of a file as the server takes them, as many at a time as a request may hold."""
    lot: list[Any] = []
    size = 0
    for batch in EventFile(stream, account, options).batches():
        for raw, event in zip(batch.raws, batch.events, strict=True):
            plain = raw if isinstance(raw, dict) else msgspec.to_builtins(raw)
            sent = {name: plain[name] for name in FIELDS if name in plain} | {"id": event.id}
            weight = len(msgspec.json.encode(sent))
            if lot and (len(lot) >= LOT or size + weight > LARGEST):
                yield lot
                lot, size = [], 0
            lot.append(sent)
            size += weight
    if lot:
        yield lot


def _count(receipt: Any, name: str, sent: Sent) -> None:
    sent.accepted += receipt["accepted"]
    sent.duplicates += receipt["duplicates"]
    sent.rejected += len(receipt["rejected"])
    for rejected in receipt["rejected"][: _SHOWN - len(sent.shown)]:
        sent.shown.append(f"{name}: event {rejected['id']}: {rejected['error']}")


def _report(account: Account, sent: Sent, format: Format) -> int:
    for line in [*account.shown, *sent.shown]:
        complain(line)
    known, refused = sent.duplicates + sent.skipped, account.bad.total() + sent.rejected
    text = f"{many(sent.accepted, 'event')} imported, {known:,} known already, {refused:,} refused"
    show.one({"imported": sent.accepted, "known": known, "refused": refused}, format, text)
    return 1 if refused else 0
