"""The SDK of one application: what it holds, the two threads that talk to the server, and the calls on it.

Nothing here raises into the application but the signals; whatever goes wrong is counted and logged once. How frameworks
call requests and answers is in `asgi` and `wsgi`.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections.abc import Iterable, Mapping
from datetime import datetime
from heapq import nsmallest
from itertools import islice
from typing import Any

from sentinel.core import address, identity, ids, moment, scrub
from sentinel.core.decision import ALLOW, Subject, Verdict
from sentinel.core.decisions import Decisions
from sentinel.core.errors import SentinelError
from sentinel.core.event import ENFORCED
from sentinel.core.scrub import TOP
from sentinel.sdk import context, events, snapshot
from sentinel.sdk.buffer import Buffer
from sentinel.sdk.clock import Clock, Notes
from sentinel.sdk.context import Holder
from sentinel.sdk.events import Events
from sentinel.sdk.health import Health
from sentinel.sdk.identities import Recent
from sentinel.sdk.options import Options, told
from sentinel.sdk.signals import signal
from sentinel.sdk.sync import Follower, Held
from sentinel.sdk.transport import Sender

MOST_PASSED = 100  # challenges that a session may have met
_LONGEST_WAIT = 1e9  # seconds; what is longer, or no number, no lock and no thread can wait for
_TO_CLEAN = 0.1  # seconds in which an exit takes a snapshot away that it had no time to finish
_AGAIN = 1.0  # seconds between two attempts to start the threads
_SMALL_SNAPSHOT = 2 * 1024 * 1024  # read in the call of `start`; a larger one by the follower
_clients: weakref.WeakSet[Client] = weakref.WeakSet()


class Client:
    """Holds decisions and events; starts its threads at the first call that needs them."""

    def __init__(self, options: Options, notes: Notes | None = None) -> None:
        self.options = options
        self.notes = notes or Notes()
        self.clock = Clock()
        self.held = Held(Decisions(os.urandom(16)))
        self.events = Events(options)
        self._recent = Recent()
        self._fresh()
        self._load_small_snapshot()
        _clients.add(self)

    def _fresh(self) -> None:
        """Make everything that a process has for itself: locks, buffer, threads."""
        self._pid = os.getpid()
        self._lock = threading.RLock()  # a signal handler may call while its thread is in here
        self._running = False
        self._stopped = False
        self._begun = False
        self._start_at = 0.0
        self._threads: list[threading.Thread] = []
        options = self.options
        self.buffer = Buffer(options.buffer_size, options.buffer_bytes, options.flush_count, options.flush_interval)
        about = Health(self.stats).headers
        self.sender = Sender(options, self.buffer, self.notes, self._report, about)
        self.follower = Follower(options, self.held, self.clock, self.notes, about)

    def after_fork(self) -> None:
        """Start anew in a child process: events, sockets and the request under way are the parent's, decisions stay."""
        if self._pid == os.getpid():
            return
        context.current.set(None)  # a pool's worker outlives the request that it was begun in
        self.sender.drop()
        self.follower.drop()
        self.notes = self.notes.copy()
        self.held.renew()
        self._recent = Recent()
        self._fresh()
        self._load_small_snapshot()  # the list of a master that follows nothing is as old as that

    def ensure_running(self) -> None:
        """Start the threads, in this process, unless they run; called by everything that needs them."""
        if self._pid != os.getpid():
            self.after_fork()
        if self._running or self._stopped or not self.options.connected:
            return
        with self._lock:
            self._start_threads()

    def _start_threads(self) -> None:
        if self._running or time.monotonic() < self._start_at:
            return
        self._running = True
        try:
            self._spawn()
        except RuntimeError as error:  # no more threads for now, or the interpreter is going
            self._running = False
            self._start_at = time.monotonic() + _AGAIN
            self.notes.warn("threads", f"nothing is sent or enforced yet: {error}")

    def _spawn(self) -> None:
        both = (("sentinel-sender", self.sender.run), ("sentinel-follower", self.follower.run))
        for name, run in both[len(self._threads) :]:
            thread = threading.Thread(target=run, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)
        _stop_with_the_pool(self)

    def wait_ready(self, timeout: float) -> bool:
        """Wait for the first list of decisions; say whether there is one."""
        self.ensure_running()
        return self.options.connected and self.held.ready.wait(_patience(timeout))

    def begin(self, timeout: float) -> bool:
        """Wait for the first list as an application starts; say whether there is one.

        Only the first call waits: tests start an application many times.
        """
        if timeout > 0 and not self._begun:
            self._begun = True
            return self.wait_ready(timeout)
        return self.wait_ready(0)

    def flush(self, timeout: float, once: bool = False) -> bool:
        """Have everything sent that waits; say whether it left within `timeout` seconds, with `once` at one attempt."""
        self.ensure_running()
        if not self._running:
            return len(self.buffer) == 0
        self.sender.hurry()
        return self.buffer.wait_settled(time.monotonic() + _patience(timeout), time.monotonic, once)

    def settle(self, timeout: float) -> bool:
        """Send what waits, at one attempt, and save the list; say whether both were done within `timeout` seconds.

        It is for a process that may be ended without any handler of its own being called.
        """
        until = time.monotonic() + _patience(timeout)
        self.sender.hurry()
        saved = self.follower.save(until)
        return self.flush(until - time.monotonic(), once=True) and saved

    def stop(self, timeout: float | None = None) -> None:
        """Send what waits and end the threads, within `timeout` seconds."""
        if self._pid != os.getpid():
            return
        until = time.monotonic() + _patience(self.options.exit_wait if timeout is None else timeout)
        self._stopped = True
        self.follower.stop(until - _TO_CLEAN)
        self.sender.stop()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(until - time.monotonic(), 0))
        self.sender.abandon()
        self._running = False
        self._threads = []

    def match(self, subject: Subject) -> Verdict:
        """Return the verdict on a subject now; it is `allow` where nothing is enforced or judging fails."""
        if not self.options.enforce:
            return ALLOW
        try:
            return self.held.decisions.match(subject, self.clock.now())
        except Exception as error:  # noqa: BLE001  what we cannot judge goes on
            self.failed("match", error)
            return ALLOW

    def track(
        self,
        name: str,
        properties: Mapping[str, Any] | None = None,
        user: object = None,
        timestamp: datetime | None = None,
        collect_body: bool = False,
        request: object = None,
        urgent: bool = False,
        **more: Any,
    ) -> None:
        """Queue an event; never waits, never raises."""
        try:
            self.ensure_running()
            holder = context.holder_of(request) if request is not None else context.current.get()
            found = self._identifiers(user) if user is not None else (holder.identifiers if holder else {})
            at = self.clock.now() if timestamp is None else moment.from_datetime(timestamp)
            given = self._object("properties", properties)
            event, size, left_out = self.events.make(name, at, holder, found, given, collect_body, **more)
            if left_out:
                self.notes.count("properties left out", len(left_out))
                self.notes.warn("properties", f"`{name[:64]}` has over {TOP} properties; left out: {left_out[:5]}")
            self._put(event, size, holder, urgent)
        except Exception as error:  # noqa: BLE001
            self.buffer.drop("error")
            self.failed("track", error)

    def named(self, name: str) -> bool:
        """Say whether an event may have a name; where it may not, count the event as dropped and warn."""
        why = events.refusal(name)
        if why is not None:
            self.buffer.drop(why)
            hint = "names that start with `sentinel.` or `sq.` are ours" if why == "reserved" else "1 to 128 characters"
            self.notes.warn(f"name {why}", f"the event {name[:64]!r} is not sent: {why} ({hint})")
        return why is None

    def identify(self, user: object, traits: Mapping[str, Any] | None = None) -> Verdict:
        """Bind a user to the request under way; raises a signal where the user is refused."""
        holder, found, keys, verdict = self._whose(user)
        if holder is not None:
            holder.bind(found, keys)
        try:
            plain = self._object("traits", traits)
            told = self.events.traits(plain) if plain else None
            if found and self._recent.is_news(found, told, time.monotonic()):
                self.track("sentinel.identify", {"traits": told} if told else None, user)
        except Exception as error:  # noqa: BLE001
            self.failed("identify", error)
        return self._enforce(holder, verdict)

    def passed(self, decisions: object, request: object = None) -> None:
        """Note the decisions whose challenges the session of a request has met."""
        try:
            holder = context.holder_of(request) if request is not None else context.current.get()
            given = [decisions] if isinstance(decisions, str) else decisions
            found = islice(given, MOST_PASSED) if isinstance(given, Iterable) else ()
            if holder is not None:
                holder.passed = frozenset(one for one in found if type(one) is str)
        except Exception as error:  # noqa: BLE001
            self.failed("passed", error)

    def login(self, event: str, user: object, properties: Mapping[str, Any] | None, **more: Any) -> Verdict:
        """Queue a login or sign-up, marked `blocked` where it is refused; then raise a signal where it is."""
        holder, found, keys, verdict = self._whose(user, more.get("request"), login=True)
        if holder is not None and more.get("success") is not False:
            holder.bind(found, keys)
        try:
            given = self._object("properties", properties)
            if not verdict.allowed:
                first = nsmallest(TOP - 1, given, key=scrub.name_of)
                given = {name: given[name] for name in first} | {"blocked": True}
            self.track(event, given, user, urgent=True, **more)
        except Exception as error:  # noqa: BLE001
            self.failed(event, error)
        return self._enforce(holder, verdict)

    def verdict(self, user: object = None, ip: object = None) -> Verdict:
        """Return the verdict on a user, an address or both now; nothing is enforced."""
        try:
            self.ensure_running()
            keys = self.events.keys(self._identifiers(user)) if user is not None else ()
            return self.match(Subject(keys, address.normalise(str(ip)) if ip else None))
        except Exception as error:  # noqa: BLE001
            self.failed("verdict", error)
            return ALLOW

    def enforced(self, holder: Holder, verdict: Verdict, status: int) -> None:
        """Report that an answer of ours was sent in place of the application's."""
        self.notes.count("enforced")
        properties = {"decision": verdict.decision, "kind": verdict.kind, "scope": verdict.scope, "status": status}
        self.track(ENFORCED, properties, holder.identifiers or None, request={"sentinel.request": holder})

    def finished(self, holder: Holder) -> None:
        """Send the events that waited for a request's status, and let go of the request itself."""
        holder.let_go()
        if holder.urgent:
            holder.urgent = False
            self.buffer.hurry()

    def stats(self) -> dict[str, Any]:
        """Return what was counted and how things stand."""
        follower, decisions = self.follower, self.held.decisions
        return {
            "running": self._running,
            "connected": follower.connected,
            "enforcing": self.options.enforce,
            "decisions": len(decisions),
            "revision": decisions.revision,
            "list_age": self.held.age(time.monotonic()),
            "clock_offset": self.clock.offset / 1_000_000,
            "queued": len(self.buffer),
            "dropped": dict(self.buffer.dropped),
            **{name: self.notes.read(name) for name in ("sent", "rejected", "enforced", "unenforced", "failures")},
            "counts": self.notes.all(),
        }

    def _whose(
        self, user: object, request: object = None, login: bool = False
    ) -> tuple[Holder | None, dict[str, str], tuple[str, ...], Verdict]:
        """Return the request under way, the user's identifiers and keys, and the verdict; after a fault, `allow`."""
        try:
            self.ensure_running()
            holder = context.current.get()
            if holder is None and request is not None:
                holder = context.holder_of(request)
            found = self._identifiers(user)
            keys = self.events.keys(found)
            return holder, found, keys, self.judge(holder, keys, login)
        except Exception as error:  # noqa: BLE001
            self.failed("identify", error)
            return None, {}, (), ALLOW

    def _identifiers(self, user: object) -> dict[str, str]:
        try:
            found = self.events.identifiers(user)
        except SentinelError as error:
            self.notes.count("identifiers refused")
            self.notes.warn("identifiers", f"an identifier of a user is left out: {error}")
            found = self.events.readable(user) if isinstance(user, Mapping) else {}
        for name in identity.placeholders(found):
            self.notes.count("placeholders")
            what = f"`user.{name}` is `{found[name][:32]}`, which stands for no user and ties nobody together"
            remedy = "leave it out where there is no user, and name who really has it by another identifier as well"
            self.notes.warn(f"placeholder {name}", f"{what}: {remedy}")
        return found

    def _enforce(self, holder: Holder | None, verdict: Verdict) -> Verdict:
        if verdict.allowed:
            return verdict
        if holder is None:
            self._unenforced("outside", "outside any middleware: `identify` returns the verdict and raises nothing")
        elif not self.exempt(holder, verdict) and not holder.is_answered(verdict):
            if holder.latch(verdict):
                raise signal(verdict)
            self._unenforced("late", "after the answer had started: call `identify` earlier")
        return verdict

    def _unenforced(self, topic: str, why: str) -> None:
        self.notes.count("unenforced")
        self.notes.warn(f"unenforced {topic}", f"a refused user went on, {why}")

    def judge(self, holder: Holder | None, users: tuple[str, ...], login: bool = False) -> Verdict:
        """Return the verdict on users, in a request or, without a holder, outside of any."""
        if holder is None:
            return self.match(Subject(users, login=login))
        return self.match(holder.subject(users, self.held.decisions.by_device, login))

    def judge_address(self, holder: Holder) -> None:
        """Latch what was decided about the address of a request that begins."""
        verdict = self.match(Subject(ip=holder.ip))
        if not verdict.allowed and not self.exempt(holder, verdict):
            holder.latch(verdict)

    def exempt(self, holder: Holder, verdict: Verdict) -> bool:
        """Say whether a request is let through because it is where its redirect or challenge leads; no block is."""
        if verdict.kind == "block":
            return False
        on_the_way = any(_leads(path, holder.path) for path in self.options.exempt)
        return on_the_way or holder.leads_here(verdict)

    def _put(self, event: dict[str, Any], size: int, holder: Holder | None, urgent: bool) -> None:
        """Queue an event; that of a request without an answer yet waits for its status."""
        under_way = None
        if holder is not None and holder.answers and not holder.over:
            under_way = holder.request
            holder.urgent = holder.urgent or urgent  # it goes as the answer starts, with its status
            urgent = False
        self.buffer.put(event, size, time.monotonic(), urgent, under_way)

    def _load_small_snapshot(self) -> None:
        path = self.options.snapshot
        if path is None or not self.options.connected or not 0 < snapshot.size(path) <= _SMALL_SNAPSHOT:
            return
        self.follower.load_snapshot()

    def _report(self, dropped: dict[str, int]) -> dict[str, Any]:
        """Return the event that tells the server what was lost while it was away."""
        at = self.clock.now()
        return {
            "id": ids.new_id(at // 1000, os.urandom(ids.CHANCE)),
            "event": "sentinel.dropped",
            "timestamp": moment.to_text(at),
            "properties": {reason.replace(" ", "_"): number for reason, number in dropped.items()},
        }

    def _object(self, what: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return an object of our own; what cannot be read as one is left out, and the event is sent without it."""
        try:
            return dict(given or {})
        except Exception:  # noqa: BLE001
            self.notes.count(f"{what} left out")
            self.notes.warn(
                f"{what} unread", f"`{what}` are left out: {type(given).__name__} is no object such as a dict"
            )
            return {}

    def failed(self, where: str, error: BaseException) -> None:
        """Count and say what went wrong; it goes no further."""
        self.notes.count("errors")
        what = f"{type(error).__name__}: {told(error)}"
        self.notes.warn(f"error in {where}", f"`{where}` went wrong and was passed over: {what}")


def _leads(exempt: str, path: str) -> bool:
    """Say whether a path is an exempt one or below it. `/` stands for itself alone; a path with `..` is below none."""
    below = exempt != "/" and path.startswith(exempt + "/") and "/../" not in path + "/"
    return below or path == exempt


def _patience(seconds: float) -> float:
    return min(max(0.0, seconds), _LONGEST_WAIT)


def _stop_with_the_pool(client: Client) -> None:
    """Flush where a worker of multiprocessing ends: it leaves without atexit."""
    util, process = sys.modules.get("multiprocessing.util"), sys.modules.get("multiprocessing.process")
    if util is not None and process is not None and process.parent_process() is not None:
        util.Finalize(None, client.stop, exitpriority=0)


def _after_fork() -> None:
    for client in list(_clients):
        client.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def stop_all() -> None:
    """Stop every client: the interpreter ends."""
    for client in list(_clients):
        client.stop()
