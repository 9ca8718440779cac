"""From an opening to a finding with effects: what should be done, to whom, for how long, and what holds it back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b

from sentinel.core import address
from sentinel.core.decision import Decision, Kind, Scope, pair
from sentinel.core.errors import IdentityError
from sentinel.core.event import Event
from sentinel.core.finding import Effect, Finding, finding_id
from sentinel.core.identity import is_placeholder, key_type, normalise, read_key
from sentinel.engine.crowd import MOST
from sentinel.engine.emit import emission
from sentinel.engine.fields import compile_field
from sentinel.engine.judge import Judge
from sentinel.engine.memory import Memory
from sentinel.engine.playbook import Action, Playbook
from sentinel.engine.windows import Opening

DECIDES: dict[str, Kind] = {
    "block_user": "block", "block_ip": "block", "redirect_user": "redirect", "redirect_ip": "redirect",
    "challenge_user": "challenge",
}  # fmt: skip
SHARED = "shared address"
MORE = f"more than {MOST} users were seen: these were seen last"


@dataclass(frozen=True, slots=True)
class Case:
    """One opening to respond to: `event` brought it up, `held` is what holds back every action of the playbook."""

    judge: Judge
    opening: Opening
    event: Event
    memory: Memory
    now: int
    id: str
    held: str | None

    @property
    def playbook(self) -> Playbook:
        """The playbook that found it."""
        return self.judge.playbook

    @property
    def since(self) -> int:
        """When the window began, in which it was found."""
        return self.opening.at - self.playbook.window

    def users(self) -> tuple[list[str], bool]:
        """Return the users seen in the window, and whether there were more than are kept."""
        found, more = self.memory.crowd.of(self.playbook.id, self.opening.hit.key, self.since)
        own = self.event.user
        return (found if own is None or own in found else [*found, own]), more


def crowded(playbook: Playbook) -> bool:
    """Say whether a playbook can act on all users of a window, so that they must be remembered."""
    return any(action.kind == "block_users" or action.unless_shared_by for action in playbook.actions)


def everywhere(playbook: Playbook) -> bool:
    """Say whether it can act on them wherever they are, or only at addresses that `Familiar.is_shared` knows."""
    spares = [action for action in playbook.actions if action.unless_shared_by]
    others = any(action.kind == "block_users" for action in playbook.actions)
    return others or any(action.target is not None or action.unless_shared_by == 1 for action in spares)


def respond(judge: Judge, opening: Opening, event: Event, memory: Memory, now: int, *, acting: bool) -> Finding:
    """Return the finding of an opening. `event` is the one whose delivery brought it up, `now` the moment of it.

    `acting` is false where the playbook only monitors. The memory learns of what is acted on.
    """
    playbook = judge.playbook
    id = finding_id(memory.app, playbook.id, opening.hit.key, opening.at, opening.id)
    mode = "enforce" if acting else "monitor"
    case = Case(judge, opening, event, memory, now, id, _held(judge, event, memory, now, acting))
    effects = [effect for action in playbook.actions for effect in _effects(case, action)]
    effects = _guarded(judge, effects, memory, now, id)
    return Finding(
        id=id, playbook=playbook.id, version=playbook.version, severity=playbook.severity, mode=mode,
        key=opening.hit.key, group=judge.group(event), at=opening.at, event_id=opening.id,
        tally=judge.prepared.tally(opening.tally), threshold=judge.prepared.threshold, title=playbook.title,
        user=event.user, ip=event.ip, approximate=opening.approximate, historical=event.historical,
        effects=tuple(effects), acted=any(_acts(effect) for effect in effects),
        events=opening.events or (opening.id,),
    )  # fmt: skip


def _acts(effect: Effect) -> bool:
    return effect.held is None and effect.target is not None


def _held(judge: Judge, event: Event, memory: Memory, now: int, acting: bool) -> str | None:
    """Return what holds back every action of the playbook, if anything does."""
    if not acting:
        playbook = judge.playbook
        return "rollout" if playbook.mode == "enforce" and playbook.rollout is not None else "monitor"
    if event.historical:
        return "historical"
    return "guard" if memory.ledger.tripped(judge.playbook.id, now) else None


def _effects(case: Case, action: Action) -> Iterator[Effect]:
    """Give what one action comes to, each with what holds it back."""
    if action.kind == "notify":  # people are told of what is only monitored, and when a guard holds, but of no past
        yield Effect(action.kind, channel=action.channel, held="historical" if case.event.historical else None)
    elif action.kind == "webhook":
        yield Effect(action.kind, channel=action.channel, held=case.held)
    elif action.kind == "emit":
        yield emission(case.judge, action, case.event, case.opening.at, case.id, case.held)
    elif action.kind == "block_users":
        lasts = replace(action, kind="block_user", durations=action.durations or (case.playbook.cooldown,))
        yield from _on_everybody(case, lasts)
    elif (target := _target(action, case.event)) is None:
        yield Effect(action.kind, label=action.label, held="the event names no target")
    elif _is_shared(case, action, target):
        yield _effect(case, action, target, SHARED)
        yield from _on_everybody(case, replace(action, kind="challenge_user", to=None), but=target)
    else:
        yield _effect(case, action, target, case.held)


def _on_everybody(case: Case, action: Action, but: str | None = None) -> Iterator[Effect]:
    """Give an action on each user seen in the window; the address `but` counts as nobody's familiar place."""
    users, more = case.users()
    for user in users:
        yield _effect(case, action, user, case.held, but)
    if more:
        yield Effect(action.kind, held=MORE)
    elif not users:
        yield Effect(action.kind, held="no event names a user")


