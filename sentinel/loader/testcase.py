"""In-file tests: their events, findings and requests as values. They are run by `service.trials.filetests`."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from sentinel.core import address, identity
from sentinel.core import event as events
from sentinel.core.duration import LONGEST, format_duration
from sentinel.core.errors import EventError
from sentinel.engine.playbook import IP_ACTIONS, USER_ACTIONS, Delivery, Expectation, Place, PlaybookTest, Request
from sentinel.engine.problems import quote
from sentinel.loader.desk import Desk, listed
from sentinel.loader.schema import EVENT, MOST_COPIES, TIMED
from sentinel.loader.shapes import Reading
from sentinel.loader.source import Mapping as MappingNode
from sentinel.loader.source import Node, Spot

COPY = "{n}"
_WHICH = ("at", "group", "playbook")  # of an expected finding: what is no action


def build_test(reading: Reading, desk: Desk) -> PlaybookTest:
    """Return the test of a reading in which nothing is wrong."""
    return PlaybookTest(
        name=reading["name"],
        events=tuple(_delivery(entry, desk) for entry in reading["events"]),
        expect=tuple(_expectation(entry, desk) for entry in reading["expect"]),
        requests=tuple(sorted((_request(entry, desk) for entry in reading["requests"]), key=attrgetter("at"))),
        place=place_of(reading.node.spot, desk),
        beside=reading["with"],
    )


def place_of(spot: Spot, desk: Desk) -> Place:
    """Return a spot of the desk's page as a place."""
    return Place(desk.page.name, spot.line, spot.column)


def event_of(reading: Reading) -> dict[str, Any]:
    """Return an event as the plain JSON that `core.event.read` takes, absent fields left out."""
    event = {name: _plain(reading[name]) for name in EVENT | TIMED if reading[name] is not None}
    return event | {"user": _identifiers(event["user"])} if "user" in event else event


def _identifiers(user: Any) -> Any:
    """Return `{email: a@b.c}` for the key `email:a@b.c`, so that a user has one spelling all over a test."""
    name, colon, value = user.partition(":") if isinstance(user, str) else ("", "", "")
    return {name: value} if colon and value and name in identity.DEFAULT_ORDER else user


def copy_of(value: Any, number: int) -> Any:
    """Return a value with `{n}` replaced by a number in each of its texts."""
    if isinstance(value, str):
        return value.replace(COPY, str(number))
    if isinstance(value, Mapping):
        return {name: copy_of(inner, number) for name, inner in value.items()}
    return [copy_of(inner, number) for inner in value] if isinstance(value, list) else value


def target_of(kind: str, text: str) -> str:
    """Return a test's user or address as the engine names it: `u1` as `id:u1`, IPv6 as its network."""
    if kind in USER_ACTIONS or kind == "user":
        return identity.read_key(text)
    if kind in IP_ACTIONS or kind == "ip":
        found = address.normalise(text)
        return address.group(found) if found else text
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, Reading):
        return {name: _plain(inner) for name, inner in value.values.items() if inner is not None}
    return list(value) if isinstance(value, tuple) else value


def _delivery(reading: Reading, desk: Desk) -> Delivery:
    return Delivery(
        event=event_of(reading),
        at=reading["at"],
        received=reading["received"],
        repeat=reading["repeat"],
        every=reading["every"],
        place=place_of(reading.node.spot, desk),
    )


def _expectation(reading: Reading, desk: Desk) -> Expectation:
    named = {kind: told for kind, told in reading.values.items() if kind not in _WHICH and told is not None}
    return Expectation(
        at=reading["at"],
        group={field: target_of(field, text) for field, text in reading["group"].items()},
        actions={kind: tuple(target_of(kind, one) for one in _each(told)) for kind, told in named.items()},
        place=place_of(reading.node.spot, desk),
        playbook=reading["playbook"],
    )


def _request(reading: Reading, desk: Desk) -> Request:
    user, ip = reading["user"], reading["ip"]
    return Request(
        at=reading["at"],
        user=identity.read_key(user) if user else None,
        ip=address.normalise(ip) if ip else None,
        device=reading["device"],
        login=reading["login"],
        verdict=reading["verdict"],
        place=place_of(reading.node.spot, desk),
    )


def check_tests(reading: Reading, desk: Desk) -> None:
    """Report what in a playbook's tests cannot be: events nobody could send, findings of other groups or actions."""
    names: dict[str, int] = {}
    for test in reading["tests"] or ():
        name = test["name"]
        if name in names:
            message = f"a test named {quote(name)} stands in line {names[name]} already"
            desk.report(test.spot("name"), message, "give each a name of its own")
        elif name:
            names[name] = test.spot("name").line
        for entry in test["events"] or ():
            _check_delivery(entry, desk)
        if sum(entry["repeat"] or 1 for entry in test["events"] or ()) > MOST_COPIES:
            message = f"more than {MOST_COPIES:,} events in one test"
            desk.report(test.key_spot("events"), message, "`sentinel backtest` judges many events")
        for entry in test["expect"] or ():
            if entry["playbook"] in (None, reading["playbook"]):
                check_expectation(entry, reading, desk)
        for entry in test["requests"] or ():
            _check_address(entry["ip"], entry.spot("ip"), desk, networks=False)
            _check_user(entry["user"], entry.spot("user"), desk)
        _check_order(test["expect"] or (), desk)


