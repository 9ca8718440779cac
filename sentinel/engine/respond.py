"""From an opening to a finding with effects: what should be done, to whom, for how long, and what holds it back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from hashlib import blake2b

from sentinel.core import address
from sentinel.core.decision import Decision, Kind, Scope, pair
from sentinel.core.event import Event
from sentinel.core.finding import Effect, Finding, finding_id
from sentinel.core.identity import read_key
from sentinel.engine.fields import compile_field
from sentinel.engine.judge import Judge
from sentinel.engine.memory import Memory
from sentinel.engine.playbook import Action
from sentinel.engine.windows import Opening

DECIDES: dict[str, Kind] = {
    "block_user": "block", "block_ip": "block", "redirect_user": "redirect", "redirect_ip": "redirect",
    "challenge_user": "challenge",
}  # fmt: skip
TELLS = ("notify", "webhook")


def respond(judge: Judge, opening: Opening, event: Event, memory: Memory, now: int, *, acting: bool) -> Finding:
    """Return the finding of an opening. `event` is the one whose delivery brought it up, `now` the moment of it.

    `acting` is false where the playbook only monitors. The memory learns of what is acted on.
    """
    playbook = judge.playbook
    id = finding_id(memory.app, playbook.id, opening.hit.key, opening.at, opening.id)
    mode = "enforce" if acting else "monitor"
    held = _held(judge, event, memory, now, acting)
    effects = [_effect(judge, action, opening, event, memory, now, held, id) for action in playbook.actions]
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


def _effect(
    judge: Judge, action: Action, opening: Opening, event: Event, memory: Memory, now: int, held: str | None, id: str
) -> Effect:
    """Return one action as an effect, with what holds it back."""
    if action.kind in TELLS:
        return Effect(action.kind, channel=action.channel, held=held if held == "historical" else None)
    target = _target(action, event)
    if target is None:
        return Effect(action.kind, label=action.label, held="the event names no target")
    held = held or _protected(judge, action, target, opening, event, memory)
    length = _length(judge, action, target, memory, now, id)
    decisions = _decisions(judge, action, target, length, event, memory, now, id) if action.kind in DECIDES else ()
    return Effect(action.kind, target, length, decisions, label=action.label, held=held)


def _target(action: Action, event: Event) -> str | None:
    of_user = action.kind.endswith("_user")
    if action.target is None:
        return event.user if of_user else event.network_ip
    value = compile_field(action.target)(event)
    if type(value) is not str or not value:
        return None
    if of_user:
        return read_key(value)
    found = address.normalise(value)
    return address.network_of(found, event.ipv6) if found else None


def _length(judge: Judge, action: Action, target: str, memory: Memory, now: int, id: str) -> int | None:
    """Return for how long: the n-th time within 30 days uses the n-th step of the ladder."""
    if not action.durations:
        return None
    step = memory.ledger.times(judge.playbook.id, action.kind, target, now, id)
    return action.durations[min(step, len(action.durations) - 1)]


def _protected(judge: Judge, action: Action, target: str, opening: Opening, event: Event, memory: Memory) -> str | None:
    """Return why this target may not be acted on, or None."""
    kind = "user" if action.kind.endswith("_user") else "ip"
    if kind == "ip" and action.kind != "label_ip":
        if address.is_untouchable(target):
            return "private or local address"
        if event.trust == "browser":
            return "the address is only claimed by a browser"
        shared = action.unless_shared_by
        if shared and memory.familiar.sharers(target, opening.at - judge.playbook.window) >= shared:
            return "shared address"
    return memory.protected(kind, target, opening.at)


def _decisions(
    judge: Judge, action: Action, target: str, length: int | None, event: Event, memory: Memory, now: int, id: str
) -> tuple[Decision, ...]:
    """Return what enforcement points are told; a block of a user only claimed spares the owner's places."""
    playbook = judge.playbook
    of_user = action.kind.endswith("_user")
    claimed = of_user and judge.claimed and not playbook.accept_lockout
    until = None if length is None else now + length

    def decision(kind: Kind, scope: Scope, value: str) -> Decision:
        parts = f"{id}:{action.kind}:{kind}:{scope}:{value}"
        return Decision(
            id=blake2b(parts.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest(),
            kind=kind, scope=scope, value=value, to=action.to if kind == "redirect" else None, made=now, until=until,
            reason=playbook.title, playbook=playbook.id, version=playbook.version, finding=id,
            logins_only=claimed,
        )  # fmt: skip

    scope: Scope = "user" if of_user else "network" if "/" in target else "ip"
    spared = _spared(memory.familiar.places(target, event.at - playbook.window)) if claimed else ()
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
    """Return the effects, held back where they would take the playbook past its guard; else note them as done."""
    playbook, guard = judge.playbook, judge.playbook.guard
    acting = {one.target for one in effects if _acts(one)}
    if guard and len(memory.ledger.targets(playbook.id, now - guard.per) | acting) > guard.max and acting:
        memory.ledger.trip(playbook.id, now + guard.per)
        return [replace(one, held="guard") if _acts(one) else one for one in effects]
    for one in effects:
        if one.held is None and one.target is not None:
            memory.ledger.record(playbook.id, one.kind, one.target, now, id)
    return effects
