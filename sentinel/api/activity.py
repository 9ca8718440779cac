"""/v1/users and /v1/ips: which users and addresses were there and what they did. Links of users are in `people`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path

from sentinel.api.asking import Q, Since, Until, forward, wanted
from sentinel.api.context import ASKED_IN_TURN, Context, Here, Reader
from sentinel.api.models import ANSWERED, DecisionView, FindingView, Listing, Model, Moment, PersonView
from sentinel.api.parts import LONGEST, Cursor, Filter, Limit, Word, network, time
from sentinel.api.sums import bounded
from sentinel.api.views import decision_view, finding_view, listing, when
from sentinel.core import record
from sentinel.core.duration import DAY
from sentinel.core.explore import Happened, Share, UserSeen, UsersWanted
from sentinel.core.record import KeptDecision
from sentinel.service import about
from sentinel.service.about import About

router = APIRouter(tags=["explorer"], dependencies=ASKED_IN_TURN)


class SeenView(Model):
    """A user key with its events in the period, and its labels now."""

    key: str
    events: int
    first: Moment
    last: Moment
    labels: list[str]


class ShareView(Model):
    """One value, how many events have it, and the times of the first and the last one."""

    value: str
    events: int
    first: Moment
    last: Moment


class HappenedView(Model):
    """One line of a timeline: an event, a finding or a decision, by its id; `lifted` is when that decision was."""

    model_config = ANSWERED

    at: Moment
    kind: Literal["event", "finding", "decision"]
    id: str
    title: str
    success: bool | None = None
    user: str | None = None
    ip: str | None = None
    country: str | None = None
    lifted: Moment | None = None


class Was(Model):
    """What a person or an address did: the most frequent values of each kind, and a timeline, newest first."""

    events: int
    first: Moment | None
    last: Moment | None
    names: list[ShareView]
    devices: list[ShareView]
    countries: list[ShareView]
    browsers: list[ShareView]
    os: list[ShareView]
    findings: list[FindingView]
    timeline: list[HappenedView]
    behind: int


class UserView(PersonView, Was):
    """A person: the key that never changes, all keys linked to it, those of persons merged into it, and what it did."""

    ips: list[ShareView]


class AddressView(Was):
    """An address or a network: who came from it, its labels, and the decisions in force on it."""

    ip: str
    users: list[ShareView]
    labels: list[str]
    decisions: list[DecisionView]


@router.get("/v1/users", response_model=Listing[SeenView])
def list_users(
    here: Here, caller: Reader, begins: Filter = None, sort: Literal["last", "events"] = "last", q: Q = None,
    event: Filter = None, ip: Filter = None, since: Since = None, until: Until = None, limit: Limit = 50,
    cursor: Cursor = None,
) -> Any:  # fmt: skip
    """Return the users of a period, newest first by their last event or by how many they have; `begins` is a prefix."""
    filter = bounded(here, wanted(here, caller.app, q, event, None, ip, since, until))
    now = here.clock()

    def seen(one: UserSeen) -> dict[str, Any]:
        labels = here.store.labels.of(caller.app, "user", one.key, now)
        return one._asdict() | {"first": when(one.first), "last": when(one.last), "labels": list(labels)}

    return listing(here.store.explorer.users(caller.app, UsersWanted(filter, begins or "", sort, limit, cursor)), seen)


@router.get("/v1/ips/{ip:path}", response_model=AddressView)
def get_ip(
    here: Here, caller: Reader, ip: Annotated[Word, Path(max_length=LONGEST)], since: Since = None, until: Until = None
) -> Any:
    """Return what came from an address or a network, its labels, and the decisions in force that meet it."""
    now, meant = here.clock(), network(ip)
    assert meant is not None
    found = about.place_of(here.store, caller.app, meant, replace(whole(here, since, until), ip=meant), now)
    over = about.overruled(found.decisions, now)
    return activity_view(found) | {
        "ip": meant, "users": shares_view(found.activity.shares["users"]), "labels": list(found.labels),
        "decisions": [decision_view(kept, now, over) for kept in found.decisions if kept.in_force(now)],
    }  # fmt: skip


def whole(here: Context, since: str | None, until: str | None) -> record.Filter:
    """Return the filter of a period, of all time where no ends were given."""
    now = here.clock()
    found = record.Filter(since=time("from", since, now) or 0, until=time("to", until, now))
    return forward(found if found.until is not None else replace(found, until=now + DAY))


def activity_view(found: About) -> dict[str, Any]:
    """Return what somebody did as it is shown, with what was found and decided."""
    did, findings = found.activity, found.findings
    lines = [(one.at, _event(one)) for one in did.newest]
    lines += [(one.finding.at, _line("finding", one.finding.id, one.finding.title, one.finding)) for one in findings]
    lines += [(one.decision.made, _made(one)) for one in found.decisions]
    lines.sort(key=lambda line: line[0], reverse=True)
    return {
        "events": did.events, "first": when(did.first), "last": when(did.last),
        "names": shares_view(did.shares["events"]),
        **{kind: shares_view(did.shares[kind]) for kind in ("devices", "countries", "browsers", "os")},
        "findings": [finding_view(one) for one in findings],
        "timeline": [line | {"at": when(at)} for at, line in lines[:about.MOST]], "behind": did.behind,
    }  # fmt: skip


def shares_view(some: Iterable[Share]) -> list[dict[str, Any]]:
    """Return the most frequent values as they are shown."""
    return [one._asdict() | {"first": when(one.first), "last": when(one.last)} for one in some]


def _event(one: Happened) -> dict[str, Any]:
    return {
        "kind": "event", "id": one.id, "title": one.name, "success": one.success, "user": one.user, "ip": one.ip,
        "country": one.country,
    }  # fmt: skip


def _line(kind: str, id: str, title: str, of: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "id": id,
        "title": title,
        "user": getattr(of, "user", None),
        "ip": getattr(of, "ip", None),
    }


def _made(kept: KeptDecision) -> dict[str, Any]:
    one = kept.decision
    title = f"{one.kind} {one.scope} {one.value}" + (f": {one.reason}" if one.reason else "")
    return _line("decision", one.id, title, None) | {"lifted": when(kept.lifted)}