def _effect(case: Case, action: Action, target: str, held: str | None, but: str | None = None) -> Effect:
    """Return one action on one target."""
    held = held or _protected(case, action, target)
    length = _length(case, action, target)
    decisions = _decisions(case, action, target, length, but) if action.kind in DECIDES else ()
    return Effect(action.kind, target, length, decisions, label=action.label, held=held)


def _target(action: Action, event: Event) -> str | None:
    of_user = action.kind.endswith("_user")
    if action.target is None:
        return event.user if of_user else event.network_ip
    value = compile_field(action.target)(event)
    if of_user:
        return _user(action.target, value)
    found = address.normalise(value) if type(value) is str else None
    return address.network_of(found, event.ipv6) if found else None


def _user(field: str, value: object) -> str | None:
    """Return the key of the user that a field names; None where no user can have that name.

    A property may hold anything: a whole number is read as an id, and what is no text names nobody.
    """
    name = field.removeprefix("user.")
    if name != field:
        return f"{key_type(name)}:{value}" if value else None
    try:
        text = normalise("id", value) if type(value) is int else value
        key = read_key(text) if type(text) is str else ""
    except IdentityError:
        return None
    return key if key.partition(":")[2] else None


def _length(case: Case, action: Action, target: str) -> int | None:
    """Return for how long: the n-th time within 30 days uses the n-th step of the ladder."""
    if not action.durations:
        return None
    step = case.memory.ledger.times(case.playbook.id, action.kind, target, case.now, case.id)
    return action.durations[min(step, len(action.durations) - 1)]


def _is_shared(case: Case, action: Action, target: str) -> bool:
    """Say whether so many others use an address that it is to be spared."""
    shared = action.unless_shared_by
    if not shared or _protected(case, action, target):
        return False
    return case.memory.familiar.sharers(target, case.since) >= shared


def _protected(case: Case, action: Action, target: str) -> str | None:
    """Return why this target may not be acted on, or None."""
    kind = "user" if action.kind.endswith("_user") else "ip"
    if kind == "ip" and action.kind != "label_ip":
        if address.is_untouchable(target):
            return "private or local address"
        if case.event.trust == "browser":
            return "the address is only claimed by a browser"
    if kind == "user" and is_placeholder(target):
        return "it stands for no user"
    return case.memory.protected(kind, target, case.opening.at)


def _decisions(case: Case, action: Action, target: str, length: int | None, but: str | None) -> tuple[Decision, ...]:
    """Return what enforcement points are told; a block of a user only claimed spares the owner's places."""
    playbook = case.playbook
    of_user = action.kind.endswith("_user")
    claimed = of_user and case.judge.claimed and not playbook.accept_lockout
    until = None if length is None else case.now + length

    def decision(kind: Kind, scope: Scope, value: str) -> Decision:
        parts = f"{case.id}:{action.kind}:{kind}:{scope}:{value}"
        return Decision(
            id=blake2b(parts.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest(),
            kind=kind, scope=scope, value=value, to=action.to if kind == "redirect" else None, made=case.now,
            until=until, reason=playbook.title, playbook=playbook.id, version=playbook.version, finding=case.id,
            logins_only=claimed,
        )  # fmt: skip

    scope: Scope = "user" if of_user else "network" if "/" in target else "ip"
    places = case.memory.familiar.places(target, case.event.at - playbook.window) if claimed else ()
    spared = _spared(place for place in places if place != ("user+ip", but))
    return (
        decision(DECIDES[action.kind], scope, target),
        *(decision("allow", name, pair(target, value)) for name, value in spared),
    )


def _spared(places: Iterable[tuple[str, str]]) -> Iterable[tuple[Scope, str]]:
    """Return familiar places as decisions name them, each once."""
    named: dict[tuple[Scope, str], None] = {}
    for scope, value in places:
        if scope == "user+ip":
            named["user+ip", address.looked_up(value)] = None
        else:
            named["user+device", value] = None
    return named


def _guarded(judge: Judge, effects: list[Effect], memory: Memory, now: int, id: str) -> list[Effect]:
    """Note effects as done and return them; where they would exceed the playbook's guard, return them held back."""
    playbook, guard = judge.playbook, judge.playbook.guard
    acting = {one.target for one in effects if _acts(one)}
    if guard and len(memory.ledger.targets(playbook.id, now - guard.per) | acting) > guard.max and acting:
        memory.ledger.trip(playbook.id, now + guard.per)
        return [replace(one, held="guard") if one.held is None and one.kind != "notify" else one for one in effects]
    for one in effects:
        if one.held is None and one.target is not None:
            memory.ledger.record(playbook.id, one.kind, one.target, now, id)
    return effects
