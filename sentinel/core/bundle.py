"""A bundle: one message in place of those above a channel's limit. How it is worded is not known here."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sentinel.core.finding import SEVERITIES

KIND = "bundle"  # of the delivery that a bundle is
USUAL, CRITICAL = "usual", "critical"  # the lanes
FIRST = 3  # findings of a playbook that are named
BUSIEST = 30  # values of a playbook that are counted on

Told = Mapping[str, Any]


class Bound(NamedTuple):
    """At most `most` messages in `per` microseconds are told one by one."""

    most: int
    per: int


class Lane(NamedTuple):
    """What is counted together against a bound: findings of one app, told to one channel, `critical` ones or others."""

    app: str
    channel: str
    name: str


class Settled(NamedTuple):
    """How many deliveries go out alone, how many were folded into a bundle, and whether more may wait."""

    alone: int
    folded: int
    more: bool


def lane_of(severity: str) -> str:
    """Return the lane of a finding: no flood of lesser ones may use up what is left for critical ones."""
    return CRITICAL if severity == CRITICAL else USUAL


def fold(bundle: Told, found: Iterable[Told]) -> dict[str, Any]:
    """Return the body of a bundle with more findings folded in; `{}` is an empty bundle.

    `found` are the bodies by which the findings would be told alone. Numbers, times and first findings do not depend on
    the order of the findings or on how they are split into calls; the busiest values do once there are many: see
    `_counted`.
    """
    playbooks, parts = {one["playbook"]: one for one in bundle.get("playbooks", ())}, defaultdict[str, list[Told]](list)
    for finding in found:
        parts[finding["playbook"]].append(finding)
    for name, part in parts.items():
        playbooks[name] = _playbook(playbooks.get(name, {"playbook": name, "title": part[0]["title"]}), part)
    most = sorted(playbooks.values(), key=lambda one: (-one["findings"], one["playbook"]))
    return {**_summed(bundle, [finding for part in parts.values() for finding in part]), "playbooks": most}


def _playbook(known: Told, found: Sequence[Told]) -> dict[str, Any]:
    first = sorted((*known.get("first", ()), *found), key=lambda one: (_when(one["at"]), one["id"]))[:FIRST]
    named = [{key: one[key] for key in ("id", "at", "group")} for one in first]
    return {**_summed(known, found), "first": named, "busiest": _counted(known.get("busiest", ()), found)}


def _summed(known: Told, found: Sequence[Told]) -> dict[str, Any]:
    times = [at for at in (known.get("since"), known.get("until"), *(one["at"] for one in found)) if at is not None]
    severities = [known.get("severity", "info"), *(one["severity"] for one in found)]
    return {
        **known, "severity": max(severities, key=SEVERITIES.index),
        "findings": known.get("findings", 0) + len(found),
        "acted": known.get("acted", 0) + sum(bool(one["acted"]) for one in found),
        "since": min(times, key=_when), "until": max(times, key=_when),
    }  # fmt: skip


def _when(at: str) -> str:
    """Return a key that sorts RFC 3339 texts by time, with decimals or without."""
    return at.rstrip("Z")


def _counted(busiest: Iterable[Told], found: Iterable[Told]) -> list[dict[str, Any]]:
    """Return the groups' values, users and addresses that most findings are about, each with at least how many.

    A summary by Misra and Gries, merged as in Agarwal and others, Mergeable Summaries (2012): where there are more than
    BUSIEST values, each number is lowered by that of the first value left out. A value that is more than one in BUSIEST
    of all those counted is never lost.
    """
    counts = Counter({(one["field"], one["value"]): one["findings"] for one in busiest})
    for finding in found:
        about = {**finding["group"], "user": finding["user"], "ip": finding["ip"]}
        counts.update((field, value) for field, value in about.items() if value is not None)
    most = sorted(counts.items(), key=lambda one: (-one[1], one[0][0], str(one[0][1])))
    spare = most[BUSIEST][1] if len(most) > BUSIEST else 0
    return [
        {"field": field, "value": value, "findings": number - spare}
        for (field, value), number in most[:BUSIEST]
        if number > spare
    ]
