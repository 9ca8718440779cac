"""`sentinel import`: send past events from files to a server, in batches, and try again where it fails.

Running it again counts nothing twice, because events keep their ids. An interrupted run goes on where it stopped: how
far each file was acknowledged is kept in the user's state folder until the file is done. What a server exported is
sent as its senders had sent it.
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
from sentinel.engine.emit import TRUST as MADE
from sentinel.service.eventfiles.exported import as_sent, is_shown
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
    made: int = 0  # by playbooks, and left out
    shown: list[str] = field(default_factory=list)


def import_events(
    files: Annotated[
        list[str], typer.Argument(help="NDJSON or CSV, also packed by gzip or zstd; `-` for stdin.", metavar="FILE")
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
    sender = Sender(lambda: connect(url, key, app, data), enforce)
    options = Options(input.value, columns_of(map or ()), event)
    accounts, sent = [], Sent()
    for name in files:
        stream = Stream(name)
        bookmark = Bookmark.of(name, sender.url, key, app, enforce, options)
        try:
            accounts.append(_import(stream, sender, bookmark, strict, options, sent))
        finally:
            stream.close()
    return _report(accounts, sent, format)


class Sender:
    """Sends batches and waits where the server asks to; `wait` is what passes the time.

    `meant` finds the server anew: the one beside a data folder takes another key of whoever may read that, each time it
    starts.
    """

    def __init__(
        self, meant: Callable[[], Client], enforce: bool, wait: Callable[[float], None] = time.sleep
    ) -> None:  # fmt: skip
        self._meant = meant
        self._client = meant()
        self._path = "/v1/import?enforce=true" if enforce else "/v1/import"
        self._wait = wait

    @property
    def url(self) -> str:
        """Where the server is."""
        return self._client.url

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
                if refused.status == 401 and self._started_anew():
                    continue
                if refused.status not in AGAIN or waited >= PATIENCE:
                    raise
                seconds = float(refused.retry_after or 1)
            self._wait(seconds)
            waited += seconds

    def _started_anew(self) -> bool:
        before, self._client = self._client.key, self._meant()
        return self._client.key != before


class Bookmark:
    """How many events of one file a server has acknowledged; for files that can change or cannot be found, nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    @classmethod
    def of(cls, name: str, *end: object) -> Bookmark:
        """Return the bookmark of a file as it is now, sent to such an `end`: what server, whose key, read how.

        Of a file that was changed since, or is sent to another end, it is another.
        """
        if name == STDIN:
            return cls(None)
        file = Path(name).resolve()
        found = file.stat()
        what = json.dumps([*map(str, end), str(file), found.st_size, found.st_mtime_ns])
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


def _import(
    stream: Stream, sender: Sender, bookmark: Bookmark, strict: bool, options: Options, sent: Sent
) -> Account:  # fmt: skip
    """Send the events of a file and return what reading it came to; one that was broken off goes on where it was."""
    skip, made = bookmark.read(), sent.made
    with following([stream]) as moved:
        while True:
            account, sent.made = Account(strict=strict), made
            if _send(_lots(stream, account, options, sent), skip, sender, bookmark, stream.name, sent, moved):
                bookmark.forget()
                return account
            skip = 0


def _send(
    lots: Iterator[list[Any]], skip: int, sender: Sender, bookmark: Bookmark, name: str, sent: Sent,
    moved: Callable[[], None],
) -> bool:  # fmt: skip
    """Send all but the first `skip` events; say whether the server still has these.

    The last lot of them is sent again: a server that was begun anew, or restored, since then takes it for new.
    """
    done = 0
    for raws in lots:
        before, done = done, done + len(raws)
        if done < skip:
            continue
        receipts = list(_receipts(sender, raws))
        if before < skip:
            if (taken := sum(receipt["accepted"] for receipt in receipts)) > done - skip:
                sent.accepted += taken
                sent.duplicates -= taken  # as which they come back, sent with all the others
                return False
            sent.skipped += before
        for receipt in receipts:
            _count(receipt, name, sent)
        bookmark.write(done)
        moved()
    return True


def _receipts(sender: Sender, raws: list[Any]) -> Iterator[Any]:
    """Give the server's receipts for some events: where they are too much for one request, for their halves."""
    try:
        yield sender.send(raws)
    except Refused as refused:
        if refused.status != 413:
            raise
        if len(raws) == 1:
            yield {"accepted": 0, "duplicates": 0, "rejected": [{"id": raws[0]["id"], "error": str(refused)}]}
            return
        for half in (raws[: len(raws) // 2], raws[len(raws) // 2 :]):
            yield from _receipts(sender, half)


def _lots(stream: Stream, account: Account, options: Options, sent: Sent) -> Iterator[list[Any]]:
    """Give the events of a file as the server takes them, as many at a time as a request may hold."""
    lot: list[Any] = []
    size = 0
    for batch in EventFile(stream, account, options).batches():
        for raw, event in zip(batch.raws, batch.events, strict=True):
            if event.trust == MADE:  # the server's own playbooks make it again
                sent.made += 1
                continue
            plain = _sendable(raw) | {"id": event.id}
            weight = len(msgspec.json.encode(plain))
            if lot and (len(lot) >= LOT or size + weight > LARGEST):
                yield lot
                lot, size = [], 0
            lot.append(plain)
            size += weight
    if lot:
        yield lot


def _sendable(raw: Any) -> dict[str, Any]:
    """Return an event of a file as a sender would send it, without what a server found of it."""
    plain = raw if isinstance(raw, dict) else msgspec.to_builtins(raw)
    plain = as_sent(plain) if is_shown(plain) else plain
    told = {"trust": "browser"} if plain.get("trust") == "browser" else {}
    return {name: plain[name] for name in FIELDS if name in plain} | told


def _count(receipt: Any, name: str, sent: Sent) -> None:
    sent.accepted += receipt["accepted"]
    sent.duplicates += receipt["duplicates"]
    sent.rejected += len(receipt["rejected"])
    for rejected in receipt["rejected"][: _SHOWN - len(sent.shown)]:
        sent.shown.append(f"{name}: event {rejected['id']}: {rejected['error']}")


def _report(accounts: list[Account], sent: Sent, format: Format) -> int:
    for line in [*(line for account in accounts for line in account.shown), *sent.shown]:
        complain(line)
    bad = sum(account.bad.total() for account in accounts)
    known, refused = sent.duplicates + sent.skipped, bad + sent.rejected
    text = f"{many(sent.accepted, 'event')} imported, {known:,} known already, {refused:,} refused"
    text += f", {sent.made:,} that playbooks made left out" if sent.made else ""
    show.one({"imported": sent.accepted, "known": known, "refused": refused, "left_out": sent.made}, format, text)
    return 1 if refused else 0
