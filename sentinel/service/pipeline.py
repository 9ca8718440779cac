"""The pipeline: from the events of many senders to one commit.

claim → resolve → enrich → match → hit → respond → commit. Every step is idempotent by event id, so a commit that failed
is made good by sending again.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from operator import attrgetter
from typing import Any

from sentinel.core import identity, moment
from sentinel.core.batch import Batch, Committed, Label, Note, Outgoing, Sighting, proves
from sentinel.core.bundle import lane_of
from sentinel.core.duration import MINUTE, SECOND
from sentinel.core.errors import SentinelError
from sentinel.core.event import Event
from sentinel.core.finding import Effect, Finding, finding_id
from sentinel.core.record import App
from sentinel.engine.emit import emitted, made
from sentinel.engine.engine import Matched, retracted
from sentinel.engine.memory import Ledger
from sentinel.engine.metrics import Skipped
from sentinel.engine.windows import Hit, Opening
from sentinel.service.intake import Receipt, Sending
from sentinel.service.marks import Marks, borne
from sentinel.service.ports import Store, Unit
from sentinel.service.sparing import Whose, was_let_be
from sentinel.service.tenant import Tenant

MOST_FAULTS = 1000  # that are told apart
LONGEST_FAULT = 200  # characters
QUIET = MINUTE  # without a newer event: as long as some come, those behind them may be on their way
Enrich = Callable[[Sequence[Event]], None]  # adds what is known of addresses, agents and labels
JOINED = ("events", "findings", "decisions", "labels", "outbox", "evidence", "retracted", "audit")


@dataclass(slots=True)
class Draft:
    """One sending on its way: what is to be committed, and what to tell its sender."""

    tenant: Tenant
    batch: Batch
    accepted: int
    duplicates: int


@dataclass(slots=True)
class Counts:
    """What the pipeline did since its start, for the metrics; keys begin with the app."""

    events: Counter[str] = field(default_factory=Counter)
    duplicates: Counter[str] = field(default_factory=Counter)
    findings: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    skipped: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    errors: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    placeholders: Counter[tuple[str, str]] = field(default_factory=Counter)  # by the identifier that stood for no user

    def fault(self, app: str, errors: Mapping[tuple[str, str], int]) -> None:
        """Count faults of playbooks by text, which may be a sender's words: beyond MOST_FAULTS they are `others`."""
        for (playbook, said), number in errors.items():
            key = app, playbook, said[:LONGEST_FAULT]
            known = key in self.errors or len(self.errors) < MOST_FAULTS
            self.errors[key if known else (app, playbook, "others")] += number


@dataclass(slots=True)
class Listeners:
    """What is called after a commit, on the writer thread: it must be quick and not raise."""

    decisions: Callable[[str, int], None] = lambda app, revision: None
    events: Callable[[str, Sequence[Event]], None] = lambda app, events: None
    outbox: Callable[[], None] = lambda: None


