"""The decisions in force, in memory: deltas go in, verdicts come out within microseconds.

The set is one immutable value: `apply` returns a new one that shares all it did not change, so a reader never sees half
a change. Where decisions come from and what the time is are not known here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from sentinel.core import address
from sentinel.core.decision import (
    ALLOW,
    FOREVER,
    PAIRS,
    STRICTNESS,
    Decision,
    Delta,
    Kind,
    Scope,
    Subject,
    Verdict,
    pair,
    place,
)
from sentinel.core.prefixes import Prefixes
from sentinel.core.shards import MASK, SHARDS, Entry, Places, Shard, Shards, Terms, weight_of

LIMIT = 4_000_000
ROOM = 512 << 20  # bytes of all that is text in the decisions
_LONGEST_REASON = 200


class Found(NamedTuple):
    """A decision that applies to a subject.

    `aspect` is what it is on: `user`, `user+ip`, `user+device`, or a number that tells the networks of one address
    apart by their length. `key` is the user key it was found by, empty for addresses and networks.
    """

    aspect: str | int
    key: str
    entry: Entry


class Decisions:
    """An immutable set of decisions. `salt` (at most 16 secret bytes) keeps outsiders from finding hashes that collide.

    `refused` counts decisions left out because the set had `limit` of them already, or their texts took `ROOM`.
    """

    __slots__ = (
        "_hash",
        "_paired",
        "_pairs",
        "_places",
        "_size",
        "_weight",
        "limit",
        "networks",
        "refused",
        "revision",
        "salt",
        "shards",
    )

    def __init__(self, salt: bytes = b"", limit: int = LIMIT) -> None:
        self.salt = salt
        self.limit = limit
        self.revision = 0
        self.refused = 0
        self._size = 0
        self._weight = 0
        self._pairs: dict[str, int] = dict.fromkeys(PAIRS, 0)
        self._paired = False
        self.shards: Shards = [None] * SHARDS
        self.networks = Prefixes()
        self._places = Places()
        self._hash = _hasher(salt)

    def __len__(self) -> int:
        return self._size

    def apply(self, delta: Delta) -> Decisions:
        """Return a new set with a delta's additions, then its removals, made; with `reset` it starts from nothing."""
        draft = Draft(Decisions(self.salt, self.limit) if delta.reset else self)
        for decision in delta.added:
            draft.add(decision)
        for id in delta.removed:
            draft.remove(id)
        return draft.done(delta.revision)

    def match(self, subject: Subject, now: int) -> Verdict:
        """Return the verdict on a subject at `now`, in microseconds since 1970."""
        found: list[Found] = []
        every = bool(subject.passed)  # then which challenge was passed matters
        if subject.ip and (covering := self.networks.find(subject.ip, every)):
            found = [Found(free, "", entry) for free, entry in covering]
        for user in subject.users:
            key = self._hash(user)
            shard = self.shards[key & MASK]
            if shard is not None:
                keys = shard.keys
                at = bisect_left(keys, key)  # here and not in a function: most find nothing, at every request
                if at < len(keys) and keys[at] == key:
                    entries = shard.find(key, every)
                    found += [Found("user", user, entry) for entry in entries if entry.terms.scope == "user"]
            if self._paired:
                found += self._find_pairs(user, subject, every)
        return judge(found, subject, now) if found else ALLOW

    @property
    def weight(self) -> int:
        """About how many bytes the texts take that the set holds."""
        return self._weight + self.networks.weight

    @property
    def by_device(self) -> bool:
        """Whether any decision is on a user's device; without one no subject needs its device."""
        return self._pairs["user+device"] > 0

    def expired(self, now: int) -> Iterator[tuple[str, ...]]:
        """Give the ids of decisions that have ended, in small lots, for a delta that removes them."""
        for shard in self.shards:
            if shard is not None and (over := shard.ended(now)):
                yield tuple(over)
        for lot in self.networks.ended(now):
            yield tuple(lot)

    def parts(self) -> list[object]:
        """Return the objects the set is made of: dropped one by one, a large set is freed in small steps."""
        return [*self.shards, *self._places.parts(), *self.networks.parts()]

    def _find_pairs(self, user: str, subject: Subject, every: bool) -> Iterator[Found]:
        for scope, other in _others(subject):
            if self._pairs[scope]:
                key = self._hash(_text(scope, pair(user, other)))
                shard = self.shards[key & MASK]
                for entry in shard.find(key, every) if shard is not None else ():
                    if entry.terms.scope == scope:
                        yield Found(scope, user, entry)


