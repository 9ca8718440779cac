"""The `sequence` queries of the eql package's own suite, asked of our engine.

The queries and their events are read from the installed package. A test-only converter makes a playbook's detector of
each query; of the findings it makes the event ids that eql's suite expects. Where our meaning is another, `DIFFERENCES`
says what we find instead and why; docs/decisions/0010-sequences-and-eql.md says it in words.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import eql
import pytest
from eql import ast

from sentinel.core.event import Event, read
from sentinel.engine.engine import Engine
from sentinel.engine.expression import compile_expression
from sentinel.engine.memory import Memory
from sentinel.engine.playbook import Place, Playbook, Selector, Sequence, Step
from sentinel.engine.select import meets
from sentinel.windows.memory import MemoryWindows

ETC = Path(eql.__file__).parent / "etc"
EVENTS: list[dict[str, Any]] = json.loads((ETC / "test_data.json").read_text("utf-8"))
QUERIES = [
    one for one in tomllib.loads((ETC / "test_queries.toml").read_text("utf-8"))["queries"]
    if one["query"].lstrip().startswith("sequence")
]  # fmt: skip
EPOCH = 116_444_736_000_000_000  # 1970 in the tenths of microseconds since 1601 that the events are stamped with
EVER = 10**17
DIFFERENCES: dict[int, tuple[list[int], str]] = {
    43: ([54, 55, 56], "`fork`: one start completes again and again; ours once, and what follows is its evidence"),
}


class Asked(NamedTuple):
    """A query as a detector; `keys` are what each step and the end are joined by, as eql's trees."""

    sequence: Sequence
    window: int
    keys: list[list[Any]]


def converted(query: Any) -> Asked:
    """Return a parsed sequence as our detector. That a step joins by other fields is left to `copies`."""
    steps = tuple(Step(selector(one, number)) for number, one in enumerate(query.queries))
    until = selector(query.close, len(steps)) if query.close else None
    parts = [*query.queries, *([query.close] if query.close else [])]
    window = int(query.max_span.as_milliseconds() * 1000) if query.max_span else EVER
    return Asked(Sequence(steps, until), window, [one.join_values for one in parts])


def selector(subquery: Any, number: int) -> Selector:
    """Return a step's events: of its type, meeting its condition, joined by the key of this step."""
    joined = f'contains(properties.joined, "{number};")'
    return Selector(
        events=(subquery.query.event_type,),
        where=compile_expression(f"{joined} and ({condition(subquery.query.query)})"),
    )


def condition(node: Any) -> str:
    """Return one of the conditions of the suite in our language; eql compares texts without regard to case."""
    match node:
        case ast.Boolean(value=value):
            return str(value)
        case ast.And(terms=terms):
            return " and ".join(f"({condition(term)})" for term in terms)
        case ast.Comparison(left=ast.Field(base=field), comparator=sign, right=ast.Number(value=value)):
            return f"properties.{field} {sign} {value}"
        case ast.Comparison(left=ast.Field(base=field), comparator="==", right=ast.String(value=value)):
            return f"lower(properties.{field}) == {json.dumps(value.lower())}"
        case ast.FunctionCall(name="wildcard", arguments=[ast.Field(base=field), ast.String(value=value)]):
            assert value.count("*") == 1 and value.startswith("*")
            return f"endswith(lower(properties.{field}), {json.dumps(value[1:].lower())})"
    raise NotImplementedError(repr(node))


def value_of(node: Any, event: dict[str, Any]) -> Any:
    """Return what an event is joined by; a text counts without regard to case."""
    match node:
        case ast.Field(base=base):
            found = event.get(base)
            return found.lower() if isinstance(found, str) else found
        case ast.MathOperation(left=left, operator="*", right=ast.Number(value=factor)):
            found = value_of(left, event)
            return None if found is None else found * factor
        case ast.FunctionCall(name=name, arguments=[argument]):
            found = value_of(argument, event)
            return None if found is None else {"length": len, "string": str}[name](str(found))
    raise NotImplementedError(repr(node))


def copies(raw: dict[str, Any], keys: list[list[Any]]) -> list[Event]:
    """Return an event once for each group it belongs to: eql may join each step by a field of its own.

    An event that lacks a field it would be joined by is of no group.
    """
    groups: dict[str, str] = {}
    for number, nodes in enumerate(keys):
        values = [value_of(node, raw) for node in nodes]
        if None not in values:
            group = json.dumps(values)
            groups[group] = groups.get(group, "") + f"{number};"
    plain = {name: value for name, value in raw.items() if not isinstance(value, dict | list)}
    return [
        read({
            "id": f"{raw['serial_event_id']:08}.{number}", "event": raw["event_type"],
            "timestamp": (raw["timestamp"] - EPOCH) / 10**7, "properties": plain | {"group": group, "joined": joined},
        })
        for number, (group, joined) in enumerate(groups.items())
    ]  # fmt: skip


