"""What was found and decided about a user or an address, beside what the explorer counts. Nothing is changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from sentinel.core import address
from sentinel.core.decision import FOREVER, PAIRS, SCOPES, STRICTNESS, WIDEST, Decision, Single, place, unpair
from sentinel.core.decisions import Found, bears
from sentinel.core.decisions import overruled as decided_over
from sentinel.core.explore import Activity
from sentinel.core.record import Filter, KeptDecision, KeptFinding, Person
from sentinel.service.ports import Store

MOST = 50  # findings and lines of a timeline
_LOOKED = 5000  # findings that are counted at the most
_PAGE = 1000
_FEW = 100
_PERSONAL = ("user", *PAIRS)


@dataclass(frozen=True, slots=True)
class About:
    """What a person or an address did, and what was found and decided about them.

    Findings and decisions are newest first; the labels are those in force.
    """

    activity: Activity
    findings: tuple[KeptFinding, ...]
    decisions: tuple[KeptDecision, ...]
    labels: tuple[str, ...]


def _keys(who: Person) -> tuple[str, ...]:
    return tuple(dict.fromkeys((who.key, *who.identifiers, *who.aliases)))


def known_person(store: Store, app: str, key: str) -> Person:
    """Return the person a user key belongs to; where none is known, a person with that key alone."""
    return store.people.get(app, key) or Person(key, (key,))


def person(store: Store, app: str, who: Person, filter: Filter, now: int) -> About:
    """Return what a person did in the filter's period, with their findings and decisions of any time."""
    keys = _keys(who)
    findings = [one for key in keys for one in store.findings.list(app, user=key, limit=MOST).items]
    decisions = on_person(store, app, keys, now)
    labels = store.labels.of(app, "user", who.key, now)
    return About(store.explorer.user(app, keys, filter), _newest(findings), decisions, labels)


def on_person(store: Store, app: str, keys: Sequence[str], now: int) -> tuple[KeptDecision, ...]:
    """Return the decisions on a person (also at one address or on one device): those in force, and the newest."""
    held = store.decisions.list(app, users=keys, now=now, limit=_PAGE).items
    return _latest((*held, *store.decisions.list(app, users=keys).items))


def place_of(store: Store, app: str, ip: str, filter: Filter, now: int) -> About:
    """Return what came from an address or network, with its findings and decisions of any time.

    Decisions on networks around it are among them. `filter` asks for the events of `ip`, in a period.
    """
    known = store.access.app(app)
    names = names_of(ip, known.ipv6 if known else 64)
    findings = _found_in(store, app, ip) if "/" in ip else _found_at(store, app, names)
    labels = {label for name in names for label in store.labels.of(app, "ip", name, now)}
    found = store.explorer.ip(app, filter)
    return About(found, _newest(findings), decided(store, app, names, now), tuple(sorted(labels)))


def _found_at(store: Store, app: str, names: Iterable[str]) -> Iterable[KeptFinding]:
    return [one for name in names for one in store.findings.list(app, ip=name, limit=MOST).items]


def _found_in(store: Store, app: str, network: str) -> Iterable[KeptFinding]:
    """Give the findings about addresses in a network, among the newest findings of the app."""
    wanted = place(network)
    for kept in _looked_at(store, app):
        if kept.finding.ip is not None and place(kept.finding.ip).within(wanted):
            yield kept


def names_of(ip: str, ipv6: int) -> tuple[str, ...]:
    """Return the values by which findings, labels and decisions name an address.

    These are the address itself, and for IPv6 the network of `ipv6` bits that it is grouped by.
    """
    return tuple(dict.fromkeys((ip, address.network_of(ip, ipv6))))


def decided(store: Store, app: str, names: Sequence[str], now: int) -> tuple[KeptDecision, ...]:
    """Return the decisions on an address by its names (in force or not), and those in force on networks around it."""
    said = [store.decisions.list(app, scope=scope, value=name) for name in names for scope in ("ip", "network")]
    found = [one for page in said for one in page.items]
    return _latest((*found, *store.decisions.on(app, ("network",), around(names[0]), now)))


