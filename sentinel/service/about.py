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
    """What somebody, or an address, did and met: findings and decisions newest first, labels now."""

    activity: Activity
    findings: tuple[KeptFinding, ...]
    decisions: tuple[KeptDecision, ...]
    labels: tuple[str, ...]


def _keys(who: Person) -> tuple[str, ...]:
    return tuple(dict.fromkeys((who.key, *who.identifiers, *who.aliases)))


def known_person(store: Store, app: str, key: str) -> Person:
    """Return the person a user key belongs to, one of that key alone where nobody knows it."""
    return store.people.get(app, key) or Person(key, (key,))


def person(store: Store, app: str, who: Person, filter: Filter, now: int) -> About:
    """Return everything about a person in a period; what was found and decided is of any time."""
    keys = _keys(who)
    findings = [one for key in keys for one in store.findings.list(app, user=key, limit=MOST).items]
    decisions = on_person(store, app, keys, now)
    labels = store.labels.of(app, "user", who.key, now)
    return About(store.explorer.user(app, keys, filter), _newest(findings), decisions, labels)


def on_person(store: Store, app: str, keys: Sequence[str], now: int) -> tuple[KeptDecision, ...]:
    """Return the decisions on a person, alone or with an address or a device: those in force, and the newest."""
    held = store.decisions.list(app, users=keys, now=now, limit=_PAGE).items
    return _latest((*held, *store.decisions.list(app, users=keys).items))


def place_of(store: Store, app: str, ip: str, filter: Filter, now: int) -> About:
    """Return everything about the filter's address or network; decisions on networks around it count."""
    known = store.access.app(app)
    names = names_of(ip, known.ipv6 if known else 64)
    findings = _found_in(store, app, ip) if "/" in ip else _found_at(store, app, names)
    labels = {label for name in names for label in store.labels.of(app, "ip", name, now)}
    found = store.explorer.ip(app, filter)
    return About(found, _newest(findings), decided(store, app, names, now), tuple(sorted(labels)))


def _found_at(store: Store, app: str, names: Iterable[str]) -> Iterable[KeptFinding]:
    return [one for name in names for one in store.findings.list(app, ip=name, limit=MOST).items]


def _found_in(store: Store, app: str, network: str) -> Iterable[KeptFinding]:
    """Return the findings about addresses of a network, of those that are looked at."""
    wanted = place(network)
    for kept in _looked_at(store, app):
        if kept.finding.ip is not None and place(kept.finding.ip).within(wanted):
            yield kept


def names_of(ip: str, ipv6: int) -> tuple[str, ...]:
    """Return the names an address goes by: its own, and of version 6 that of the network it is grouped by."""
    return tuple(dict.fromkeys((ip, address.network_of(ip, ipv6))))


def decided(store: Store, app: str, names: Sequence[str], now: int) -> tuple[KeptDecision, ...]:
    """Return the decisions on an address, in force or not, and those in force on networks around it."""
    scopes = {name: "network" if "/" in name and "." in name else "ip" for name in names}
    found = [one for name, scope in scopes.items() for one in store.decisions.list(app, scope=scope, value=name).items]
    return _latest((*found, *store.decisions.on(app, ("network",), around(names[0]), now)))


def met(store: Store, app: str, of: Literal["user", "ip"], some: Iterable[str], now: int) -> dict[str, str]:
    """Return how those of some users or addresses are met whom a decision in force is on, or a network around them."""
    near = {one: {one, *around(one)} if of == "ip" else {one} for one in some}
    held = _held(store, app, ("ip", "network") if of == "ip" else ("user",), near.values(), now)
    found = {one: standing((kept for name in names & held.keys() for kept in held[name]), now)
             for one, names in near.items()}  # fmt: skip
    return {one: some[0].decision.kind for one, some in found.items() if some}


def beside(store: Store, app: str, of: Literal["user", "ip"], found: About, now: int) -> dict[str, str]:
    """Return which of a person's addresses, or of an address's users, a decision in force stops, and how.

    Whoever is stopped by where they come from is stopped as well, and asks about their account.
    """
    seen = found.activity.shares.get(f"{of}s", ())
    return {one: kind for one, kind in met(store, app, of, (one.value for one in seen), now).items() if kind != "allow"}