def found_by(query: Any, events: list[dict[str, Any]] = EVENTS) -> list[list[int]]:
    """Return the ids of the events of each sequence that our engine finds, in the order of their last events."""
    asked = converted(query)
    playbook = Playbook(
        id="p", title="", mode="monitor", severity="info", rule=None, events=(), where=None,
        group_by=("properties.group",), window=asked.window, when=(), detector=asked.sequence, cooldown=0,
        place=Place("eql", 1, 1), version="",
    )  # fmt: skip
    engine = Engine([playbook], lateness=EVER)
    windows, newest, found = MemoryWindows(engine.watches()), 0, []
    given = [event for raw in events for event in copies(raw, asked.keys)]
    for event in given:
        matched = engine.match([event], newest)
        newest = matched.newest
        found += engine.respond(windows.hit(matched.hits, newest), [event], Memory(), newest).findings
    anchors = sorted((finding.at, finding.event_id, finding.group["properties.group"]) for finding in found)
    return [chain(asked, given, anchor, group) for _, anchor, group in anchors]


def chain(asked: Asked, given: list[Event], anchor: str, group: Any) -> list[int]:
    """Return the events of the sequence that ends with the anchor: of its starts the latest, filled greedily."""
    own = sorted((e for e in given if e.properties["group"] == group), key=lambda e: (e.at, e.id))
    last = next(place for place, event in enumerate(own) if event.id == anchor)
    steps = [meets(step.selector) for step in asked.sequence.steps]
    until = meets(asked.sequence.until) if asked.sequence.until else lambda event: False
    for start in range(last, -1, -1):
        filled: list[int] = []
        for event in own[start : last + 1]:
            if filled and until(event):
                break
            if steps[len(filled)](event):
                filled.append(int(event.id.partition(".")[0]))
            elif not filled:
                break
            if len(filled) == len(steps):
                break
        else:
            continue
        if len(filled) == len(steps) and event.id == anchor:
            return filled
    raise AssertionError(f"no sequence ends with {anchor}")


def piped(found: list[list[int]], pipes: Any) -> list[int]:
    """Return the ids that are left after a query's pipes."""
    for pipe in pipes:
        match pipe.name, pipe.arguments:
            case "head", [ast.Number(value=number)]:
                found = found[:number]
            case "tail", [ast.Number(value=number)]:
                found = found[-number:]
            case "filter", [ast.Comparison(left=ast.Field(path=[place, _]), right=ast.Number(value=value))]:
                found = [ids for ids in found if ids[place] == value]
            case other:
                raise NotImplementedError(other)
    return [id for ids in found for id in ids]


def test_the_package_has_the_queries_that_this_is_about() -> None:
    assert len(QUERIES) == 43


@pytest.mark.parametrize("number", range(1, len(QUERIES) + 1))
def test_a_sequence_of_the_eql_suite(number: int) -> None:
    """The ids that its suite expects are found, or what `DIFFERENCES` says."""
    case = QUERIES[number - 1]
    query = eql.parse_query(case["query"])
    found = piped(found_by(query.first), query.pipes)
    wanted, _ = DIFFERENCES.get(number, (case["expected_event_ids"], ""))
    assert found == wanted
    if number in DIFFERENCES:
        assert wanted != case["expected_event_ids"], "no difference any more"


def both(query: str, events: list[tuple[str, int, dict[str, Any]]]) -> tuple[list[list[int]], list[list[int]]]:
    """Return what ours and theirs find in events of a type at so many seconds, in their order of arrival."""
    ticks = [EPOCH + at * 10**7 for _, at, _ in events]
    raws = [
        {"event_type": name, "timestamp": at, "serial_event_id": number, **more}
        for number, ((name, _, more), at) in enumerate(zip(events, ticks, strict=True), 1)
    ]
    theirs = [[one.data["serial_event_id"] for one in found.events] for found in eql.get_engine(query)(raws)]
    return found_by(eql.parse_query(query).first, raws), theirs


def test_a_sequence_one_whole_window_long_is_over_for_us_and_just_in_time_for_eql() -> None:
    query = "sequence with maxspan=10s [a where true] [b where true]"
    assert both(query, [("a", 0, {}), ("b", 9, {})]) == ([[1, 2]], [[1, 2]])
    assert both(query, [("a", 0, {}), ("b", 10, {})]) == ([], [[1, 2]])


def test_we_go_by_the_events_own_times_and_eql_by_their_arrival() -> None:
    query = "sequence [a where true] [b where true]"
    assert both(query, [("b", 5, {}), ("a", 1, {})]) == ([[2, 1]], [])
    assert both(query, [("a", 5, {}), ("b", 1, {})]) == ([], [[1, 2]])


def test_an_event_without_the_field_is_in_no_group_and_for_eql_in_that_of_nothing() -> None:
    query = "sequence by user [a where true] [b where true]"
    assert both(query, [("a", 0, {}), ("b", 1, {})]) == ([], [[1, 2]])


def test_of_two_starts_that_have_come_equally_far_both_keep_the_later() -> None:
    """So one open sequence a step and key, which is all that eql keeps, loses no finding."""
    query = "sequence [a where true] [b where true] [c where true]"
    events = [("a", 0, {}), ("b", 1, {}), ("a", 2, {}), ("b", 3, {}), ("c", 4, {}), ("c", 5, {})]
    assert both(query, events) == ([[3, 4, 5]], [[3, 4, 5]])