def met(store: Store, app: str, of: Literal["user", "ip"], some: Iterable[str], now: int) -> dict[str, str]:
    """Return the kind of the decision that counts, by user or address; those without any decision are left out.

    Decisions on networks around an address count as well.
    """
    near = {one: {one, *around(one)} if of == "ip" else {one} for one in some}
    held = _held(store, app, ("ip", "network") if of == "ip" else ("user",), near.values(), now)
    found = {one: standing((kept for name in names & held.keys() for kept in held[name]), now)
             for one, names in near.items()}  # fmt: skip
    return {one: some[0].decision.kind for one, some in found.items() if some}


def beside(store: Store, app: str, of: Literal["user", "ip"], found: About, now: int) -> dict[str, str]:
    """Return which of a person's addresses (`of` ip) or of an address's users (`of` user) are stopped, and how.

    A page about a user shows this because somebody whose address is blocked asks about their account.
    """
    seen = found.activity.shares.get(f"{of}s", ())
    return {one: kind for one, kind in met(store, app, of, (one.value for one in seen), now).items() if kind != "allow"}


def _held(
    store: Store, app: str, scopes: Collection[str], targets: Iterable[set[str]], now: int
) -> dict[str, list[KeptDecision]]:
    """Return the decisions in force on some values, by value."""
    held: dict[str, list[KeptDecision]] = {}
    for kept in store.decisions.on(app, scopes, set().union(*targets), now):
        held.setdefault(kept.decision.value, []).append(kept)
    return held


def stopping(store: Store, app: str, scope: Single, value: str, now: int) -> list[KeptDecision]:
    """Return the decisions in force that stop a user (everywhere, at one address or on one device), address or network.

    Decisions on a network around an address are left out: to lift those would let others through as well.
    """
    if scope == "user":
        found = on_person(store, app, _keys(known_person(store, app, value)), now)
    else:
        found = tuple(kept for kept in decided(store, app, (value,), now) if kept.decision.value == value)
    return [kept for kept in found if kept.decision.kind != "allow" and kept.in_force(now)]


def around(ip: str) -> list[str]:
    """Return an address or network and all networks around it, widest first, as the values of decisions."""
    here = place(ip)
    return [str(here.wider(length)) for length in range(WIDEST[here.version], here.length + 1)]


def standing(decisions: Iterable[KeptDecision], now: int) -> list[KeptDecision]:
    """Return the decisions in force, the strictest first, and behind them those that are `overruled`.

    Of equally strict ones those for all requests come before those for logins only, then those on a whole user before
    those at one address or on one device, then those that last longer.
    """
    live = sorted((kept for kept in decisions if kept.in_force(now)), key=_weight, reverse=True)
    over = overruled(live, now)
    return sorted(live, key=lambda kept: kept.decision.id in over)


def overruling(store: Store, app: str, some: Iterable[KeptDecision], now: int) -> dict[str, KeptDecision]:
    """Return the ids of those decisions that are `overruled`, each with the decision by hand that overrules it."""
    asked = {kept.decision.id: kept for kept in some if kept.decision.playbook is not None and kept.in_force(now)}
    if len(asked) > _FEW and not store.decisions.by_hand(app, now):  # of many it costs more to look around each
        return {}
    near = {id: _wherever(kept.decision) for id, kept in asked.items()}
    held = _held(store, app, SCOPES, near.values(), now)
    found: dict[str, KeptDecision] = {}
    for id, names in near.items():
        beside = (kept for name in names & held.keys() for kept in held[name])
        found |= {one: over for one, over in overruled((asked[id], *beside), now).items() if one == id}
    return found


class InForce(NamedTuple):
    """How many decisions count now, by kind, and how many others are overruled by decisions made by hand."""

    kinds: dict[str, int]
    overruled: int


def in_force(store: Store, app: str, now: int) -> InForce:
    """Return how many decisions of an app count; one on a person counts once for all their keys."""
    some = contested(store, app, now)
    over = overruling(store, app, some, now)
    less: Counter[str] = Counter(kept.decision.kind for kept in some if kept.decision.id in over)
    standing = store.decisions.standing(app, now)
    return InForce({kind: number - less[kind] for kind, number in standing.items() if number > less[kind]}, len(over))


