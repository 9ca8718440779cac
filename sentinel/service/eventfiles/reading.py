"""Read files of events: NDJSON or CSV, line by line, with an account of every line that is no event.

How bytes become lines is in `streams`, how a row becomes the JSON of an event in `tables`, and the order in which
events are taken in `order`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from sentinel.core import identity
from sentinel.core.errors import EventError, InputError
from sentinel.core.event import Event, read_typed
from sentinel.service.eventfiles.exported import event_of
from sentinel.service.eventfiles.streams import LONGEST, Chunk, Stream
from sentinel.service.eventfiles.tables import NO_UTF_8, Fault, Rows, Table, is_table

SHOWN = 10  # bad lines that are told one by one
FOREIGN = ("not JSON", "not UTF-8")
HINT = "a file of events has one JSON object a line, or is CSV with a header"
HOPELESS = 20  # bad lines at a file's start after which it is no file of events
REASONS = 50  # what senders write gets into reasons: past so many they are counted as one
_QUOTED = re.compile(r"`[^`]*`")

Format = Literal["auto", "ndjson", "csv"]
Raw = dict[str, Any]


_Name = Annotated[str, msgspec.Meta(max_length=identity.LONGEST)]
_Number = Annotated[int, msgspec.Meta(ge=-(10**18), le=10**18)]


class TypedRequest(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """An event's `request`, the kinds of its fields checked while it is decoded."""

    method: str | UnsetType | None = UNSET
    path: str | UnsetType | None = UNSET
    route: str | UnsetType | None = UNSET
    host: str | UnsetType | None = UNSET
    status: int | UnsetType | None = UNSET
    user_agent: str | UnsetType | None = UNSET
    accept_language: str | UnsetType | None = UNSET
    referer: str | UnsetType | None = UNSET
    params: dict[str, Any] | UnsetType | None = UNSET

    def plain(self) -> dict[str, Any]:
        """Return it as decoded JSON."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


class Typed(msgspec.Struct, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """An event's own fields, their kinds checked while they are decoded."""

    event: str
    id: str | int | None = None
    timestamp: str | int | float | None = None
    success: bool | None = None
    user: _Name | _Number | dict[str, _Name | _Number | None] | None = None
    ip: str | None = None
    device: str | None = None
    request: TypedRequest | None = None
    properties: dict[str, Any] | None = None


class Batch(NamedTuple):
    """Events as they stand in a file, each beside what was decoded."""

    raws: Sequence[Raw | Typed]
    events: list[Event]

    def lines(self) -> Iterator[bytes]:
        """Give each event as a line of JSON that is read as the same event."""
        encode = msgspec.json.encode
        for raw, event in zip(self.raws, self.events, strict=True):
            yield encode(raw if isinstance(raw, Typed) else raw | {"id": event.id})