class Draft:
    """A set that is being made from another one; shards are copied when first changed."""

    def __init__(self, base: Decisions) -> None:
        self._base = base
        self.shards = base.shards[:]
        self.networks = base.networks.draft()
        self._places = base._places.draft()
        self._pairs = dict(base._pairs)
        self._size = base._size
        self._weight = base._weight  # of the shards
        self._refused = base.refused
        self._own: set[int] = set()

    def add(self, decision: Decision) -> None:
        """Add a decision, in place of one of the same id; where there is no room it is only counted as refused."""
        self.remove(decision.id)
        if self._size >= self._base.limit or self._weight + self.networks.weight >= ROOM:
            self._refused += 1
            return
        self.put(decision.value, _entry(decision))

    def put(self, value: str, entry: Entry) -> None:
        """Add an entry whose id is not in the set."""
        scope = entry.terms.scope
        if scope in ("ip", "network"):
            self._count(entry, self.networks.add(place(value), entry) + SHARDS)
        else:
            self.put_hashed(self._base._hash(_text(scope, value)), entry)

    def put_hashed(self, key: int, entry: Entry) -> None:
        """Add an entry under the hash of its user or pair."""
        number = key & MASK
        shard = self._changing(number)
        self._weight -= shard.weight
        shard.insert(key, entry)
        self._weight += shard.weight
        self._count(entry, number)

    def adopt(self, number: int, shard: Shard) -> None:
        """Take over a whole shard under its number; raises ValueError where the draft has one there already."""
        if self.shards[number] is not None:
            raise ValueError("a shard that is there twice")
        self.shards[number] = shard
        shard.weight = weight_of(shard.terms, shard.names.values())
        self._weight += shard.weight
        self._own.add(number)
        for at in range(len(shard.keys)):
            self._count(shard.entry(at), number)

    def remove(self, id: str) -> None:
        """Take a decision out, if it is there."""
        for number in self._places.find(id):
            gone = self._taken(number, id) if number < SHARDS else self.networks.remove(id, number - SHARDS)
            if gone is not None:
                self._places.remove(id, number)
                self._size -= 1
                if gone.terms.scope in self._pairs:
                    self._pairs[gone.terms.scope] -= 1
                return

    def done(self, revision: int) -> Decisions:
        """Return the finished set; the draft must not be used afterwards."""
        made = Decisions(self._base.salt, self._base.limit)
        made.revision, made.refused = revision, self._refused
        made._size, made._weight = self._size, self._weight
        made._pairs, made._paired = self._pairs, any(self._pairs.values())
        made.shards, made.networks, made._places = self.shards, self.networks.done(), self._places
        return made

    def _count(self, entry: Entry, number: int) -> None:
        self._places.add(entry.id, number)
        self._size += 1
        if entry.terms.scope in self._pairs:
            self._pairs[entry.terms.scope] += 1

    def _taken(self, number: int, id: str) -> Entry | None:
        shard = self._changing(number)
        self._weight -= shard.weight
        gone = shard.remove(id)
        self._weight += shard.weight
        return gone

    def _changing(self, number: int) -> Shard:
        shard = self.shards[number]
        if shard is None or number not in self._own:
            shard = Shard() if shard is None else shard.copy()
            self.shards[number] = shard
            self._own.add(number)
        return shard


