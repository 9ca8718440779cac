"""Playbooks that count what others make, and all users of a window: replays find and act as the reference says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.event import read
from sentinel.engine.engine import Engine
from sentinel.engine.memory import Memory
from sentinel.engine.playbook import Action, Metric, Playbook
from sentinel.service.trials.filetests import Arrival, Runner, Trial
from sentinel.service.trials.replay import Replay
from sentinel.windows.groups import Limits
from sentinel.windows.memory import MemoryWindows, windows_of
from tests.property.test_engine_vs_reference import HERE, LATENESS, SECOND
from tests.reference import Chain, Reference

NAMES = ["a", "b", "x", "y"]  # the last two are made
USERS, IPS = ["id:u1", "id:u2", "id:u3"], ["203.0.113.1", "203.0.113.2"]


@st.composite
def playbooks(draw: Any, id: str) -> tuple[Playbook, dict[str, Any]]:
    """Draw a playbook that may make events, circles included, and the same for the reference."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True))
    group_by = draw(st.sampled_from([("user",), ("ip",), ()]))
    window, count = draw(st.integers(1, 20)), draw(st.integers(1, 3))
    metric, key = draw(
        st.sampled_from([
            (Metric("count", count), ("count", None)), (Metric("distinct", count, field="user"), ("distinct", "user"))
        ])
    )  # fmt: skip
    made = draw(st.sampled_from([None, "x", "y"]))
    actions = (Action("block_users"), *([Action("emit", event=made)] if made else []))
    playbook = Playbook(
        id=id, title="", mode="enforce", severity="low", rule=None, events=tuple(names), where=None,
        group_by=group_by, window=window * SECOND, when=(metric,), cooldown=window * SECOND, place=HERE, version="1",
        actions=actions,
    )  # fmt: skip
    reference = {
        "where": lambda e: e["event"] in names, "group_by": group_by, "window": window * SECOND,
        "cooldown": window * SECOND, "when": {key: ("gte", count)},
    }  # fmt: skip
    return playbook, reference | ({"emit": made} if made else {})


@st.composite
def streams(draw: Any) -> list[dict[str, Any]]:
    """Draw events in the order of time, at different times: what is made lies between them."""
    at, events = 0, []
    for number in range(draw(st.integers(1, 25))):
        at += draw(st.integers(1, 6))
        user, ip = draw(st.sampled_from([*USERS, None])), draw(st.sampled_from(IPS))
        events.append({"id": f"e{number}", "event": draw(st.sampled_from("ab")), "at": at * SECOND, "user": user,
                       "ip": ip})  # fmt: skip
    return events


def as_event(raw: dict[str, Any]) -> Any:
    plain = {"id": raw["id"], "event": raw["event"], "timestamp": raw["at"] / SECOND, "ip": raw["ip"]}
    return read(plain | ({"user": raw["user"].removeprefix("id:")} if raw["user"] else {}))


def found_by(references: dict[str, Reference]) -> set[Any]:
    return {
        (id, tuple(value for _, value in group), at)
        for id, one in references.items() for group, found in one.findings.items() for at, _ in found
    }  # fmt: skip


@given(st.tuples(playbooks("p1"), playbooks("p2"), playbooks("p3")), streams())
def test_in_file_tests_of_several_playbooks_find_what_the_reference_does(pairs, events) -> None:
    """Whoever's test it is, and whatever the modes."""
    chain = Chain([Reference(asked) for _, asked in pairs])
    for raw in events:
        chain.deliver(raw)
    known = {playbook.id: replace(playbook, mode="monitor") for playbook, _ in pairs}
    trial = Trial(known.values(), Runner(windows_of))
    for raw in events:
        trial.deliver(Arrival(raw["at"], as_event(raw)))
    trial.end()
    found = {(one.playbook, tuple(one.group.values()), one.at) for one in trial.findings}
    assert found == found_by(dict(zip(known, chain.references, strict=True)))


@given(st.tuples(playbooks("p1"), playbooks("p2"), playbooks("p3")), streams(), st.integers(1, 10))
def test_each_finding_and_whom_it_acts_on_is_the_references(pairs, events, size) -> None:
    chain = Chain([Reference(asked) for _, asked in pairs])
    for raw in events:
        chain.deliver(raw)
    references = {playbook.id: one for (playbook, _), one in zip(pairs, chain.references, strict=True)}
    engine = Engine([playbook for playbook, _ in pairs], LATENESS * SECOND)
    replay = Replay(engine, MemoryWindows(engine.watches(), Limits(lateness=LATENESS * SECOND)), Memory())
    sent = [as_event(raw) for raw in events]
    found = [one for at in range(0, len(sent), size) for one in replay.feed(sent[at : at + size])]
    assert {(one.playbook, tuple(one.group.values()), one.at) for one in found} == found_by(references)
    for one in found:
        group = tuple(("str", value) for value in one.group.values())
        blocked = {effect.target for effect in one.effects if effect.kind == "block_user" and effect.target}
        assert blocked == references[one.playbook].users(group, one.at)