def contested(store: Store, app: str, now: int) -> list[KeptDecision]:
    """Return the decisions in force that one made by hand may overrule.

    They are on the same user, address or network, or in a network that was allowed by hand. The newest thousand of
    each of these are looked at.
    """
    by_hand = [kept.decision for kept in store.decisions.by_hand(app, now)]
    users = {one.value if one.scope == "user" else unpair(one.value)[0] for one in by_hand if one.scope in _PERSONAL}
    places = {one.value for one in by_hand if one.scope not in _PERSONAL}
    wide = [place(one.value) for one in by_hand if one.scope == "network" and one.kind == "allow"]
    found: list[KeptDecision] = []
    if users:
        found += store.decisions.list(app, users=users, now=now, limit=_PAGE).items
    if places:
        found += store.decisions.list(app, values=places, now=now, limit=_PAGE).items
    for scope in ("ip", "network") if wide else ():
        listed = store.decisions.list(app, now=now, scope=scope, limit=_PAGE).items
        found += [kept for kept in listed if any(place(kept.decision.value).within(one) for one in wide)]
    return list({kept.decision.id: kept for kept in found}.values())


def _wherever(decision: Decision) -> set[str]:
    """Return the values of the decisions that may hold for every request that this one holds for."""
    if decision.scope in PAIRS:
        return {decision.value, unpair(decision.value)[0]}
    return {decision.value} if decision.scope == "user" else {decision.value, *around(decision.value)}


def overruled(decisions: Iterable[KeptDecision], now: int) -> dict[str, KeptDecision]:
    """Return the ids of the decisions in force that are overruled, each with the decision by hand that overrules it.

    A decision is overruled only by one that holds for every request that it holds for itself.
    """
    live = {kept.decision.id: kept for kept in decisions if kept.in_force(now)}
    alike: dict[tuple[str | None, bool], list[Found]] = {}
    for kept in live.values():
        alike.setdefault((_where(kept.decision), kept.decision.logins_only), []).append(bears(kept.decision))
    found: dict[str, KeptDecision] = {}
    for (where, logins_only), some in alike.items():
        wider = {(one, only) for one in (None, where) for only in (False, logins_only)} - {(where, logins_only)}
        over = decided_over([*some, *(one for kind in wider for one in alike.get(kind, ()))])
        found |= {one.entry.id: live[over[one.entry.id]] for one in some if one.entry.id in over}
    return found


def _where(decision: Decision) -> str | None:
    """Return the address or device that a decision on a user is limited to, None without such a limit."""
    return f"{decision.scope} {unpair(decision.value)[1]}" if decision.scope in PAIRS else None


def _weight(kept: KeptDecision) -> tuple[int, bool, bool, int]:
    one = kept.decision
    return STRICTNESS[one.kind], not one.logins_only, one.scope not in PAIRS, one.until or FOREVER


def most_found(store: Store, app: str, since: int, of: Literal["user", "ip"]) -> list[tuple[str, int, int]]:
    """Return the users or addresses with most findings since a time: each with the number and the newest one's time."""
    counts: Counter[str] = Counter()
    newest: dict[str, int] = {}
    for kept in _looked_at(store, app, since):
        if (value := getattr(kept.finding, of)) is not None and kept.status != "retracted":
            counts[value] += 1
            newest.setdefault(value, kept.finding.at)
    return [(value, number, newest[value]) for value, number in counts.most_common()]


def _looked_at(store: Store, app: str, since: int | None = None) -> Iterator[KeptFinding]:
    """Give the newest findings, at most as many as one answer may look at."""
    cursor: str | None = None
    for _ in range(_LOOKED // _PAGE):
        page = store.findings.list(app, since=since, limit=_PAGE, cursor=cursor)
        yield from page.items
        cursor = page.cursor
        if cursor is None:
            return


def _newest(findings: Iterable[KeptFinding]) -> tuple[KeptFinding, ...]:
    found = {one.finding.id: one for one in findings}.values()
    return tuple(sorted(found, key=lambda one: (one.finding.at, one.finding.id), reverse=True)[:MOST])


def _latest(decisions: Iterable[KeptDecision]) -> tuple[KeptDecision, ...]:
    found = {one.decision.id: one for one in decisions}.values()
    return tuple(sorted(found, key=lambda one: (one.decision.made, one.decision.id), reverse=True))
