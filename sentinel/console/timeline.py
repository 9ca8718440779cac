"""What a user or an address did and what was done to it, as a timeline and as tables of shares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Literal, NamedTuple

from sentinel.core.decision import PAIRS, Kind, unpair
from sentinel.core.event import ENFORCED
from sentinel.core.explore import Activity, Share
from sentinel.service.about import MOST, About

WORDS: Mapping[str, str] = {
    "ips": "Addresses", "users": "Users", "devices": "Devices", "countries": "Countries", "browsers": "Browsers",
    "os": "Systems", "events": "What they did",
}  # fmt: skip
MOST_SHARES = 8


class Line(NamedTuple):
    """One line of a timeline: an event, a finding or a decision, by its id; `times` counts refusals shown as one."""

    at: int
    kind: Literal["event", "finding", "decision"]
    id: str
    title: str
    success: bool | None = None
    user: str | None = None
    ip: str | None = None
    decided: Kind | None = None
    about: str = ""  # the address or device that a decision is kept to
    lifted: int | None = None
    times: int = 1


def lines(found: About, titles: Mapping[str, str]) -> list[Line]:
    """Return the events, findings and decisions as lines, newest first. `titles` are the playbooks', by id."""
    some = [Line(one.at, "event", one.id, one.name, one.success, one.user, one.ip) for one in found.activity.newest]
    for kept in found.findings:
        one = kept.finding
        some.append(Line(one.at, "finding", one.id, one.title or titles.get(one.playbook) or one.playbook))
    for made in found.decisions:
        decision = made.decision
        by = titles.get(decision.playbook or "") or decision.playbook or "by hand"
        kept_to = unpair(decision.value)[1] if decision.scope in PAIRS else ""
        some.append(
            Line(decision.made, "decision", decision.id, by, decided=decision.kind, about=kept_to, lifted=made.lifted)
        )
    return list(_folded(sorted(some, key=lambda line: line.at, reverse=True)))[:MOST]


def _folded(some: list[Line]) -> Iterator[Line]:
    """Give the lines, with one in place of refusals in a row: they would hide what the block was for."""
    for _, alike in groupby(some, lambda line: (line.user, line.ip) if line.title == ENFORCED else line.id):
        first, *rest = alike
        yield first._replace(times=1 + len(rest))


def shares(was: Activity, kinds: Iterable[str]) -> list[tuple[str, str, tuple[Share, ...]]]:
    """Return (kind, title, most frequent values) of each kind that has any."""
    return [(kind, WORDS[kind], was.shares[kind][:MOST_SHARES]) for kind in kinds if was.shares.get(kind)]
