"""Tests that run several playbooks: those they name must exist, and must be able to find what is expected of them."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from typing import NamedTuple

from sentinel import content
from sentinel.engine.problems import quote, suggest
from sentinel.loader.desk import Desk, first, listed
from sentinel.loader.shapes import Reading
from sentinel.loader.source import Node, Scalar, Sequence, Spot
from sentinel.loader.testcase import check_expectation


class Read(NamedTuple):
    """What was read of a playbook, faulty or not, and where mistakes in it go."""

    reading: Reading
    desk: Desk


def check_joint_tests(read: Mapping[str, Read], known: Collection[str] | None, tested: Container[str] | None) -> None:
    """Report playbooks that tests name and that are not there, and findings of others that these cannot have.

    `known` are the ids of all playbooks, None where a file was in part illegible. Names are checked against them in
    the files `tested` alone, in all files where that is None.
    """
    for id, (reading, desk) in read.items():
        for test in reading["tests"] or ():
            if known is not None and (tested is None or desk.page.name in tested):
                _check_names(test, id, known, desk)
            for entry in test["expect"] or () if "with" in test else ():
                _expected(entry, test["with"], id, read, desk)


def _check_names(test: Reading, id: str, known: Collection[str], desk: Desk) -> None:
    for name, spot in _spots(test.node.get("with")):
        if name == id:
            desk.report(spot, f"a test runs its own playbook anyway: {quote(name)}", "leave it out")
        elif name in (test["with"] or ()) and name not in known:
            others = sorted({*known} - {id})
            none = f"known are {listed(first(others))}" if others else "there is no other playbook"
            hint = _shipped(name) or suggest(name, others) or none
            desk.report(spot, f"there is no playbook {quote(name)}", hint)


def _shipped(name: str) -> str | None:
    """Return what to do about a playbook that is not here where it is one of those that come with Sentinel."""
    found = next(content.folder("playbooks").rglob(f"{name}.yaml"), None)
    return f"it is a shipped one: copy `{found}` to yours" if found else None


def _spots(node: Node | None) -> list[tuple[str, Spot]]:
    items = node.items if isinstance(node, Sequence) else (node,)
    return [(item.text, item.spot) for item in items if isinstance(item, Scalar)]


def _expected(entry: Reading, beside: Collection[str], id: str, read: Mapping[str, Read], desk: Desk) -> None:
    whose = entry["playbook"]
    if whose is None or whose == id:
        return
    if whose not in beside:
        hint = suggest(whose, [*beside, id]) or "name it in the test's `with`"
        desk.report(entry.spot("playbook"), f"the test does not run {quote(whose)}", hint)
    elif whose in read:
        check_expectation(entry, read[whose].reading, desk)
