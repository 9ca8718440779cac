"""Build a rule from its document."""

from __future__ import annotations

from sentinel.engine.playbook import Rule, RuleTest
from sentinel.loader.checks import check_met
from sentinel.loader.desk import Desk
from sentinel.loader.shapes import Reading
from sentinel.loader.testcase import check_event, event_of, place_of


def build_rule(reading: Reading, desk: Desk) -> Rule:
    """Return the rule of a reading in which nothing is wrong."""
    return Rule(
        id=reading["rule"],
        title=reading["title"] or reading["rule"],
        description=reading["description"],
        events=reading["event"] or (),
        where=reading["where"],
        place=place_of(reading.key_spot("rule"), desk),
        tests=tuple(_test(test, desk) for test in reading["tests"]),
    )


def check_rule(reading: Reading, desk: Desk) -> None:
    """Report what the keys of a rule mean together that cannot be."""
    check_met(reading, desk)
    for test in reading["tests"] or ():
        if "event" in test:
            check_event(test["event"], desk)


def _test(reading: Reading, desk: Desk) -> RuleTest:
    return RuleTest(event_of(reading["event"]), reading["matches"], place_of(reading.node.spot, desk))