def _held(
    store: Store, app: str, scopes: Collection[str], targets: Iterable[set[str]], now: int
) -> dict[str, list[KeptDecision]]:
    """Return the decisions in force on some targets, by target."""
    held: dict[str, list[KeptDecision]] = {}
    for kept in store.decisions.on(app, scopes, set().union(*targets), now):
        held.setdefault(kept.decision.value, []).append(kept)
    return held


def stopping(store: Store, app: str, scope: Single, value: str, now: int) -> list[KeptDecision]:
    """Return the decisions in force that stop a user, also at one place or on one device, or that address or network.

    What stops an address because it is on a network around it is not among them: others would be let through as well.
    """
    if scope == "user":
        found = on_person(store, app, _keys(known_person(store, app, value)), now)
    else:
        found = tuple(kept for kept in decided(store, app, (value,), now) if kept.decision.value == value)
    return [kept for kept in found if kept.decision.kind != "allow" and kept.in_force(now)]


def around(ip: str) -> list[str]:
    """Return the networks that an address or a network lies within, itself among them, as decisions name them."""
    here = place(ip)
    return [str(here.wider(length)) for length in range(WIDEST[here.version], here.length + 1)]


def standing(decisions: Iterable[KeptDecision], now: int) -> list[KeptDecision]:
    """Return the decisions in force, the strictest first, and last those that do not count: see `overruled`.

    Of the strictest come those that hold at all requests, then those on all of somebody, then the longest.
    """
    live = sorted((kept for kept in decisions if kept.in_force(now)), key=_weight, reverse=True)
    over = overruled(live, now)
    return sorted(live, key=lambda kept: kept.decision.id in over)


def overruling(store: Store, app: str, some: Iterable[KeptDecision], now: int) -> dict[str, KeptDecision]:
    """Return those of some decisions that do not count, by id, each with the person's that stands in its place."""
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
    """How many decisions of each kind count now, and of how many a person's stands in the place."""

    kinds: dict[str, int]
    overruled: int


def in_force(store: Store, app: str, now: int) -> InForce:
    """Return how many decisions of an app count, each once for all of a person's keys."""
    some = contested(store, app, now)
    over = overruling(store, app, some, now)
    less: Counter[str] = Counter(kept.decision.kind for kept in some if kept.decision.id in over)
    standing = store.decisions.standing(app, now)
    return InForce({kind: number - less[kind] for kind, number in standing.items() if number > less[kind]}, len(over))


def contested(store: Store, app: str, now: int) -> list[KeptDecision]:
    """Return the decisions in force on whom, or on addresses in a network that, people decided by hand in force.

    Of each kind of these the newest thousand are looked at.
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
    """Return the targets on which a decision may hold wherever this one does."""
    if decision.scope in PAIRS:
        return {decision.value, unpair(decision.value)[0]}
    return {decision.value} if decision.scope == "user" else {decision.value, *around(decision.value)}


def overruled(decisions: Iterable[KeptDecision], now: int) -> dict[str, KeptDecision]:
    """Return the decisions in force that do not count, by id, each with the person's decision that stands in its place.

    One counts as long as there are requests at which it does: only those overrule it that hold wherever it does.
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
    """Return at which address or on which device of somebody a decision holds, None for everywhere."""
    return f"{decision.scope} {unpair(decision.value)[1]}" if decision.scope in PAIRS else None


def _weight(kept: KeptDecision) -> tuple[int, bool, bool, int]:
    one = kept.decision
    return STRICTNESS[one.kind], not one.logins_only, one.scope not in PAIRS, one.until or FOREVER


def most_found(store: Store, app: str, since: int, of: Literal["user", "ip"]) -> list[tuple[str, int, int]]:
    """Return who has most findings since a time: the key or address, how many, and when the newest was."""
    counts: Counter[str] = Counter()
    newest: dict[str, int] = {}
    for kept in _looked_at(store, app, since):
        if (value := getattr(kept.finding, of)) is not None and kept.status != "retracted":
            counts[value] += 1
            newest.setdefault(value, kept.finding.at)
    return [(value, number, newest[value]) for value, number in counts.most_common()]


def _looked_at(store: Store, app: str, since: int | None = None) -> Iterator[KeptFinding]:
    """Give the newest findings, and no more of them than are ever looked at for one answer."""
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
