"""Whole playbooks with each detector find through the engine what the reference finds, in any order of arrival."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.event import read
from sentinel.engine.engine import Engine, retracted
from sentinel.engine.expression import compile_expression
from sentinel.engine.memory import Memory
from sentinel.engine.playbook import (
    Absent,
    Exemption,
    FirstSeen,
    Playbook,
    Rule,
    Selector,
    Sequence,
    Spike,
    Step,
    Travel,
)
from sentinel.windows.groups import Limits
from sentinel.windows.memory import MemoryWindows
from sentinel.windows.travel import distance
from tests.property.test_engine_vs_reference import BASE, HERE, LATENESS, SECOND, as_reference, key_of
from tests.reference import Reference, field

PLACES = {"paris": (48.86, 2.35), "versailles": (48.8, 2.13), "tokyo": (35.68, 139.69), "lyon": (45.76, 4.84)}
Says = Callable[[dict[str, Any]], bool]


def named(*names: str) -> Says:
    return lambda e: e["event"] in names


def known(path: str, value: str, *, equal: bool = True) -> Says:
    return lambda e: (found := field(e, path)) is not None and (found == value) == equal


# What an author may choose events by, and the same as plain Python on the raw event.
SELECTORS: list[tuple[Selector, Says]] = [
    (Selector(events=("a",)), named("a")),
    (Selector(events=("b",)), named("b")),
    (Selector(events=("a", "b")), named("a", "b")),
    (Selector(rule=Rule("r", "", ("a*",), compile_expression('properties.kind != "x"'), HERE), events=("a",)),
     lambda e: e["event"] == "a" and known("properties.kind", "x", equal=False)(e)),
    (Selector(where=compile_expression('properties.kind == "y"')), known("properties.kind", "y")),
    (Selector(events=("b", "c"), where=compile_expression('not (ip == "203.0.113.0")')),
     lambda e: e["event"] in ("b", "c") and known("ip", "203.0.113.0", equal=False)(e)),
]  # fmt: skip
GROUPS = [("user",), (), ("ip",), ("user", "properties.kind")]
FIELDS = ["ip", "properties.kind", "user"]


class Asked(NamedTuple):
    """A playbook, and the same for the reference."""

    playbook: Playbook
    plain: dict[str, Any]


@st.composite
def streams(draw: Any) -> list[dict[str, Any]]:
    """Draw events as they arrive: fields missing, ties, repeats, up to the lateness out of order."""
    at, events = BASE, []
    for number in range(draw(st.integers(1, 40))):
        at += draw(st.sampled_from([0, 0, 0, 0, 1, 1, 3, 3, 7, 7, 25, 25, 600]))
        event: dict[str, Any] = {"id": f"{draw(st.integers(0, 9))}-{number}", "timestamp": at}
        event |= draw(st.fixed_dictionaries({"event": st.sampled_from("abc")}, optional={
            "user": st.sampled_from(["u1", "u1", "u2"]),
            "ip": st.sampled_from(["203.0.113.0", "203.0.113.1"]),
            "properties": st.fixed_dictionaries({}, optional={"kind": st.sampled_from(["x", "y", "z"])}),
            "geo": st.sampled_from([{"lat": lat, "lon": lon} for lat, lon in PLACES.values()]),
        }))  # fmt: skip
        events.append(event)
    late = draw(st.booleans())
    delays = [draw(st.integers(0, LATENESS if late else 0)) for _ in events]
    order = sorted(range(len(events)), key=lambda i: (events[i]["timestamp"] + delays[i], events[i]["id"]))
    arrived = [events[index] for index in order]
    again = arrived[-1] if late else draw(st.sampled_from(arrived))
    return arrived + [again] * draw(st.integers(0, 2))


@st.composite
def asked(draw: Any, kind: str) -> Asked:
    """Draw a playbook with a detector of a kind."""
    own, counts = draw(st.sampled_from(SELECTORS))
    window, cooldown = draw(st.integers(5, 60)), draw(st.integers(1, 60))
    exempt = draw(st.booleans())
    detector, plain, windowed = draw(KINDS[kind](window))
    exceptions = (Exemption(compile_expression('user == "id:u2"'), "loadtest"),) if exempt else ()
    if kind == "sequence":
        own, counts = Selector(), lambda e: True
    playbook = Playbook(
        id="p", title="", mode="enforce", severity="low", rule=own.rule, events=own.events, where=own.where,
        group_by=draw(st.sampled_from(GROUPS)), window=window * SECOND if windowed else 0, when=(), detector=detector,
        cooldown=cooldown * SECOND, place=HERE, version="1", exceptions=exceptions,
    )  # fmt: skip
    plain |= {"group_by": playbook.group_by, "window": window * SECOND, "cooldown": cooldown * SECOND}
    if kind == "absent":
        counts, plain["absent"] = either(counts, plain["absent"][1]), (counts, *plain["absent"][1:])
    if kind == "sequence":
        counts = relevant(plain)
    plain["where"] = lambda e: counts(e) and not (exempt and e.get("user") == "id:u2")
    return Asked(playbook, plain)


def either(one: Says, other: Says) -> Says:
    return lambda e: one(e) or other(e)


def relevant(plain: dict[str, Any]) -> Says:
    """Return whether a sequence looks at an event at all: others are skipped uncounted."""
    wheres = [*(step[0] for step in plain["sequence"]), *filter(None, [plain.get("until")])]
    return lambda e: any(where(e) for where in wheres)


@st.composite
def sequences(draw: Any, window: int) -> Any:
    steps, plain = [], []
    for selector, says in draw(st.lists(st.sampled_from(SELECTORS), min_size=2, max_size=3)):
        count, of = draw(st.integers(1, 2)), draw(st.sampled_from([None, None, *FIELDS]))
        distinct = draw(st.integers(1, 2)) if of else 0
        steps.append(Step(selector, count, of, distinct))
        plain.append((says, count, of, distinct))
    until = draw(st.none() | st.sampled_from(SELECTORS))
    sequence = Sequence(tuple(steps), until[0] if until else None)
    return sequence, {"sequence": plain} | ({"until": until[1]} if until else {}), True


@st.composite
def novelties(draw: Any, window: int) -> Any:
    of, history, after = draw(st.sampled_from(FIELDS)), draw(st.integers(10, 200)), draw(st.integers(1, 3))
    return FirstSeen(of, history * SECOND, after), {"first_seen": (of, history * SECOND, after)}, False


@st.composite
def spikes(draw: Any, window: int) -> Any:
    factor, times, fewest = draw(st.sampled_from([1.1, 2, 3.5])), draw(st.integers(2, 4)), draw(st.integers(1, 4))
    baseline = times * window * SECOND
    return Spike(factor, baseline, fewest), {"spike": (factor, baseline, fewest)}, True


@st.composite
def absences(draw: Any, window: int) -> Any:
    (selector, ends), within = draw(st.sampled_from(SELECTORS)), draw(st.integers(1, 40)) * SECOND
    return Absent(selector, within), {"absent": (None, ends, within)}, False


@st.composite
def journeys(draw: Any, window: int) -> Any:
    speed = draw(st.sampled_from([20_000, 200_000, 5_000_000]))  # kilometres an hour: the streams last seconds
    return Travel(speed), {"travel": (km, speed)}, False


def km(one: dict[str, Any], other: dict[str, Any]) -> float:
    return distance(*((e["geo"]["lat"], e["geo"]["lon"]) for e in (one, other)))


KINDS = {"sequence": sequences, "first_seen": novelties, "spike": spikes, "absent": absences, "travel": journeys}
Found = dict[str, list[tuple[int, str]]]


def run(playbook: Playbook, raw: list[dict[str, Any]], size: int) -> tuple[Found, int]:
    """Return the anchors by group, in the order in which they were found, and how many lacked a group field."""
    engine = Engine([playbook], lateness=LATENESS * SECOND)
    windows = MemoryWindows(engine.watches(), Limits(lateness=LATENESS * SECOND))
    found: dict[str, tuple[str, int, str]] = {}
    newest, skipped, memory = 0, 0, Memory()

    def note(openings: Any, events: Any) -> None:
        for id in retracted(openings, memory.app):
            found.pop(id, None)
        for finding in engine.respond(openings, events, memory, newest).findings:
            found.setdefault(finding.id, (finding.key, finding.at, finding.event_id))

    for start in range(0, len(raw), size):
        events = [read(dict(one), enriched=True) for one in raw[start : start + size]]
        matched = engine.match(events, newest)
        newest = matched.newest
        assert not matched.errors
        skipped += matched.skipped["p", "a group field is missing"]
        for hit in matched.hits:
            note(windows.hit([hit], newest), events)
        note(windows.due(newest - LATENESS * SECOND), events)
    note(windows.due(1 << 62), [])
    groups: Found = {}
    for key, at, id in found.values():
        groups.setdefault(key, []).append((at, id))
    return groups, skipped


def refer(plain: dict[str, Any], raw: list[dict[str, Any]]) -> tuple[Found, int]:
    """Return the same, as the reference finds it."""
    where = plain["where"]
    if "travel" in plain:
        where = lambda e: plain["where"](e) and "geo" in e  # noqa: E731
    reference = Reference(plain | {"where": where})
    for one in raw:
        reference.deliver(as_reference(one))
    if "absent" in plain:
        reference.passed(1 << 62)
    return {key_of(group): anchors for group, anchors in reference.findings.items() if anchors}, reference.skipped


def answers(case: Asked, raw: list[dict[str, Any]], size: int, *, ordered: bool) -> tuple[Any, Any]:
    """Return what the engine says and what the reference says."""
    (found, skipped), (wanted, passed_over) = run(case.playbook, raw, size), refer(case.plain, raw)
    if not ordered:
        found, wanted = ({key: sorted(anchors) for key, anchors in one.items()} for one in (found, wanted))
    return (found, skipped), (wanted, passed_over)


@given(asked("sequence"), streams(), st.integers(1, 7))
def test_sequences_are_those_of_the_reference(case: Asked, raw: list[dict[str, Any]], size: int) -> None:
    """What a late `until` takes back is gone from both."""
    found, wanted = answers(case, raw, size, ordered=False)
    assert found == wanted


@given(asked("first_seen"), streams(), st.integers(1, 7))
def test_what_is_new_is_what_is_new_to_the_reference(case: Asked, raw: list[dict[str, Any]], size: int) -> None:
    """In the order in which both find."""
    found, wanted = answers(case, raw, size, ordered=True)
    assert found == wanted


@given(asked("spike"), streams(), st.integers(1, 7))
def test_spikes_are_those_of_the_reference(case: Asked, raw: list[dict[str, Any]], size: int) -> None:
    """In the order in which both find."""
    found, wanted = answers(case, raw, size, ordered=True)
    assert found == wanted


@given(asked("travel"), streams(), st.integers(1, 7))
def test_journeys_are_those_of_the_reference(case: Asked, raw: list[dict[str, Any]], size: int) -> None:
    """In the order in which both find."""
    found, wanted = answers(case, raw, size, ordered=True)
    assert found == wanted


@given(asked("absent"), streams(), st.integers(1, 7))
def test_absences_are_those_of_the_reference(case: Asked, raw: list[dict[str, Any]], size: int) -> None:
    """Once all time has passed."""
    found, wanted = answers(case, raw, size, ordered=False)
    assert found == wanted