def judge(found: Iterable[Found], subject: Subject, now: int) -> Verdict:
    """Return the verdict on a subject, of the decisions found for it.

    1. What has ended is left out, and `logins_only` decisions unless the subject is logging in.
    2. A decision by hand overrules those of playbooks on the same target; an `allow` by hand overrules all of theirs.
    3. An `allow` on a user at an address or on a device overrules that user's `logins_only` decisions by playbooks.
    4. Challenges that the subject has passed are left out, and their repeats for linked keys.
    5. Of the rest the strictest holds; of equals the one with the latest end, then the one with the smallest id.
    """
    live = [one for one in found if one.entry.until > now and (subject.login or not one.entry.terms.logins_only)]
    if over := overruled(live):
        live = [one for one in live if one.entry.id not in over]
    familiar = {one.key for one in live if one.entry.terms.kind == "allow" and one.aspect in PAIRS}
    if familiar:
        live = [one for one in live if not _lifted(one, familiar)]
    if subject.passed:
        met = [one for one in live if one.entry.terms.kind == "challenge" and one.entry.id in subject.passed]
        live = [one for one in live if one not in met and not _repeats(one, met)]
    return _verdict(min(live, key=_order).entry) if live else ALLOW


def overruled(live: Sequence[Found]) -> dict[str, str]:
    """Return the ids of playbooks' decisions that are overruled, each with the id of the decision by hand that does."""
    personal = [one for one in live if _manual(one)]
    if not personal:
        return {}
    allowing = next((one.entry.id for one in personal if one.entry.terms.kind == "allow"), None)
    on = {one.aspect: one.entry.id for one in reversed(personal)}
    over = {one.entry.id: allowing or on.get(one.aspect) for one in live if not _manual(one)}
    return {id: by for id, by in over.items() if by is not None}


def bears(decision: Decision) -> Found:
    """Return a decision as a subject would find it, for `overruled`, which takes decisions that meet one subject."""
    scope, value = decision.scope, decision.value
    on_place = scope in ("ip", "network")
    return Found(place(value).length if on_place else scope, "" if on_place else value, _entry(decision))


def _manual(one: Found) -> bool:
    return one.entry.terms.playbook is None


def _lifted(one: Found, familiar: set[str]) -> bool:
    terms = one.entry.terms
    return terms.logins_only and not _manual(one) and terms.kind != "allow" and one.key in familiar


def _repeats(one: Found, others: Iterable[Found]) -> bool:
    """Say whether a decision has the end and the terms of one of `others`, but was found by another key."""
    return any(one.entry[:2] == other.entry[:2] and one.key != other.key for other in others)


def _order(one: Found) -> tuple[int, int, str]:
    return -STRICTNESS[one.entry.terms.kind], -one.entry.until, one.entry.id


def _verdict(entry: Entry) -> Verdict:
    terms = entry.terms
    until = None if entry.until == FOREVER else entry.until
    return Verdict(terms.kind, entry.id, terms.to, until, terms.reason, terms.playbook, terms.scope)


def _text(scope: str, value: str) -> str:
    return value if scope == "user" else f"{scope}\0{value}"


def _others(subject: Subject) -> Iterator[tuple[str, str]]:
    if subject.ip:
        for where in address.around(subject.ip):
            yield "user+ip", where
    if subject.device:
        yield "user+device", subject.device


def _entry(decision: Decision) -> Entry:
    until = FOREVER if decision.until is None else decision.until
    reason, playbook = decision.reason[:_LONGEST_REASON], decision.playbook and decision.playbook[:_LONGEST_REASON]
    return Entry(
        until, _terms(decision.kind, decision.scope, decision.to, reason, playbook, decision.logins_only), decision.id
    )


@lru_cache(maxsize=1 << 14)
def _terms(kind: Kind, scope: Scope, to: str | None, reason: str, playbook: str | None, logins_only: bool) -> Terms:
    """Return equal terms as one object, so that a million decisions do not keep a million copies."""
    return Terms(kind, scope, to, reason, playbook, logins_only)


def _hasher(salt: bytes) -> Callable[[str], int]:
    fresh = blake2b(digest_size=8, salt=salt).copy
    number = int.from_bytes

    def hashed(text: str) -> int:
        state = fresh()
        state.update(text.encode() if text.isascii() else text.encode("utf-8", "surrogatepass"))
        return number(state.digest(), "little")

    return hashed
