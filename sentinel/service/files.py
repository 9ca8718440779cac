"""Event files as events: NDJSON or CSV, line by line, with an account of every line that is none.

How bytes become lines is in `streams`, how a row becomes an event's JSON in `tables`. In which order events are
taken is `order`'s.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain
from typing import Any, Literal, NamedTuple

import msgspec

from sentinel.core import identity
from sentinel.core.errors import EventError, InputError
from sentinel.core.event import Event, read
from sentinel.service.streams import LONGEST, Stream
from sentinel.service.tables import Rows, Table, is_table

SHOWN = 10  # bad lines that are told one by one
HOPELESS = 20  # bad lines at a file's start after which it is no file of events
_REASONS = 50  # what senders write gets into reasons: past so many they are counted as one
_QUOTED = re.compile(r"`[^`]*`")

Format = Literal["auto", "ndjson", "csv"]
Raw = dict[str, Any]


class Batch(NamedTuple):
    """Events as they stand in a file, each beside its decoded JSON."""

    raws: list[Raw]
    events: list[Event]


@dataclass(slots=True)
class Account:
    """What reading came to: events, and the lines that are none, by reason; the first few in full.

    With `strict` the first bad line raises InputError.
    """

    strict: bool = False
    events: int = 0
    bad: Counter[str] = field(default_factory=Counter)
    shown: list[str] = field(default_factory=list)

    def refuse(self, place: str, reason: str, detail: object = "") -> None:
        """Count a line that is no event; `detail` says the reason in the sender's words."""
        text = f"{place}: {detail or reason}"
        if self.strict:
            raise InputError(text)
        if len(self.shown) < SHOWN:
            self.shown.append(text)
        self.bad[reason if reason in self.bad or len(self.bad) < _REASONS else "other reasons"] += 1


@dataclass(frozen=True, slots=True)
class Options:
    """How files are read: their format, the fields of CSV columns by name (empty: left out), the default event name,
    and which identifiers name a user.
    """

    format: Format = "auto"
    columns: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None
    identifiers: tuple[str, ...] = identity.DEFAULT_ORDER


DEFAULTS = Options()


def events(streams: Sequence[Stream], account: Account, options: Options = DEFAULTS) -> Iterator[Batch]:
    """Give the events of files, one file after the other; raises InputError for a file that holds none at all."""
    for stream in streams:
        yield from EventFile(stream, account, options).batches()


class EventFile:
    """One file being read."""

    def __init__(self, stream: Stream, account: Account, options: Options = DEFAULTS) -> None:
        self._stream = stream
        self._account = account
        self._options = options
        self._decode = msgspec.json.Decoder().decode
        self._decode_lines = msgspec.json.Decoder().decode_lines
        self._good = self._bad = 0
        self._first = ""

    def batches(self) -> Iterator[Batch]:
        """Give the file's events in lots of a few hundred."""
        for numbers, raws in self._rows():
            batch = self._read(numbers, raws)
            self._good += len(batch.events)
            self._account.events += len(batch.events)
            if batch.events:
                yield batch
        if self._bad and not self._good:
            raise self._hopeless()

    def _rows(self) -> Iterator[Rows]:
        """Give decoded rows with their lines' numbers."""
        chunks = self._stream.lines(self._overlong)
        _, start = next(chunks, (1, b""))
        start = start.removeprefix(b"\xef\xbb\xbf")
        self._look(start)
        chunks = chain([(1, start)] if start else [], chunks)
        format = self._options.format
        if format == "csv" or (format == "auto" and is_table(start, self._stream.name)):
            yield from Table(self._stream.name, self._options.columns, self._refuse).rows(chunks)
        elif self._options.columns:
            raise InputError(f"`{self._stream.name}` is not CSV: it has no columns to map")
        else:
            yield from (self._decoded(number, chunk) for number, chunk in chunks)

    def _decoded(self, number: int, chunk: bytes) -> Rows:
        """Decode a chunk at once if every line is one JSON text, else line by line."""
        size = chunk.count(b"\n") + (not chunk.endswith(b"\n"))
        try:
            raws = self._decode_lines(chunk)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raws = []
        if len(raws) == size:
            return range(number, number + size), raws
        numbers, raws = [], []
        for at, line in enumerate(chunk.split(b"\n"), number):
            if line and not line.isspace():
                try:
                    raws.append(self._decode(line))
                    numbers.append(at)
                except UnicodeDecodeError:
                    self._refuse(at, "not UTF-8")
                except RecursionError:
                    self._refuse(at, "not JSON", "not JSON: nested too deeply")
                except msgspec.DecodeError as error:
                    self._refuse(at, "not JSON", str(error).replace("JSON is malformed", "not JSON"))
        return numbers, raws

    def _read(self, numbers: Sequence[int], raws: list[Any]) -> Batch:
        """Return the events of rows; those that are none are counted."""
        if self._options.name is not None:
            raws = [_named(raw, self._options.name) for raw in raws]
        order = self._options.identifiers
        try:
            return Batch(raws, [read(raw, enriched=True, reserved=True, order=order) for raw in raws])
        except EventError:
            return self._read_each(numbers, raws)

    def _read_each(self, numbers: Sequence[int], raws: list[Any]) -> Batch:
        order = self._options.identifiers
        batch = Batch([], [])

        def new_id() -> str:
            return derived_id(raw, number)

        for number, raw in zip(numbers, raws, strict=True):
            try:
                event = read(raw, new_id=new_id, enriched=True, reserved=True, order=order)
            except EventError as error:
                self._refuse(number, _reason(error), error)
                continue
            batch.raws.append(raw)
            batch.events.append(event)
        return batch

    def _refuse(self, number: int, reason: str, detail: object = "") -> None:
        self._bad += 1
        self._first = self._first or f"line {number}: {detail or reason}"
        self._account.refuse(f"{self._stream.name}:{number}", reason, detail)
        if not self._good and self._bad >= HOPELESS and reason in ("not JSON", "not UTF-8"):
            raise self._hopeless()

    def _overlong(self, number: int) -> None:
        self._refuse(number, f"longer than {LONGEST:,} bytes")

    def _hopeless(self) -> InputError:
        hint = "a file of events has one JSON object a line, or is CSV with a header"
        return InputError(f"`{self._stream.name}` holds no events; {self._first}", hint)

    def _look(self, start: bytes) -> None:
        """Refuse what is no text, or one JSON array."""
        if b"\0" in start:
            raise InputError(f"`{self._stream.name}` is binary", "a file of events is text: NDJSON or CSV")
        if start.lstrip()[:1] == b"[":
            raise InputError(f"`{self._stream.name}` is one JSON array", "write one event a line: jq -c '.[]'")


def _named(raw: Any, name: str) -> Any:
    return {"event": name} | raw if type(raw) is dict else raw


def _reason(error: EventError) -> str:
    """Return what is wrong without the sender's words, so that alike is counted together."""
    field, separator, message = error.message.partition(": ")
    return f"{field}{separator}{_QUOTED.sub('`…`', message)}"


def derived_id(raw: Raw, number: int) -> str:
    """Return the id of an event that came without one: a UUID made of what its line says and the line's number."""
    content = msgspec.json.encode([number, raw])
    text = blake2b(content, digest_size=16).hexdigest()
    return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-8{text[17:20]}-{text[20:]}"
