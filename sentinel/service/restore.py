"""How a tenant comes back after a restart: windows from their snapshots, then the events since, emitting nothing.

A watch without a snapshot of its shape is folded from the stored events in (time, id) order, as far back as its windows
can reach. Findings are loaded first, so that they hold back what they held back before; hits folded here never act.
Only a wait that is not over after the last event goes on: its outcome is still to come.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Set
from itertools import groupby, islice
from operator import attrgetter

from sentinel.core.errors import SentinelError, StoreBusy
from sentinel.core.event import Event
from sentinel.core.record import Filter, KeptEvent, KeptFinding, Snapshot
from sentinel.engine.crowd import Crowd
from sentinel.engine.memory import LADDER, Familiar
from sentinel.engine.windows import Absent, Hit, Watch
from sentinel.service.ports import Store
from sentinel.service.saving import CLOCK, CROWD, FAMILIAR, shape
from sentinel.service.sparing import was_let_be
from sentinel.service.tenant import Tenant

LUMP = 2_000
Progress = Callable[[str, int], None]


def restore(store: Store, tenant: Tenant, now: int, progress: Progress = lambda what, done: None) -> list[str]:
    """Bring a new tenant to the state the store says it had; return what could not be restored and why, a line each.

    While stored events cannot be searched, only snapshots and the journal are used: blocking goes on, and windows
    without a snapshot begin empty.
    """
    app = tenant.app.id
    lost: list[str] = []

    def told(what: str, work: Callable[[], None]) -> None:
        try:
            work()
        except StoreBusy as error:
            lost.append(f"{what} of `{app}` begin without the events before: {error}")

    snapshots = store.snapshots.load(app)
    tenant.newest = newest(store, app, snapshots.get(CLOCK))
    resumed: dict[str, int] = {}
    rooms: tuple[tuple[str, Crowd | Familiar], ...] = (CROWD, tenant.memory.crowd), (FAMILIAR, tenant.memory.familiar)
    for name, room in rooms:
        kept = snapshots.get(name)
        if kept and kept.shape == room.FORMAT and room.load(kept.state.splitlines()):
            resumed[name] = kept.position
    for watch in tenant.engine.watches():
        alone = CROWD in resumed or watch.id not in tenant.engine.crowded  # else folding it tells who was seen
        if alone and (at := _resume(tenant, watch, snapshots)) is not None:
            resumed[watch.id] = at
    anew = [watch for watch in tenant.engine.watches() if watch.id not in resumed]
    know(store, tenant)
    if anew:
        since = tenant.newest - reach(anew, tenant.engine.lateness)
        wanted = {watch.id for watch in anew}
        names = ", ".join(f"`{name}`" for name in sorted(wanted))
        told(f"windows of {names}", lambda: fold(tenant, store.events.in_order(app, since), wanted, progress))
    if resumed:
        told("restored windows", lambda: _follow(tenant, store, resumed, progress))
    settle(tenant)
    tenant.windows.unlearn()  # what was found of late is let go of while events of long before are folded
    know(store, tenant)
    if FAMILIAR not in resumed:
        told("familiar places", lambda: learn(tenant, store))
    for act in store.findings.acted(app, now - LADDER):
        tenant.memory.ledger.record(act.playbook, act.kind, act.target, act.at, act.finding)
    hold(store, tenant, now)
    return lost


def hold(store: Store, tenant: Tenant, now: int) -> None:
    """Trip the guards again that held before the restart, if the limit they have now was passed then.

    A guard that was widened since does not hold any more.
    """
    judges, ledger = tenant.engine.judges, tenant.memory.ledger
    guards = {name: judge.playbook.guard for name, judge in judges.items() if judge.playbook.guard is not None}
    if not guards:
        return
    longest = max(guard.per for guard in guards.values())
    since = now - longest - tenant.engine.lateness
    found = [kept for kept in store.findings.since(tenant.app.id, since) if kept.finding.playbook in guards]
    acted = _acted(store, tenant.app.id, since - longest) if any(map(_guarded, found)) else {}
    for kept in sorted(found, key=attrgetter("opened")):
        name, opened = kept.finding.playbook, kept.opened
        held = _guarded(kept)
        if held and not ledger.tripped(name, opened):
            guard, times = guards[name], acted.get(name, [])
            before = times[bisect_left(times, (opened - guard.per + 1,)) : bisect_left(times, (opened + 1,))]
            if len({target for _, target in before} | held) > guard.max:
                ledger.trip(name, opened + guard.per)


def _guarded(kept: KeptFinding) -> set[str]:
    """Return the targets that a finding did not act on because of the guard."""
    return {one.target for one in kept.finding.effects if one.held == "guard" and one.target is not None}


def _acted(store: Store, app: str, since: int) -> dict[str, list[tuple[int, str]]]:
    """Return (time, target) of all actions, by playbook, oldest first; a shared ledger has only a target's last."""
    acted: dict[str, list[tuple[int, str]]] = {}
    for act in store.findings.acted(app, since):
        acted.setdefault(act.playbook, []).append((act.at, act.target))
    return acted


