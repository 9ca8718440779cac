"""What the keys of a playbook cannot mean together. One check a function, all of them in one table.

Each check looks only where what it needs could be read; what is wrong by itself the schema has reported already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from fractions import Fraction

from sentinel.core.duration import format_duration
from sentinel.engine.fields import FIELDS
from sentinel.engine.judge import prepare
from sentinel.engine.kinds import Kind
from sentinel.engine.playbook import Playbook, Rule
from sentinel.engine.problems import quote
from sentinel.loader.schema import IP_ACTIONS, USER_ACTIONS, Bound
from sentinel.loader.shapes import Desk, Picked, Reading
from sentinel.loader.source import Mapping, Spot
from sentinel.loader.testcase import check_tests

_MILLION = 1_000_000
_GLOB = "*?["


def check_playbook(reading: Reading, rule: Rule | None, desk: Desk) -> None:
    """Report every contradiction of one playbook."""
    for check in CHECKS:
        check(reading, desk)
    _events_meet(reading, rule, desk)


def check_lockout(playbook: Playbook, reading: Reading, desk: Desk) -> None:
    """Report what would throw out the owner of an account whose name somebody else typed.

    `block_user` needs no leave: on users who are only claimed the engine refuses nothing but unfamiliar logins. A
    redirect would reach the owner's open sessions.
    """
    if playbook.accept_lockout or not prepare(playbook).claimed:
        return
    for kind, _, spot in _actions(reading):
        if kind == "redirect_user":
            desk.report(
                spot,
                "failed logins only claim their user, and a redirect would reach the owner's own sessions",
                "`challenge_user` is the usual choice; `accept_lockout: true` says that it is meant",
            )


def _actions(reading: Reading) -> Iterator[Picked]:
    yield from reading["actions"] or ()


def _events_meet(reading: Reading, rule: Rule | None, desk: Desk) -> None:
    """`event:` beside `rule:` takes what both name: some event must be both."""
    if rule is None or not rule.events or not reading["event"]:
        return
    if not any(_meet(one, other) for one in reading["event"] for other in rule.events):
        names = ", ".join(f"`{name}`" for name in rule.events)
        desk.report(reading.spot("event"), f"the rule looks at {names}: no event is both", "leave `event:` out")


def _meet(one: str, other: str) -> bool:
    if not any(sign in one for sign in _GLOB):
        return fnmatchcase(one, other)
    return any(sign in other for sign in _GLOB) or fnmatchcase(other, one)


def _distinct(reading: Reading, desk: Desk) -> None:
    """A value that is the same in the whole group, or is one of few, cannot be different often."""
    grouped = reading["group_by"] or ()
    for spot, field, bound in _bounds(reading, "distinct"):
        least = int(bound.value) + bound.strict
        if field in grouped and least > 1:
            message = f"never reached: `group_by` gives each group one {quote(field)}"
            desk.report(spot, message, "count another field, or group by another")
        elif field in FIELDS and FIELDS[field].kind is Kind.BOOL and least > 2:
            desk.report(spot, f"never reached: {quote(field)} is `true` or `false`, two values at most")
        elif field == "event" and not reading.written("rule"):
            _distinct_names(reading, least, spot, desk)


def _distinct_names(reading: Reading, least: int, spot: Spot, desk: Desk) -> None:
    names = reading["event"]
    if names and not any(sign in name for name in names for sign in _GLOB) and least > len(names):
        desk.report(spot, f"never reached: `event` names {len(names)}")


def _bounds(reading: Reading, kind: str) -> Iterator[tuple[Spot, str, Bound]]:
    """Yield the thresholds of a metric that has fields: where each is written, its field, the bound."""
    when = reading["when"]
    node = when.node.get(kind) if when else None
    if isinstance(node, Mapping):
        found = when[kind] or {}
        for name, value in node.entries:
            if name.text in found:
                yield value.spot, name.text, found[name.text]


def _sums(reading: Reading, desk: Desk) -> None:
    """A sum is of numbers from zero up, in whole millionths."""
    for spot, _, bound in _bounds(reading, "sum"):
        if bound.value < 0 or (bound.value == 0 and not bound.strict):
            desk.report(spot, "always reached: a sum is never below zero")
        elif (Fraction(str(bound.value)) * _MILLION).denominator != 1:
            desk.report(spot, "finer than a millionth", "sums are kept in whole millionths")


def _ratio(reading: Reading, desk: Desk) -> None:
    """A share lies between 0 and 1."""
    asked = reading["when"]["ratio"] if reading["when"] else None
    if asked is None:
        return
    (value, strict), ratio = asked
    spot = ratio.spot("gt" if strict else "gte")
    if value > 1 or (value == 1 and strict):
        percent = f"did you mean `{value / 100:g}`?" if 1 < value <= 100 else None
        desk.report(spot, "never reached: a share is at most 1", percent)
    elif value < 0 or (value == 0 and not strict):
        desk.report(spot, "always reached: a share is never below 0")


def _cooldown(reading: Reading, desk: Desk) -> None:
    """Whoever goes on must be found again before the action on them ends."""
    cooldown = reading["cooldown"] or reading["window"]
    ends = [(min(finite), action) for _, action, _ in _actions(reading) if (finite := _finite(action))]
    if cooldown is None or not ends:
        return
    shortest, action = min(ends, key=lambda end: end[0])
    if cooldown > shortest:
        ended = f"the shortest `for`, {format_duration(shortest)}"
        written = reading.written("cooldown")
        name = "the cooldown" if written else f"the cooldown, by default the window of {format_duration(cooldown)},"
        spot = reading.spot("cooldown") if written else action.spot("for")
        hint = f"`cooldown: {format_duration(shortest)}` finds again whoever goes on"
        desk.report(spot, f"{name} is longer than {ended}", hint)


def _finite(action: Reading) -> list[int]:
    return [micros for micros in action["for"] or () if micros is not None]


def _targets(reading: Reading, desk: Desk) -> None:
    """An action needs somebody: the group's own user or address, or a field that names one."""
    grouped = reading["group_by"]
    for kind, action, spot in _actions(reading):
        whom = "user" if kind in USER_ACTIONS else "ip" if kind in IP_ACTIONS else None
        if whom is None:
            continue
        target = action["target"]
        if target is not None and not _names(whom, target):
            hint = f"such as `{whom}` or `properties.{whom}`"
            desk.report(action.spot("target"), f"{quote(target)} holds no {_WHOM[whom]}", hint)
        elif target is None and not action.written("target") and grouped is not None and whom not in grouped:
            desk.report(
                spot,
                f"{quote(kind)} needs to know whom: `group_by` has no `{whom}`",
                f"say it: `target: {whom}` is the {_WHOM[whom]} of the event that completes the finding",
            )