class Pipeline:
    """The engine of every app over one store. `clock` gives microseconds since 1970."""

    def __init__(
        self, store: Store, make_tenant: Callable[[App], Tenant], enricher: Callable[[str], Enrich],
        clock: Callable[[], int], listeners: Listeners,
    ) -> None:  # fmt: skip
        self.store = store
        self.tenants: dict[str, Tenant] = {}
        self.counts = Counts()
        self.listeners = listeners
        self.lock = threading.Lock()  # held while windows change
        self.saving = threading.Lock()  # before that one, until what was taken is kept: none older follows
        self._taken: list[tuple[Tenant, Opening]] = []  # what was due in the transaction under way
        self._opened: list[tuple[Tenant, Opening]] = []  # what hits opened in it
        self._undone: Sequence[tuple[Tenant, Opening]] = ()  # what they had in the last one that came to nothing
        self._passed: list[tuple[str, Skipped, Counter[tuple[str, str]]]] = []  # what it is to be counted for
        self._nobody: Counter[tuple[str, str]] = Counter()  # by app, the identifiers that stood for no user
        self._marks: dict[str, Marks] = {}  # the labels it puts on, by app: the store does not tell them yet
        self._make_tenant = make_tenant
        self._enricher = enricher
        self._clock = clock
        self._began = clock()
        self._heard: dict[str, tuple[int, int]] = {}  # an app's newest event time, and since when it is that

    def tenant(self, app: str) -> Tenant:
        """Return an app's tenant, which is made at the first call; raises SentinelError for an unknown app.

        Its `app` is as it is now, also if another server changed it.
        """
        known, found = self.store.access.app(app), self.tenants.get(app)
        if found is None:
            if known is None:
                raise SentinelError(f"there is no app `{app}`")
            found = self.tenants[app] = self._make_tenant(known)
        elif known is not None:
            found.app = known
        return found

    def process(self, sendings: Sequence[Sending]) -> list[Receipt]:
        """Judge and commit a group of sendings in one transaction; return a receipt each, once all of it is on disk."""
        now = self._clock()
        with self.lock, self._transaction(), self.store.unit() as unit:
            drafts = [self._draft(unit, sending, now) for sending in sendings]
            committed = unit.commit([draft.batch for draft in drafts])
        return [self._committed(draft, done) for draft, done in zip(drafts, committed, strict=True)]

    def tick(self) -> None:
        """Find what was awaited and did not come, in apps that are quiet; called about once a second.

        Only in quiet ones: senders that waited for the server send the oldest events first, and the one that ends a
        wait may still come.
        """
        now = self._clock()
        with self.lock:
            for tenant in [one for one in map(self.tenant, self.tenants) if self._is_quiet(one, now)]:
                with self._transaction():
                    openings = self._due(tenant, now - tenant.engine.lateness)
                    if openings:
                        with self.store.unit() as unit:
                            first = self._judge(unit, tenant, (), Matched(tenant.newest), openings, now)
                            batch = joined([first, *self._made(unit, tenant, first.findings, now)])
                            committed = unit.commit([batch])
                        self._committed(Draft(tenant, batch, 0, 0), committed[0])

    def _is_quiet(self, tenant: Tenant, now: int) -> bool:
        """Say whether no newer event came for QUIET, to any process; the clock may have been set back since."""
        app, newest = tenant.app.id, tenant.newest
        known, since = self._heard.get(app, (newest, self._began))
        self._heard[app] = newest, since if newest == known else now
        return abs(now - self._heard[app][1]) >= QUIET

    def _due(self, tenant: Tenant, watermark: int) -> list[Opening]:
        openings = tenant.windows.due(watermark)
        self._taken += [(tenant, opening) for opening in openings]
        return openings

    def left_out(self) -> None:
        """Undo what the last event opened in windows, for it could not be stored: no cooldown may hold back action.

        Openings whose finding is stored stay. That windows counted the event stays, too: it did happen.
        """
        with self.lock:
            for tenant, one in self._undone:
                app, hit = tenant.app.id, one.hit
                if self.store.findings.get(app, finding_id(app, hit.watch, hit.key, one.at, one.id)) is None:
                    tenant.windows.yielded(one)
            self._undone = ()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Update the counts after a commit; if it fails, put back the waits that were due: no event brings them up."""
        self._taken.clear()
        self._opened.clear()
        self._passed.clear()
        self._nobody.clear()
        self._marks.clear()
        try:
            yield
        except BaseException:
            for tenant, opening in self._taken:
                tenant.windows.put_back([opening])
            self._undone = tuple(self._opened)
            raise
        for app, skipped, errors in self._passed:
            self.counts.skipped.update({(app, *key): number for key, number in skipped.items()})
            self.counts.fault(app, errors)
        self.counts.placeholders.update(self._nobody)

    def _draft(self, unit: Unit, sending: Sending, now: int) -> Draft:
        tenant = self.tenant(sending.app)
        events = self._fresh(unit, sending, tenant)
        parts = (self._part(unit, tenant, part, now, sending.enforce) for part in _parts(events, tenant))
        batch = joined([one for batches in parts for one in batches])
        return Draft(tenant, batch, len(events), len(sending.events) - len(events))

    def _part(self, unit: Unit, tenant: Tenant, events: Sequence[Event], now: int, enforce: bool) -> Iterator[Batch]:
        """Give the batch of some events, and then the batches of the events that their findings make."""
        self._show_marks(tenant, events, now)
        newest = min(tenant.newest, now)  # a clock that was ahead and went back must not make all that comes late
        monitoring = tenant.memory.ledger.monitoring(now)
        matched = tenant.engine.match(events, newest, monitoring, however_late=enforce)
        for event in events:
            tenant.memory.familiar.learn(event)
        if matched.newest > newest:
            self._heard[tenant.app.id] = matched.newest, now
        tenant.newest = matched.newest
        openings = self._hit(unit, tenant, events, matched, matched.newest, now)
        openings += self._due(tenant, matched.newest - tenant.engine.lateness)
        batch = self._judge(unit, tenant, events, matched, openings, now)
        yield batch
        yield from self._made(unit, tenant, batch.findings, now)

    def _made(self, unit: Unit, tenant: Tenant, findings: Sequence[Finding], now: int) -> Iterator[Batch]:
        """Give the batches of the events that findings make, and of those made in turn; their depth is bounded."""
        app = tenant.app.id
        while events := sorted(made(findings), key=attrgetter("at", "id")):
            events = [event for event, new in zip(events, unit.claim(app, events), strict=True) if new]
            self._know(unit, tenant, events, links=False)
            self._show_marks(tenant, events, now)
            matched = tenant.engine.match(events, 0, tenant.memory.ledger.monitoring(now))
            openings = self._hit(unit, tenant, events, matched, tenant.newest, now)
            batch = self._judge(unit, tenant, events, matched, openings, now)
            findings = batch.findings
            yield batch

    def _hit(
        self, unit: Unit, tenant: Tenant, events: Sequence[Event], matched: Matched, newest: int, now: int
    ) -> list[Opening]:  # fmt: skip
        """Count hits in the windows and return what opens; the memory of who was seen where is updated first."""
        tenant.memory.gather(matched.hits, events, tenant.engine.crowded)
        openings = tenant.windows.hit(self._acting(unit, tenant, matched.hits, now), newest)
        self._opened += [(tenant, opening) for opening in openings if not opening.retracted]
        return openings

    def _judge(
        self, unit: Unit, tenant: Tenant, events: Sequence[Event], matched: Matched, openings: Sequence[Opening],
        now: int,
    ) -> Batch:  # fmt: skip
        """Return the batch to be committed: events, findings opened and retracted, and all that follows from these."""
        app = tenant.app.id
        opened = [opening for opening in openings if not opening.retracted]
        if opened:
            self._allow(unit, tenant, now)
        responded = tenant.engine.respond(opened, events, tenant.memory, now)
        for opening, finding in responded.found:
            if any(effect.held == "guard" for effect in finding.effects) or was_let_be(finding):
                tenant.windows.yielded(opening)
        self._passed.append((app, matched.skipped, matched.errors + tenant.windows.faults() + responded.errors))
        whose = _whose(unit, app, now)
        findings = [borne(finding, whose) for finding in responded.findings]
        if tenant.turns.needed:
            marks = self._marks.setdefault(app, Marks())
            for finding in findings:
                marks.put(finding, now)
        evidence = tenant.evidence(matched.hits, findings)
        tenant.opened(findings)
        return Batch(
            app=app, now=now, events=tuple(events), findings=tuple(findings),
            decisions=tuple(one for _, effect in _done(findings) for one in effect.decisions),
            labels=tuple(_labels(findings, now)), evidence=evidence,
            outbox=tuple(_outgoing(findings, tenant.memory.ledger)),
            retracted=tuple(retracted(openings, app)), audit=tuple(_notes(findings)),
        )  # fmt: skip

    def _show_marks(self, tenant: Tenant, events: Sequence[Event], now: int) -> None:
        """Add to events the labels that this transaction has put on already."""
        marks = self._marks.get(tenant.app.id)
        if marks is not None and marks.changes:
            for event in events:
                marks.show(event, now)

    def _acting(self, unit: Unit, tenant: Tenant, hits: Sequence[Hit], now: int) -> Sequence[Hit]:
        """Return the hits, with those of groups that the allowlist spares made not to act."""
        if not tenant.let_be.concerns(hits):
            return hits
        if abs(now - tenant.let_be.looked) >= SECOND:  # the allowlist may be long
            tenant.let_be.looked = now
            self._allow(unit, tenant, now)
        return tenant.let_be.revised(hits, tenant.memory.protected)

    def _allow(self, unit: Unit, tenant: Tenant, now: int) -> None:
        app = tenant.app.id
        tenant.allow(self.store.allow.list(app, now), _whose(unit, app, now))

    def _fresh(self, unit: Unit, sending: Sending, tenant: Tenant) -> list[Event]:
        """Return the events that are new and not of deleted persons, with their users set, and enriched."""
        fresh = unit.claim(sending.app, sending.events)
        gone = self.store.deletions.concerns
        known = zip(sending.events, fresh, strict=True)
        events = [event for event, new in known if new and not gone(sending.app, event)]
        if sending.historical and not sending.enforce:
            for event in events:
                event.historical = True
        self._know(unit, tenant, events, links=sending.scope in ("sdk", "admin"), stitches=sending.stitches)
        return events

    def _know(
        self, unit: Unit, tenant: Tenant, events: Sequence[Event], *, links: bool, stitches: bool = False
    ) -> None:
        """Set the user of each event, and enrich it.

        With `links` an event that proves who its user is links the user's keys. With `stitches` an `identify` event
        links its anonymous key to its user.
        """
        app, order, ipv6 = tenant.app.id, tenant.app.identifiers, tenant.app.ipv6
        sightings = []
        for event in events:
            names = event.identifiers
            keys = identity.naming_keys(names, order)
            if len(keys) < len(names):
                self._nobody.update((app, name) for name in identity.placeholders(names))
            sightings.append(Sighting(keys, links and proves(event), event.at, stitches and event.name == "identify"))
        for event, user in zip(events, unit.resolve(app, sightings), strict=True):
            event.user = user
            if event.ipv6 != ipv6:
                event.ipv6 = ipv6
        self._enricher(app)(events)

    def _committed(self, draft: Draft, done: Committed) -> Receipt:
        app, batch = draft.batch.app, draft.batch
        self.counts.events[app] += len(batch.events)
        self.counts.duplicates[app] += draft.duplicates
        for finding in batch.findings:
            self.counts.findings[app, finding.playbook, finding.acted] += 1
        if done.changed:
            self.listeners.decisions(app, done.revision)
        if batch.events:
            self.listeners.events(app, batch.events)
        if batch.outbox:
            self.listeners.outbox()
        return Receipt(draft.accepted, draft.duplicates, done.revision)


def joined(batches: Sequence[Batch]) -> Batch:
    """Return batches of one app joined into one, in their order."""
    first, *rest = batches
    if not rest:
        return first
    more: dict[str, Any] = {name: tuple(chain.from_iterable(getattr(one, name) for one in batches)) for name in JOINED}
    return replace(first, **more)


def _parts(events: Sequence[Event], tenant: Tenant) -> Iterator[Sequence[Event]]:
    """Cut events into parts that are judged one after the other.

    A part ends before an event that may see a label that an earlier one leads to; and, if findings make events, where
    the part would span more than the lateness: else a made event would come too late to count.
    """
    engine, cuts, start = tenant.engine, tenant.turns.cuts(events), 0
    for place, event in enumerate(events if engine.emits or cuts else ()):
        if place in cuts or (engine.emits and event.at > events[start].at + engine.lateness):
            yield events[start:place]
            start = place
    yield events[start:]


def _whose(unit: Unit, app: str, now: int) -> Whose:
    """Return a function that returns the person of each key, with the links that this unit has made."""
    return lambda keys: unit.resolve(app, [Sighting((key,), False, now) for key in keys])


def _done(findings: Iterable[Finding]) -> Iterable[tuple[Finding, Effect]]:
    return ((finding, effect) for finding in findings for effect in finding.effects if effect.held is None)


def _labels(findings: Iterable[Finding], now: int) -> Iterable[Label]:
    for finding, effect in _done(findings):
        if effect.label is not None and effect.target is not None:
            until = None if effect.length is None else now + effect.length
            kind = "user" if effect.kind == "label_user" else "ip"
            yield Label(kind, effect.target, effect.label, until, finding.id, finding.playbook)  # type: ignore[arg-type]


def _outgoing(findings: Iterable[Finding], ledger: Ledger) -> Iterable[Outgoing]:
    """Give the notifications and webhooks of findings, and one for each time that a guard begins to hold."""
    for finding in findings:
        for index, effect in enumerate(finding.effects):
            if effect.held is None and effect.kind in ("notify", "webhook"):
                lane = lane_of(finding.severity) if effect.channel else None
                key = f"{finding.id}:{index}"
                yield Outgoing(key, effect.kind, effect.channel, as_json(finding), finding.id, lane)
        if any(effect.held == "guard" for effect in finding.effects):
            key = f"guard:{finding.playbook}:{ledger.held(finding.playbook)}"
            yield Outgoing(key, "notify", None, as_json(finding) | {"guard": True}, finding.id)


def _notes(findings: Iterable[Finding]) -> Iterable[Note]:
    for finding, effect in _done(findings):
        if effect.target is not None:
            yield Note(
                f"playbook:{finding.playbook}", effect.kind, effect.target, finding.title, {"finding": finding.id}
            )


def as_json(finding: Finding) -> dict[str, Any]:
    """Return the body by which notifications and webhooks tell of a finding: its reasons and effects, no secrets."""
    return {
        "id": finding.id, "playbook": finding.playbook, "version": finding.version, "title": finding.title,
        "severity": finding.severity, "mode": finding.mode, "group": dict(finding.group),
        "at": moment.to_text(finding.at), "event_id": finding.event_id, "events": list(finding.events),
        "user": finding.user, "ip": finding.ip,
        "tally": dict(finding.tally), "threshold": dict(finding.threshold), "acted": finding.acted,
        "historical": finding.historical, "approximate": finding.approximate,
        "effects": [
            {"kind": one.kind, "target": one.target, "for_s": None if one.length is None else one.length // 1_000_000,
             "label": one.label, "channel": one.channel, "event": emitted(one), "held": one.held}
            for one in finding.effects
        ],
    }  # fmt: skip