@dataclass(slots=True)
class Account:
    """What reading came to: events, and the lines that are none, by reason; the first few in full.

    With `strict` the first bad line raises InputError.
    """

    strict: bool = False
    events: int = 0
    bad: Counter[str] = field(default_factory=Counter)
    shown: list[str] = field(default_factory=list)

    def refuse(self, place: str, fault: Fault) -> None:
        """Count a line that is no event."""
        text = f"{place}: {fault.text}"
        if self.strict:
            raise InputError(text)
        if len(self.shown) < SHOWN:
            self.shown.append(text)
        known = fault.reason in self.bad or len(self.bad) < REASONS
        self.bad[fault.reason if known else "other reasons"] += 1


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
        self._decode_typed = msgspec.json.Decoder(Typed).decode_lines
        self._good = self._bad = 0
        self._first: tuple[int, Fault] | None = None

    def batches(self) -> Iterator[Batch]:
        """Give the file's events in lots of a few hundred."""
        for batch in self._batches():
            self._account.events += len(batch.events)
            if batch.events:
                yield batch
        if self._bad and not self._good:
            raise self._hopeless("holds no events")

    def _batches(self) -> Iterator[Batch]:
        chunks = self._stream.lines(self._overlong)
        start = next(chunks, None)
        if start is None:
            return
        start = start._replace(text=start.text.removeprefix(b"\xef\xbb\xbf"))
        self._look(start.text)
        chunks = chain([start], chunks)
        if self._is_table(start.text):
            for numbers, raws in Table(self._stream.name, self._options.columns).rows(chunks):
                yield self._read(numbers, raws)
        elif self._options.columns:
            raise InputError(f"`{self._stream.name}` is not CSV: it has no columns to map")
        else:
            for chunk in chunks:
                yield self._read_typed(chunk) or self._read(*self._decoded(chunk))

    def _is_table(self, start: bytes) -> bool:
        if self._options.format != "auto":
            return self._options.format == "csv"
        mapped = bool(self._options.columns) and not start.lstrip().startswith(b"{")
        return mapped or is_table(start, self._stream.name)

    def _read_typed(self, chunk: Chunk) -> Batch | None:
        """Return the events of a chunk in which every line is an event with none but its own fields, else None."""
        order = self._options.identifiers
        try:
            raws = self._decode_typed(chunk.text)
            if len(raws) != chunk.size:
                return None
            batch = Batch(raws, [read_typed(raw, order) for raw in raws])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, EventError):
            return None
        self._good += len(raws)
        return batch

    def _decoded(self, chunk: Chunk) -> Rows:
        """Decode a chunk at once if every line is one JSON text, else line by line."""
        try:
            raws = self._decode_lines(chunk.text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raws = []
        if len(raws) == chunk.size:
            return range(chunk.first, chunk.first + len(raws)), raws
        lines = [(at, line) for at, line in enumerate(chunk.text.split(b"\n"), chunk.first) if line.strip()]
        return [at for at, _ in lines], [self._decode_one(line) for _, line in lines]

    def _decode_one(self, line: bytes) -> Any:
        """Return what a line holds, or what is wrong with it."""
        try:
            return self._decode(line)
        except UnicodeDecodeError:
            return NO_UTF_8
        except RecursionError:
            return Fault("not JSON", "not JSON: nested too deeply")
        except msgspec.DecodeError as error:
            return Fault("not JSON", "not JSON: " + str(error).removeprefix("JSON is malformed: "))

    def _read(self, numbers: Sequence[int], raws: list[Any]) -> Batch:
        """Return the events of rows; those that are none are counted."""
        if self._options.name is not None:
            raws = [_named(raw, self._options.name) for raw in raws]
        order = self._options.identifiers
        good, found = [], []

        def new_id() -> str:
            return derived_id(raw, number)

        for number, raw in zip(numbers, raws, strict=True):
            try:
                event = event_of(raw, order, new_id)
            except EventError as error:
                self._refuse(number, raw if isinstance(raw, Fault) else Fault(_reason(error), str(error)))
                continue
            self._good += 1
            good.append(raw)
            found.append(event)
        return Batch(good, found)

    def _refuse(self, number: int, fault: Fault) -> None:
        self._bad += 1
        self._first = self._first or (number, fault)
        self._account.refuse(f"{self._stream.name}:{number}", fault)
        if not self._good and self._bad >= HOPELESS and fault.reason in FOREIGN:
            raise self._hopeless(f"begins with {HOPELESS} lines that are no events")

    def _overlong(self, number: int) -> None:
        self._refuse(number, Fault(f"longer than {LONGEST:,} bytes"))

    def _hopeless(self, what: str) -> InputError:
        assert self._first is not None
        number, fault = self._first
        hint = HINT if fault.reason == "not JSON" else None
        return InputError(f"`{self._stream.name}` {what}; line {number}: {fault.text}", hint)

    def _look(self, start: bytes) -> None:
        """Refuse one JSON array."""
        if start.lstrip()[:1] == b"[":
            raise InputError(f"`{self._stream.name}` is one JSON array", "write one event a line: jq -c '.[]'")


def _named(raw: Any, name: str) -> Any:
    return raw | {"event": name} if type(raw) is dict and raw.get("event") is None else raw


def _reason(error: EventError) -> str:
    """Return what is wrong without the sender's words, so that alike is counted together."""
    field, separator, message = error.message.partition(": ")
    return f"{field}{separator}{_QUOTED.sub('`…`', message)}"


def derived_id(raw: Raw, number: int) -> str:
    """Return the id of an event that came without one: a UUID made of what its line says and the line's number."""
    content = msgspec.json.encode([number, raw])
    text = blake2b(content, digest_size=16).hexdigest()
    return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-8{text[17:20]}-{text[20:]}"
