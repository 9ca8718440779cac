"""Windows in Valkey say what the reference says, whatever the order of arrival and whichever process is told."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.engine.windows import Hit, Watch
from sentinel.windows.groups import Limits
from tests.windows.test_memory_vs_reference import ALL, LATENESS, MONOTONE, refer, streams, value_of, watches
from tests.windows.twins import shared


def run(watch: Watch, events: list[dict[str, Any]]) -> dict[Any, list[Any]]:
    """Return the findings by group, as the reference writes them; two processes are told in turn."""
    processes = shared([watch], Limits(lateness=LATENESS))
    found: dict[Any, list[Any]] = {}
    for number, event in enumerate(events):
        values = tuple(value_of(gauge.kind, event) for gauge in watch.detector.gauges)  # type: ignore[union-attr]
        hit = Hit("w", event["g"], event["at"], event["id"], values, True, None)
        for opening in processes[number % 2].hit([hit], 0):
            anchors = found.setdefault((("str", event["g"]),), [])
            if (opening.at, opening.id) not in anchors:
                anchors.append((opening.at, opening.id))
    return found


@settings(max_examples=40)
@given(watches(ALL), st.booleans(), st.data())
def test_the_findings_are_the_reference_s(asked: Any, late: bool, data: Any) -> None:
    watch, when = asked
    events = data.draw(streams(late=late))
    assert run(watch, events) == refer(watch, when, events).findings


@settings(max_examples=40)
@given(watches(MONOTONE), streams(late=True), st.randoms(use_true_random=False))
def test_order_and_repeats_change_no_group(asked: Any, events: list[dict[str, Any]], chance: random.Random) -> None:
    watch, _ = asked
    shuffled = events + [chance.choice(events) for _ in range(5)]
    ordered = sorted({e["id"]: e for e in events}.values(), key=lambda e: (e["at"], e["id"]))
    assert run(watch, shuffled).keys() == run(watch, ordered).keys()