def learn(tenant: Tenant, store: Store) -> None:
    """Learn the familiar places of users from the logins of three months."""
    for event in store.events.in_order(tenant.app.id, tenant.newest - 3 * LADDER, names={"auth"}):
        tenant.memory.familiar.learn(event)


def reach(watches: Iterable[Watch], lateness: int) -> int:
    """Return how far back from the newest event watches, at least one, may need events, in microseconds."""
    return lateness + max(watch.span + watch.cooldown for watch in watches)


def newest(store: Store, app: str, clock: Snapshot | None = None) -> int:
    """Return the newest event time that the store or a snapshot of the clock knows."""
    known = int(clock.state) if clock else 0
    try:
        found = store.events.search(app, Filter(), limit=1).items
    except StoreBusy:
        return known
    return max(known, found[0].event.at if found else 0)


def _resume(tenant: Tenant, watch: Watch, snapshots: dict[str, Snapshot]) -> int | None:
    """Restore one watch; return the position its events go on from, None where it must be folded anew."""
    kept = snapshots.get(watch.id)
    if kept is None or kept.shape != shape(watch):
        return None
    try:
        return kept.position if tenant.windows.restore(watch.id, kept.state) else None
    except SentinelError:
        return None  # damaged: the events are the truth


def know(store: Store, tenant: Tenant) -> None:
    """Load the findings whose cooldown may not be over: they hold back others and gather evidence."""
    watches = {watch.id: watch for watch in tenant.engine.watches()}
    if not watches:
        return
    since = tenant.newest - reach(watches.values(), tenant.engine.lateness)
    for kept in store.findings.since(tenant.app.id, since):
        watch = watches.get(kept.finding.playbook)
        if watch is not None and kept.status != "retracted":
            finding = kept.finding
            tally = tuple(finding.tally.values())  # only shown, should the finding come up again: the store knows it
            tenant.windows.know(watch.id, finding.key, finding.at, finding.event_id, tally, _held(kept))
            tenant.opened([kept.finding])


def _held(kept: KeptFinding) -> bool:
    """Say whether a finding's cooldown holds back action.

    It does if the finding acted, or had nothing to act on; not if its mode, a guard, its age or the allowlist held it.
    """
    finding = kept.finding
    passed_over = any(effect.held in ("guard", "monitor", "rollout", "historical") for effect in finding.effects)
    return finding.mode == "enforce" and not (finding.historical or passed_over or was_let_be(finding))


def fold(tenant: Tenant, events: Iterable[Event], wanted: set[str], progress: Progress) -> None:
    """Count events, given in (time, id) order, in the windows of the `wanted` watches, a lump at a time."""
    source, done = iter(events), 0
    while lump := list(islice(source, LUMP)):
        _hit(tenant, lump, wanted)
        done += len(lump)
        progress(f"rebuilding windows of {tenant.app.id}", done)


def _follow(tenant: Tenant, store: Store, resumed: Mapping[str, int], progress: Progress) -> None:
    """Count the events that came after each watch's snapshot, at its position in `resumed`, in order of arrival."""
    starts = sorted(set(resumed.values()))

    def behind(kept: KeptEvent) -> int:
        return bisect_left(starts, kept.position)

    done, source = 0, store.events.after(tenant.app.id, starts[0])
    while lump := list(islice(source, LUMP)):
        for passed, some in groupby(lump, behind):
            events = [kept.event for kept in some]
            names = {name for name, start in resumed.items() if start in starts[:passed]}
            _hit(tenant, events, names)
            for event in events if FAMILIAR in names else ():
                tenant.memory.familiar.learn(event)
        done += len(lump)
        progress(f"following the journal of {tenant.app.id}", done)


def follow(tenant: Tenant, store: Store, position: int, heed: Callable[[], None] = lambda: None) -> tuple[int, int]:
    """Count the events behind a journal position, in their order of arrival; return the position reached and how many.

    `heed` is called after each lump and may raise, to give up.
    """
    wanted, done = {watch.id for watch in tenant.engine.watches()}, 0
    source = store.events.after(tenant.app.id, position)
    while lump := list(islice(source, LUMP)):
        _hit(tenant, [kept.event for kept in lump], wanted)
        position, done = lump[-1].position, done + len(lump)
        heed()
    return position, done


def _hit(tenant: Tenant, events: list[Event], wanted: Set[str]) -> None:
    """Count events in windows, acting on nobody; `historical` is as it was found when they came."""
    matched = tenant.engine.match(events, however_late=True)
    waits = {watch.id for watch in tenant.engine.watches() if isinstance(watch.detector, Absent)}
    hits = (hit for hit in matched.hits if hit.watch in wanted)
    quiet: list[Hit] = [hit if hit.watch in waits else hit._replace(acting=False) for hit in hits]
    tenant.windows.hit(quiet, tenant.newest)
    tenant.memory.crowd.gather(matched.hits if CROWD in wanted else quiet, events, tenant.engine.crowded)


def settle(tenant: Tenant) -> None:
    """Drop the waits that were over when the newest event came: their findings were made then."""
    for opening in tenant.windows.due(tenant.newest - tenant.engine.lateness):
        tenant.windows.yielded(opening)
