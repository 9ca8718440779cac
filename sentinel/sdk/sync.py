"""Keep the decision list up to date, in one daemon thread: a stream of deltas, or polling where no stream gets through.

It never gives up: whatever fails is tried again, and meanwhile the last list stays in force.
"""

from __future__ import annotations

import codecs
import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping

from sentinel.core import moment
from sentinel.core.decision import Delta
from sentinel.core.decisions import ROOM, Decisions
from sentinel.core.errors import SentinelError, fault
from sentinel.sdk import snapshot
from sentinel.sdk.clock import Backoff, Clock, Notes, nap, retry_after
from sentinel.sdk.connection import FAILURES, REFUSED, Answer, Connection
from sentinel.sdk.deltas import DeltaReader, EventStream
from sentinel.sdk.options import Options

_TRY_STREAM_AGAIN = 600.0  # seconds
_UPKEEP = 60.0
_SAVE = 30.0
_LONGEST_SAVE = 60.0
_MOMENT = 1.0  # seconds that a file must be younger than the list in force to be read
_LONGEST_POLL = 600.0
_BIT = 8192  # bytes of a list: about a millisecond
_PIECES = 8  # as many take about as long, however small they are
_LATER = (429, 500, 502, 503, 504)  # the stream is tried again soon; any other answer says that there is none
_MUTE = 2  # streams in a row without a byte: something between us holds them back


class Held:
    """The list in force: replaced as a whole by the follower, read by every request."""

    def __init__(self, decisions: Decisions) -> None:
        self.decisions = decisions
        self.ready = threading.Event()
        self.confirmed: float | None = None

    def confirm(self, at: float) -> None:
        """Note that the list was the server's at a moment of the monotonic clock."""
        self.confirmed = at

    def age(self, now: float) -> float | None:
        """Return how many seconds ago the list was last known to be the server's, None where there never was one."""
        return None if self.confirmed is None else round(max(now - self.confirmed, 0.0), 3)

    def renew(self) -> None:
        """Make the event anew in a child, where a thread of the parent may have held its lock."""
        ready, self.ready = self.ready, threading.Event()
        if ready.is_set():
            self.ready.set()