def _check_delivery(reading: Reading, desk: Desk) -> None:
    copies = reading["repeat"] or 1
    if copies > 1 and not reading.written("every") and "at" in reading:
        desk.report(reading.key_spot("repeat"), "`repeat` without `every`", "how long after each other: `every: 1s`")
    last = (reading["at"] or 0) + (copies - 1) * (reading["every"] or 0)
    if last > LONGEST:
        message = "the last copy comes more than ten years after the test's start"
        desk.report(reading.key_spot("every"), message, "write a smaller `every`, or fewer copies")
    late = reading["received"]
    if late is not None and "at" in reading and late < reading["at"]:
        hint = "`received` counts from the test's start, as `at` does"
        desk.report(reading.spot("received"), "it arrives before it happens", hint)
    if _check_user(reading["user"], reading.spot("user"), desk):
        check_event(reading, desk, copies)


def check_event(reading: Reading, desk: Desk, copies: int = 1) -> None:
    """Report what makes an event, or the last of its copies, one that no server would take."""
    if "event" not in reading:
        return
    event = event_of(reading)
    for number in {0: None, copies - 1: None}:
        try:
            events.read({"id": "x"} | copy_of(event, number), received=0, enriched=True, reserved=True)
        except EventError as error:
            _, _, message = error.message.partition(": ")
            desk.report(_deepest(reading.node, error.field), message, error.hint)
            return


def _deepest(node: Node, path: str) -> Spot:
    """Return where the field of a dotted path is written, as far as it is."""
    for name in path.split("."):
        inner = node.get(name) if isinstance(node, MappingNode) else None
        if inner is None:
            break
        node = inner
    return node.spot


def _check_user(text: Any, spot: Spot, desk: Desk) -> bool:
    if isinstance(text, str) and text:
        try:
            identity.read_key(text)
        except EventError as error:
            desk.report(spot, error.message, error.hint)
            return False
    return True


def _check_address(text: str | None, spot: Spot, desk: Desk, *, networks: bool = True) -> None:
    if text is not None and address.normalise(text) is None and not (networks and _is_network(text)):
        desk.report(spot, f"{quote(text)} is not an address", "write `203.0.113.9` or `2001:db8::1`")


def _is_network(text: str) -> bool:
    head, slash, bits = text.partition("/")
    return bool(slash) and bits.isdecimal() and address.normalise(head) is not None


def check_expectation(reading: Reading, playbook: Reading, desk: Desk) -> None:
    """Report what a playbook cannot find or do of what a test expects of it."""
    _check_group(reading, playbook, desk)
    actions = playbook["actions"] or ()
    done = {action.kind for action in actions}
    done |= {"challenge_user"} if any(action.value["unless_shared_by"] for action in actions) else set()
    done |= {"block_user"} if "block_users" in done else set()
    whole = "actions" in playbook and len(actions) == _length(playbook, "actions")
    for kind in reading.values:
        if kind in _WHICH or reading[kind] is None:
            continue
        if whole and kind not in done:
            hint = f"its actions are {listed(sorted(done))}" if done else "it has no `actions` at all"
            desk.report(reading.key_spot(kind), f"the playbook has no action {quote(kind)}", hint)
            continue
        for text in _each(reading[kind]):
            if kind in IP_ACTIONS:
                _check_address(text, reading.spot(kind), desk)
            elif kind in USER_ACTIONS:
                _check_user(text, reading.spot(kind), desk)


def _each(told: str | tuple[str, ...]) -> tuple[str, ...]:
    return (told,) if isinstance(told, str) else told


def _length(playbook: Reading, key: str) -> int:
    node = playbook.node.get(key)
    return len(getattr(node, "items", ()))


def _check_group(reading: Reading, playbook: Reading, desk: Desk) -> None:
    known = playbook["group_by"]
    group = reading.node.get("group")
    if known is None or not isinstance(group, MappingNode):
        return
    for name, value in group.entries:
        if name.text not in known:
            hint = f"`group_by` is {listed(known) or '`[]`'}"
            desk.report(name.spot, f"{quote(name.text)} is not what it groups by", hint)
        elif name.text == "ip" and (text := (reading["group"] or {}).get("ip")) and not _is_address(text):
            desk.report(value.spot, f"{quote(text)} is not an address", "write `203.0.113.9` or `2001:db8::1`")
        elif name.text == "ip.network" and (text := (reading["group"] or {}).get("ip.network")):
            found = address.site(text.partition("/")[0])
            if found != text:
                hint = f"write `{found or '203.0.113.0/24'}`"
                desk.report(value.spot, f"{quote(text)} is not the /24 or /48 that addresses are in", hint)


def _is_address(text: str) -> bool:
    return address.normalise(text) is not None or _is_network(text)


def _check_order(entries: tuple[Reading, ...], desk: Desk) -> None:
    last = 0
    for entry in entries:
        at = entry["at"]
        if at is not None and at < last:
            message = f"out of order: the one above is at {format_duration(last)}"
            desk.report(entry.spot("at"), message, "they stand in the order of time")
        last = max(last, at or 0)