_WHOM = {"user": "user", "ip": "address"}


def _names(whom: str, target: str) -> bool:
    own = target == whom or (whom == "user" and target.startswith("user.") and target != "user.labels")
    return own or target.startswith(("properties.", "request.params."))


def _twice(reading: Reading, desk: Desk) -> None:
    """The same thing done twice to the same target is a slip."""
    seen: set[tuple[object, ...]] = set()
    for kind, action, spot in _actions(reading):
        if action.written("channel") and action["channel"] is None:
            continue
        what = (kind, action["target"], action["name"], action["channel"])
        if what in seen:
            hint = "a ladder is `for: [15m, 1h, 24h]`" if action.written("for") else None
            desk.report(spot, f"{quote(kind)} is given twice", hint)
        seen.add(what)


def _browsers(reading: Reading, desk: Desk) -> None:
    """Anybody can send what a browser sends, from any address they like to see blocked."""
    if reading["trust"] != "any":
        return
    for kind, _, spot in _actions(reading):
        if kind in ("block_ip", "redirect_ip"):
            desk.report(
                spot,
                f"with `trust: any` events of browsers count, and what they claim never leads to {quote(kind)}",
                "leave `trust` out, or use `label_ip` or `notify`",
            )


CHECKS: tuple[Callable[[Reading, Desk], None], ...] = (
    _distinct, _sums, _ratio, _cooldown, _targets, _twice, _browsers, check_tests,
)  # fmt: skip