class Follower:
    """Follows the feed until it is stopped."""

    def __init__(
        self,
        options: Options,
        held: Held,
        clock: Clock,
        notes: Notes,
        about: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._options = options
        self._source = snapshot.source(options.url, options.key)
        self._held = held
        self._clock = clock
        self._notes = notes
        self._connection = Connection(options, about)
        self._backoff = Backoff(options.retry_base, options.retry_limit)
        self._stream_backoff = Backoff(options.retry_base, min(options.retry_limit, options.poll_interval))
        self._stopping = threading.Event()
        self._poll_until = 0.0
        self._mute = 0
        self._whole = False
        self._next_upkeep = 0.0
        self._next_save = 0.0
        self._unsaved = False
        self._save_until = math.inf
        self._saving = threading.Lock()
        self._old: list[object] = []
        self.connected = False

    def run(self) -> None:
        """Follow until `stop`."""
        self.load_snapshot()
        while not self._stopping.is_set():
            try:
                wait = self._round()
            except (*FAILURES, SentinelError) as error:
                if self._stopping.is_set():
                    break
                self._notes.count("feed failures")
                self._notes.warn("feed", f"{self._state()}: {type(error).__name__} ({self._options.url})")
                wait = self._backoff.next()
            except Exception as error:  # noqa: BLE001  whatever it was, it must not end enforcement
                self._notes.warn("follower", f"{self._state()}: {fault(error)}")
                wait = self._backoff.next()
            if self.connected:  # until the server is back, a restart has nothing but what is on disk
                self._next_save = 0.0
            self.connected = False
            self._connection.close()
            self._tidy()
            self._stopping.wait(wait)
        self._connection.close()
        self.save()

    def load_snapshot(self) -> None:
        """Put the list on disk in force, if there is one and it is newer than the one in force."""
        path, held = self._options.snapshot, self._held
        if path is None or not snapshot.size(path) or self._is_as_new_as(path):
            return
        try:
            found = snapshot.read(path, self._source)
        except Exception as error:  # noqa: BLE001  no file is worth an application's start
            self._notes.warn("snapshot", f"the snapshot is left aside: {error}")
            return
        if not held.ready.is_set() or found.revision > held.decisions.revision:
            held.decisions = found
            held.confirm(time.monotonic() - max(time.time() - snapshot.written(path), 0.0))
            held.ready.set()

    def _is_as_new_as(self, path: str) -> bool:
        age = self._held.age(time.monotonic())
        return age is not None and age < time.time() - snapshot.written(path) + _MOMENT

    def begin_with(self, held: Held) -> None:
        """Take over the list of another client until the first of one's own, which is asked for as a whole."""
        if held.ready.is_set():
            self._held.decisions, self._held.confirmed, self._whole = held.decisions, held.confirmed, True
            self._held.ready.set()

    def save(self, until: float = math.inf) -> bool:
        """Write the list to disk if it has changed; say whether the disk has it now.

        At `until`, a moment of the monotonic clock, it gives up.
        """
        if self._options.snapshot is None or not self._held.ready.is_set():
            return True
        if not self._saving.acquire(timeout=min(max(until - time.monotonic(), 0.0), _LONGEST_SAVE)):
            return False
        try:
            if self._unsaved and time.monotonic() < until:
                self._write(self._options.snapshot, min(until, self._save_until))
            return not self._unsaved
        finally:
            self._saving.release()

    def stop(self, until: float = math.inf) -> None:
        """End at once; the snapshot is written before `until`, a moment of the monotonic clock, or not at all."""
        self._save_until = until
        self._stopping.set()
        self._connection.end()

    def drop(self) -> None:
        """Forget the connection: it is the parent's."""
        self._connection.drop()

    def _round(self) -> float:
        """Ask for what changed, then follow the stream while it lasts; return how many seconds to wait then."""
        refused = self._poll()
        if refused is not None:
            return refused
        if time.monotonic() < self._poll_until:
            return self._options.poll_interval
        return self._follow()

    def _poll(self) -> float | None:
        """Ask for what changed and put it in force; where there is no answer to use, return the seconds to wait."""
        base = self._held.decisions
        whole = self._whole or base.revision == 0
        sent = time.time_ns() // 1000
        path = f"/v1/feed?since={0 if whole else base.revision}"
        answer = self._connection.stream(path, {}, self._options.timeout, _LONGEST_POLL)
        received = time.time_ns() // 1000
        if answer.status != 200:
            return self._not_now(answer)
        reader = DeltaReader(base, whole)
        for text in _texts(_gently(answer.pieces)):
            reader.feed(text)
        made = reader.finish()
        # First, as whoever waits for the list is judged by it at once.
        self._learn(reader.fields.get("now"), answer.headers.get("date"), sent, received)
        self._use(reader, made)
        return None

    def _learn(self, told: object, date: str | None, sent: int, received: int) -> None:
        try:
            server = moment.parse(told if isinstance(told, str) else "")
        except SentinelError:  # it is no time; a list is not worth less for that
            self._clock.learn_date(date, received)
        else:
            self._clock.learn(server, sent, received)

    def _follow(self) -> float:
        """Follow the stream while it lasts; return how many seconds to wait then. The list was polled just before."""
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(self._held.decisions.revision)}
        try:
            answer = self._connection.stream("/v1/feed/stream", headers, self._options.silence)
        except TimeoutError:
            return self._not_heard()
        kind = answer.headers.get("content-type", "").partition(";")[0].strip()
        if answer.status == 200 and kind == "text/event-stream":
            return self._listen(answer.pieces)
        if answer.status not in _LATER:
            return self._poll_for_a_while()
        self._notes.count("feed failures")
        wait = retry_after(answer.headers.get("retry-after"), self._stream_backoff.next())
        self._poll_until = time.monotonic() + wait
        return min(wait, self._options.poll_interval)

    def _listen(self, pieces: Iterator[bytes]) -> float:
        """Read a stream to its end, however it ends; return how many seconds to wait then."""
        began = time.monotonic()
        try:
            heard = self._read_stream(pieces)
        except (*FAILURES, SentinelError) as error:
            heard = True
            if not self._stopping.is_set():
                self._notes.count("feed failures")
                self._notes.warn(
                    "stream", f"the stream of decisions broke off: {type(error).__name__}; it is tried again"
                )
        if not heard:
            return self._not_heard()
        if time.monotonic() - began > self._options.retry_limit:
            self._stream_backoff.reset()
            self._notes.forget("stream")
        return self._stream_backoff.next()

    def _not_heard(self) -> float:
        self._mute += 1
        return self._poll_for_a_while() if self._mute >= _MUTE else self._stream_backoff.next()

    def _read_stream(self, pieces: Iterator[bytes]) -> bool:
        """Read until the stream ends or falls silent; say whether anything came."""
        reading = _Reading(lambda: self._held.decisions, self._take)
        stream = EventStream(reading.data, reading.dispatch)
        anything = False
        with contextlib.suppress(TimeoutError):
            for piece in _gently(pieces):
                if not anything:
                    anything, self._mute, self.connected = True, 0, True
                self._seen()
                stream.feed(piece)
                self._tidy()
                if self._whole or self._stopping.is_set() or self._clock.was_set():
                    break  # what follows is a poll, which tells the time too
        return anything

    def _take(self, reader: DeltaReader) -> None:
        self._use(reader, reader.finish())
        nap()  # the shortest delta takes as long as many of its bytes

    def _use(self, reader: DeltaReader, made: Decisions) -> None:
        """Put the list a reader made in force; where the server's is older than ours, ask for all of it."""
        base = self._held.decisions
        self._whole = made.revision < base.revision and not reader.reset
        if self._whole:
            return
        if reader.rejected:
            self._notes.count("malformed decisions", reader.rejected)
            self._notes.warn("malformed", "the server sent decisions that cannot be read; the others hold")
        if (left := made.refused - (0 if reader.reset else base.refused)) > 0:
            self._notes.count("decisions past the bound", left)
            most = f"{made.limit:,} decisions, or than {ROOM >> 20} MiB of texts in them"
            self._notes.warn("bound", f"the server sent more than {most}; the others are left out")
        if reader.reset:
            self._old += base.parts()
        self._put(made)
        self._held.ready.set()
        self._seen()

    def _state(self) -> str:
        known = self._held.ready.is_set()
        return "the decision list may be old" if known else "no decision list yet, so nobody is refused"

    def _put(self, made: Decisions) -> None:
        self._held.decisions, self._unsaved = made, True

    def _seen(self) -> None:
        self._held.confirm(time.monotonic())
        self._backoff.reset()
        self._notes.forget("feed")
        self._notes.forget("feed refused")

    def _not_now(self, answer: Answer) -> float:
        self._notes.count("feed failures")
        refused = answer.status in REFUSED
        hint = "is the address right?"
        if refused:
            hint = "is the key right and of scope `sdk`?"
        elif answer.status in _LATER:
            hint = "asked for again until it is there"
        self._notes.warn("feed refused", f"no decision list: {self._options.url} answers {answer.status} ({hint})")
        if answer.status in (429, 503):
            return retry_after(answer.headers.get("retry-after"), self._backoff.next())
        return self._options.refused_wait if refused else self._backoff.next()

    def _poll_for_a_while(self) -> float:
        self._mute = 0
        self._poll_until = time.monotonic() + _TRY_STREAM_AGAIN
        self._notes.count("stream given up")
        return self._options.poll_interval

    def _tidy(self) -> None:
        """Free a list that was replaced; now and then remove decisions that are over, and save the list."""
        while self._old:  # bit by bit: every thread waits while a large list is freed at once
            self._old.pop()
        now = time.monotonic()
        if now >= self._next_upkeep and not self._clock.was_set():  # what is not over must not be taken out
            self._next_upkeep = now + _UPKEEP
            for ids in self._held.decisions.expired(self._clock.now()):
                kept = self._held.decisions
                self._put(kept.apply(Delta(kept.revision, removed=ids)))
        if now >= self._next_save:
            self.save()
            spent = time.monotonic() - now
            self._next_save = now + max(_SAVE, 20 * spent)

    def _write(self, path: str, until: float) -> None:
        self._unsaved = False
        try:
            snapshot.write(path, self._source, self._held.decisions, until)
        except Exception as error:  # noqa: BLE001  no file is worth an end of enforcement
            why = getattr(error, "strerror", None) or error
            self._notes.warn("snapshot", f"the snapshot `{path}` cannot be written: {why}")


class _Reading:
    """One delta of the stream after another."""

    def __init__(self, base: Callable[[], Decisions], take: Callable[[DeltaReader], None]) -> None:
        self._base = base
        self._take = take
        self._reader: DeltaReader | None = None

    def data(self, text: str) -> None:
        if self._reader is None:
            self._reader = DeltaReader(self._base())
        self._reader.feed(text)

    def dispatch(self, name: str) -> None:
        reader, self._reader = self._reader, None
        if reader is not None and name in ("delta", "message"):
            self._take(reader)


def _gently(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Give pieces in small bits, with a nap after each few, so that the application goes on meanwhile."""
    size = number = 0
    for piece in pieces:
        for at in range(0, len(piece), _BIT):
            bit = piece[at : at + _BIT]
            size, number = size + len(bit), number + 1
            if size > _BIT or number > _PIECES:
                nap()
                size, number = len(bit), 1
            yield bit


def _texts(pieces: Iterator[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for piece in pieces:
        yield decoder.decode(piece)
