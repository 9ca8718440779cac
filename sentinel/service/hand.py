"""What people do by hand: how a target and an end are read, decisions and allowances made, findings pardoned.

Both the API and the console call it, after checking who may; what the action means is here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import get_args

from sentinel.core import address, identity, moment
from sentinel.core.decision import PAIRS, Decision, Kind, Scope, Single, pair, place, unpair
from sentinel.core.duration import ENDLESS, parse_duration
from sentinel.core.errors import Conflict, DecisionError, SentinelError, StoreBusy
from sentinel.core.ids import CHANCE, new_id
from sentinel.core.record import BY_HAND, Allowance, Filter, KeptFinding
from sentinel.service.ports import Store

SINGLES: tuple[Single, ...] = get_args(Single)
_LENGTH = re.compile(r"[0-9][0-9smhd]*[smhd]", re.ASCII)  # no time ends so
MOST_ALLOWED = 10_000  # allowances in force of an app: each finding looks at them


def decide(
    store: Store, app: str, kind: Kind, scope: Scope, value: str, end: int | None, why: str, by: str, now: int,
    *, to: str | None = None, logins_only: bool = False,
) -> Decision:  # fmt: skip
    """Store a decision by hand and return it. The caller tells connected processes of it."""
    made = Decision(
        id=_id(now), kind=kind, scope=scope, value=value, to=to, made=now, until=end, reason=why, by=by,
        logins_only=logins_only,
    )  # fmt: skip
    store.decisions.add(app, made, by, now)
    return made


def allow(
    store: Store, app: str, scope: Single, value: str, end: int | None, why: str, by: str, now: int,
    *, lift: bool = True,
) -> tuple[Allowance, bool]:  # fmt: skip
    """Add an allowance, or give the one there is for this target this end and reason; return it.

    With `lift` what playbooks decided about the target is ended; the second value says whether there was anything to
    end. Raises Conflict where the app has too many allowances.
    """
    held = _room(store, app, [(scope, value)], now)[scope, value]
    made = _allowance((scope, value), held, end, why, by, now)
    return made, store.allow.add(app, made, by, now, lift=lift)


def lift_all(
    store: Store, app: str, why: str, by: str, now: int, *, playbook: str | None = None, maker: str | None = None,
    kind: str | None = None,
) -> tuple[int, int]:  # fmt: skip
    """End for good all decisions of a playbook, or of a maker by hand; return the revision and how many these were.

    Raises SentinelError where neither is named: that would end everything.
    """
    if not (playbook or maker):
        raise SentinelError("`playbook`: neither it nor `by` says whose", f"write `playbook=…` or `by={BY_HAND}`")
    return store.decisions.lift_all(app, by, why, now, playbook=playbook, maker=maker, kind=kind)


def target(scope: str, value: str | tuple[str, str], ipv6: int) -> str:
    """Return a target of a decision in its canonical spelling; raises SentinelError for one that cannot be read.

    `ipv6` is the prefix length by which the app groups IPv6 addresses: what playbooks decide has the same spelling.
    """
    if scope in PAIRS:
        who, other = unpair(value) if isinstance(value, str) else value
        if scope == "user+ip":
            other = address.network_of(_address("value", other), ipv6)
        return pair(user("value", who), other)
    if not isinstance(value, str):
        raise SentinelError(f"`value`: a pair, and the scope is `{scope}`", "pairs belong to `user+ip`")
    if scope == "user":
        return user("value", value)
    return address.network_of(_address("value", value), ipv6) if scope == "ip" else str(place(value))


def spellings(value: str, scope: str | None, ipv6: int) -> list[str]:
    """Return the values by which decisions may name what somebody typed, in one scope or, without it, in any."""
    found = [value]
    for one in SINGLES if scope is None else (scope,):
        with suppress(SentinelError):
            found.append(target(one, value, ipv6))
    return list(dict.fromkeys(found))


def user(name: str, value: str) -> str:
    """Return the user key that a text means (`42` is `id:42`); raises SentinelError for one that names nobody."""
    found = identity.read_key(value)
    if not found.partition(":")[2]:
        raise SentinelError(f"`{name}`: `{value[:64]}` names nobody", "write `42`, or `email:jane@example.com`")
    return found


def one_user(name: str, value: str) -> str:
    """Return the user key that a text means; raises SentinelError also for a placeholder, such as `id:null`."""
    found = user(name, value)
    if identity.is_placeholder(found):
        why = f"`{name}`: `{found[:64]}` stands for no user: whoever comes with it may be anybody"
        raise SentinelError(why, "name them by another identifier")
    return found


def known_user(store: Store, app: str, name: str, value: str) -> str:
    """Return the user key that a text means in an app.

    A bare name is an `id` if that is known, else the one other identifier of the app that is: `alice` may be
    `username:alice`. Where none is known it is an `id`; raises SentinelError where several others are.
    """
    own = store.access.app(app)
    first, *others = user(name, value), *identity.read_keys(value, own.identifiers if own else ())[1:]
    if not others or _is_known(store, app, first):
        return first
    found = [key for key in others if _is_known(store, app, key)]
    if len(found) > 1:
        hint = f"write {' or '.join(f'`{key[:64]}`' for key in found)}"
        raise SentinelError(f"`{name}`: `{value[:64]}` may be several users", hint)
    return next(iter(found), first)


def bearer(store: Store, app: str, kind: str, value: str) -> str:
    """Return the target of a label as events name it: the person's own key, or the address as the app groups it.

    `kind` is `user` or `ip`. Raises SentinelError for a placeholder, for no address, and for any other network.
    """
    if kind == "user":
        return store.people.keys(app, one_user("target", value))[0]
    head, slash, bits = value.partition("/")
    found = address.normalise(head)
    known = store.access.app(app)
    if found is None or known is None or (slash and not bits.isdecimal()):
        raise _no_address("target", value)
    group = address.network_of(found, known.ipv6) if ":" in found else found
    if slash and spot("target", value) != group:
        raise SentinelError(f"`target`: `{value[:64]}` is a network", "label its addresses, or make a list of networks")
    return group


def warnings(decision: Decision, never: Iterable[str] = ()) -> list[str]:
    """Return warnings about a decision by hand on a target that no playbook would act on; it counts all the same.

    `never` are the networks of the app's own proxies.
    """
    if decision.kind == "allow":
        return []
    who, where = unpair(decision.value) if decision.scope in PAIRS else (decision.value, decision.value)
    found = _strangers(who) if decision.scope in ("user", *PAIRS) else []
    return found + (_odd_place(where, never) if decision.scope in ("ip", "network", "user+ip") else [])


def _strangers(key: str) -> list[str]:
    nobody = f"`{key[:64]}` stands for no user: it is whoever comes with it, and no playbook would act on it"
    return [nobody] if identity.is_placeholder(key) else []


def _odd_place(value: str, never: Iterable[str]) -> list[str]:
    where = place(value)
    found = []
    if address.is_untouchable(value):
        found.append(f"`{value}` is private or local: many may share it, and no playbook would act on it")
    if any(where.meets(own) for own in map(place, never)):
        found.append(f"`{value}` is the app's own proxy: every request that seems to come from it is concerned")
    return found


def until(length: str | None, end: str | None, now: int) -> int | None:
    """Return the end of something that lasts for `length` from now or until `end`, None for ever.

    Raises SentinelError for both at once, for a text that cannot be read, and for an end that is over.
    """
    if length is not None and end is not None:
        raise SentinelError("`for`: there is an `until` already", "leave one of them out")
    if end is not None:
        at = time("until", end)
        if at <= now:
            raise SentinelError(f"`until`: `{end}` is over")
        return at
    if length is None or length == ENDLESS:
        return None
    return now + lasting("for", length, endless=True)


def lasting(name: str, length: str, endless: bool = False) -> int:
    """Return the microseconds of a text such as `7d`. Raises SentinelError, which names `name`, also for zero.

    `endless` says that the caller takes `forever` as well.
    """
    found = _length(name, length, endless)
    if found <= 0:
        raise SentinelError(f"`{name}`: `{length}` is over at once", "write a longer time, such as `15m`")
    return found


def _length(name: str, text: str, endless: bool = False) -> int:
    try:
        return parse_duration(text, endless)
    except SentinelError as error:
        raise SentinelError(f"`{name}`: {error.message}", error.hint) from None


def time(name: str, value: str) -> int:
    """Return the moment of a text, RFC 3339 or seconds since 1970. Raises SentinelError, which names `name`."""
    try:
        number = float(value) if value.replace(".", "", 1).isdecimal() and value.isascii() else value
        return moment.parse(number)
    except SentinelError as error:
        raise SentinelError(f"`{name}`: {error.message.partition(': ')[2]}", error.hint) from None


def past(name: str, value: str, now: int) -> int:
    """Return the moment of a text as `time` does; it may also say how long before `now`, such as `24h`."""
    if _LENGTH.fullmatch(value):
        return max(now - _length(name, value), 0)
    try:
        return time(name, value)
    except SentinelError as error:
        raise SentinelError(error.message, f"{error.hint}, or how long ago, such as `24h`") from None


def spot(name: str, value: str) -> str:
    """Return an address or a network in its canonical spelling. Raises SentinelError, which names `name`."""
    if "/" not in value:
        return _address(name, value)
    try:
        return str(place(value))
    except DecisionError as error:
        raise SentinelError(f"`{name}`: {error.message.partition(': ')[2]}", error.hint) from None


def targets(kept: KeptFinding) -> list[tuple[Single, str]]:
    """Return the (scope, value) of everybody that a finding acted on or would have, as an allowance names them.

    Where its playbook acts on nobody, it is the finding's own user, else its address.
    """
    made = [one for effect in kept.finding.effects for one in effect.decisions]
    found: list[tuple[Single, str]] = []
    for one in made:
        if one.scope in PAIRS:
            found.append(("user", unpair(one.value)[0]))
        elif one.scope in ("user", "ip", "network"):
            found.append((one.scope, one.value))
    if not found and kept.finding.user is not None:
        found.append(("user", kept.finding.user))
    if not found and kept.finding.ip is not None:
        found.append(("network" if "/" in kept.finding.ip else "ip", kept.finding.ip))
    return list(dict.fromkeys(found))


def pardon(store: Store, app: str, kept: KeptFinding, why: str, length: str | None, by: str, now: int) -> None:
    """Mark a finding as a false positive, lift what it decided, and allow its targets, in one transaction.

    `length` is how long they are allowed, None for ever; an allowance that lasts longer already keeps its end. Raises
    Conflict where the app would have too many allowances.
    """
    end = until(length, None, now)
    made = []
    for whom, held in _room(store, app, targets(kept), now).items():
        longest = end if held is None or end is None else held.until and max(end, held.until)
        made.append(_allowance(whom, held, longest, why, by, now))
    store.findings.mark(app, kept.finding.id, "false-positive", by, now, why, lift=True, allow=made)


def prolong(store: Store, app: str, kept: KeptFinding, why: str, length: str, by: str, now: int) -> None:
    """Decide by hand, for `length` from now, what a finding decided or would have decided.

    Decisions on a user who was only claimed, and on that user's familiar places, stay those of the playbook. By hand
    the first would not spare these places any more, and the second would overrule all that playbooks decide there.
    """
    end = until(length, None, now)
    made = [one for effect in kept.finding.effects for one in effect.decisions]
    wanted = {(one.kind, one.scope, one.value): one for one in made}
    for one in wanted.values():
        longer = replace(
            one, id=_id(now), made=now, until=end, reason=why, by=by, finding=None if kept.undone else kept.finding.id
        )
        if not (one.logins_only or one.kind == "allow"):
            longer = replace(longer, playbook=None, version=None)
        store.decisions.add(app, longer, by, now)


def _room(
    store: Store, app: str, wanted: Iterable[tuple[Single, str]], now: int
) -> dict[tuple[Single, str], Allowance | None]:  # fmt: skip
    """Return the allowance in force of each target, None where it has none yet.

    Raises Conflict where the app would have too many with those that are missing.
    """
    there = store.allow.list(app, now)
    oldest = {(one.scope, one.value): one for one in reversed(there)}
    found = {one: oldest.get(one) for one in wanted}
    if (new := list(found.values()).count(None)) and len(there) + new > MOST_ALLOWED:
        hint = "take back what nobody needs, or allow a network"
        raise Conflict(f"there are {len(there):,} allowances already, of at most {MOST_ALLOWED:,}", hint)
    return found


def _allowance(
    whom: tuple[Single, str], held: Allowance | None, end: int | None, why: str, by: str, now: int
) -> Allowance:  # fmt: skip
    return Allowance(held.id if held else _id(now), *whom, why, held.made if held else now, end, by)


def _is_known(store: Store, app: str, key: str) -> bool:
    """Say whether a person has a user key, or any event; False for the latter while events cannot be searched."""
    if store.people.get(app, key) is not None:
        return True
    with suppress(StoreBusy):
        return bool(store.events.search(app, Filter(user=key), 1).items)
    return False


def _id(now: int) -> str:
    return new_id(now // 1000, os.urandom(CHANCE))


def _address(name: str, value: str) -> str:
    found = address.normalise(value)
    if found is None:
        raise _no_address(name, value)
    return found


def _no_address(name: str, value: str) -> SentinelError:
    return SentinelError(f"`{name}`: `{value[:64]}` is not an address", "write `203.0.113.9`")
