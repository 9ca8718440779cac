"""Mistakes in how the keys of a playbook go together. One check a function, all of them in one table.

Each check looks only where the values it needs could be read; what is wrong with one value the schema has reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from sentinel.core.batch import LINKING
from sentinel.core.duration import format_duration
from sentinel.core.errors import EventError
from sentinel.core.event import RESERVED, read
from sentinel.engine.judge import prepare
from sentinel.engine.playbook import IP_ACTIONS, USER_ACTIONS, Playbook, Rule, Selector
from sentinel.engine.possible import TRUSTS
from sentinel.engine.problems import quote
from sentinel.engine.select import is_pattern
from sentinel.engine.unmet import asks_success, is_unmet, settled
from sentinel.loader.desk import Desk, listed
from sentinel.loader.impossible import IMPOSSIBLE, check_names
from sentinel.loader.playbook import Rules, selections, usual_cooldown
from sentinel.loader.shapes import Picked, Reading
from sentinel.loader.source import Spot
from sentinel.loader.testcase import check_tests

OURS = frozenset({"playbook", "severity", "group", "finding", "depth"})
SENDERS = ("auth", *LINKING)  # what these prove of a user, a playbook cannot


def check_playbook(reading: Reading, rules: Rules, desk: Desk) -> None:
    """Report every contradiction of one playbook; `rules` are those it names."""
    for check in CHECKS:
        check(reading, desk)
    trusts = TRUSTS if reading["trust"] == "any" else tuple(one for one in TRUSTS if one != "browser")
    for part in selections(reading):
        rule = rules.get(part["rule"])
        _events_meet(part, rule, desk)
        if rule is not None:
            check_names(part, rule, reading, desk)
        if rule is not None or not part.written("rule"):
            check_met(part, desk, rule, trusts)
        if part is reading:
            _parts_met(reading, desk, rule, trusts)


def check_met(reading: Reading, desk: Desk, rule: Rule | None = None, trusts: Sequence[str] = TRUSTS) -> None:
    """Report a selection of a rule or a playbook that no event can meet.

    `rule` is the one it names, which is checked by itself; `trusts` are the values of `trust` that count.
    """
    written = [key for key in ("where", "event") if reading.written(key)]
    if written and all(reading[key] is not None for key in written):
        _unmet(Selector(rule, reading["event"] or (), reading["where"]), reading.spot(written[0]), desk, trusts)


def _parts_met(reading: Reading, desk: Desk, rule: Rule | None, trusts: Sequence[str]) -> None:
    """An exception, and the condition of a share, is asked of the events that count: some meet it, and some do not."""
    ratio = reading["when"]["ratio"] if reading["when"] else None
    counted = Selector(rule, reading["event"] or (), reading["where"])
    asked = [(ratio[1], "the share is always 1")] if ratio else []
    asked += [(one, "nothing is left to be found") for one in reading["exceptions"] or ()]
    for part, outcome in asked:
        where, spot = part["where"], part.spot("where")
        if where is None or _unmet(replace(counted, where=where), spot, desk, trusts):
            continue
        answer = settled(where, counted, trusts)
        if answer is not None:
            message = f"every event that counts meets this: {outcome}" if answer else "no event that counts meets this"
            taken = next((key for key in ("where", "event") if reading.written(key)), "rule")
            desk.report(spot, message, f"`{taken}` has taken out the others")


def _unmet(selector: Selector, spot: Spot, desk: Desk, trusts: Sequence[str]) -> bool:
    """Report a selection that no event can meet, and say whether it is one."""
    if not is_unmet(selector, trusts):
        return False
    itself = "what is asked of names, outcomes and senders rules itself out"
    hint = itself if is_unmet(selector) else "`trust: any` counts events of browsers, too"
    if asks_success(selector):
        hint = "only events named `auth` have `success`: put your own outcome into `properties`"
    desk.report(spot, "no event can meet this", hint)
    return True


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
    if not is_pattern(one):
        return fnmatchcase(one, other)
    return is_pattern(other) or fnmatchcase(other, one)


def _cooldown(reading: Reading, desk: Desk) -> None:
    """Whoever goes on must be found again before the action on them ends."""
    cooldown = reading["cooldown"] or usual_cooldown(reading)
    ends = [(min(finite), action) for _, action, _ in _actions(reading) if (finite := _finite(action))]
    if cooldown is None or not ends:
        return
    shortest, action = min(ends, key=lambda end: end[0])
    if cooldown > shortest:
        ended = f"the shortest `for`, {format_duration(shortest)}"
        written = reading.written("cooldown")
        usual = "the window of " if reading["window"] else ""
        name = "the cooldown" if written else f"the cooldown, by default {usual}{format_duration(cooldown)},"
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
            hint = _NETWORK if target == SITE else f"such as `{whom}` or `properties.{whom}`"
            desk.report(action.spot("target"), f"{quote(target)} holds no {_WHOM[whom]}", hint)
        elif target is None and not action.written("target") and grouped is not None and whom not in grouped:
            said = f"say it: `target: {whom}` is the {_WHOM[whom]} of the event that completes the finding"
            hint = _NETWORK if whom == "ip" and SITE in grouped else said
            desk.report(spot, f"{quote(kind)} needs to know whom: `group_by` has no `{whom}`", hint)


SITE = "ip.network"
_NETWORK = (
    "no playbook acts on a whole network: `notify` somebody who may block it, use `block_users: all`,"
    " or let `target: ip` take the address of the event that completes the finding"
)
_WHOM = {"user": "user", "ip": "address"}


def _names(whom: str, target: str) -> bool:
    own = target == whom or (whom == "user" and target.startswith("user.") and target != "user.labels")
    return own or target.startswith(("properties.", "request.params."))


_TELL_APART = ("target", "name", "channel", "event")


def _twice(reading: Reading, desk: Desk) -> None:
    """The same thing done twice to the same target is a slip."""
    seen: set[tuple[object, ...]] = set()
    for kind, action, spot in _actions(reading):
        if any(action.written(key) and action[key] is None for key in _TELL_APART):
            continue
        what = (kind, *(action[key] for key in _TELL_APART))
        if what in seen:
            hint = "a ladder is `for: [15m, 1h, 24h]`" if action.written("for") else "once is enough"
            desk.report(spot, f"{quote(kind)} is given twice", hint)
        seen.add(what)


def _browsers(reading: Reading, desk: Desk) -> None:
    """Anybody can send what a browser sends, from any address they like to see blocked."""
    if reading["trust"] != "any":
        return
    for kind, _, spot in _actions(reading):
        if kind in ("block_ip", "redirect_ip", "emit"):
            desk.report(
                spot,
                f"with `trust: any` events of browsers count, and what they claim never leads to {quote(kind)}",
                "leave `trust` out, or use `label_ip` or `notify`",
            )


def _everybody(reading: Reading, desk: Desk) -> None:
    """All users of a window are more than one, and there must be a window."""
    for kind, _, spot in _actions(reading):
        if kind == "block_users" and "user" in (reading["group_by"] or ()):
            desk.report(spot, "`group_by` gives each group one `user`", "use `block_user`, or group by `ip`")
        elif kind == "block_users" and (reading["first_seen"] or reading["travel"] or reading["absent"]):
            hint = "`when`, `sequence` and `spike` have one; `block_user` with `target: user` is for one event's user"
            desk.report(spot, "there is no window in which users were seen", hint)


def _made(reading: Reading, desk: Desk) -> None:
    """What a playbook makes is its own event: nobody's login, no name of ours, no pattern."""
    for kind, action, _ in _actions(reading):
        name = action["event"]
        if kind != "emit" or name is None:
            continue
        if name in SENDERS or name.startswith(RESERVED):
            why = "names that start with `sentinel.` or `sq.` are ours" if name not in SENDERS else "a sender's alone"
            desk.report(action.spot("event"), f"{quote(name)} cannot be made by a playbook", why)
        elif is_pattern(name):
            desk.report(action.spot("event"), f"{quote(name)} is a pattern and no name", "write one name")
        for taken in sorted(OURS & (action["properties"] or {}).keys()):
            hint = f"{listed(sorted(OURS), 'and')} are filled in"
            desk.report(action.spot("properties"), f"{quote(taken)} is not for the author", hint)
        for value in (action["properties"] or {}).values():
            if isinstance(value, str) and value.startswith("properties."):
                hint = "what is in `group_by` comes along by itself"
                desk.report(action.spot("properties"), f"{quote(value)} is a text here: no field is looked up", hint)
        try:
            read({"id": "x", "event": "x", "timestamp": 0, "properties": action["properties"]})
        except EventError as error:
            desk.report(action.spot("properties"), error.message.partition(": ")[2], error.hint)


CHECKS: tuple[Callable[[Reading, Desk], None], ...] = (
    *IMPOSSIBLE, _cooldown, _targets, _twice, _browsers, _everybody, _made, check_tests,
)  # fmt: skip
