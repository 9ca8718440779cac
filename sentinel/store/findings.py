"""Findings: written with the commit that opens them, then with what people make of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, Select, bindparam, case, delete, func, select, tuple_, update

from sentinel.core.batch import Evidence
from sentinel.core.decision import Decision
from sentinel.core.errors import SentinelError
from sentinel.core.finding import SEVERITIES, Effect, Finding, Severity
from sentinel.core.record import STATUSES, Acted, Allowance, KeptFinding, Page, Status
from sentinel.store import changes
from sentinel.store.audit import note
from sentinel.store.database import Database
from sentinel.store.decisions import Revisions
from sentinel.store.paging import during, page
from sentinel.store.standing import Allow, write_allowances
from sentinel.store.tables import decisions, findings, outbox

_COLUMNS = ("id", "playbook", "key", "at", "event_id", "user", "ip", "acted")
_BODY = tuple(name for name in Finding.__dataclass_fields__ if name not in _COLUMNS)
_OVER = ("false-positive", "closed", "retracted")
_LOT = 1000
_NEWEST = bindparam("newest", type_=findings.c.last.type)
_MORE = (
    update(findings)
    .where(findings.c.app == changes.OF, findings.c.id == bindparam("one"))
    .values(
        evidence=findings.c.evidence + bindparam("more", type_=findings.c.evidence.type),
        last=case((findings.c.last < _NEWEST, _NEWEST), else_=findings.c.last),
    )
)
_KNOWN = select(findings.c.id).where(findings.c.app == changes.OF, findings.c.id.in_(changes.SOME))
_TAKEN_BACK = _KNOWN.where(findings.c.status == "retracted")


def open_new(change: changes.Change, found: Sequence[Finding]) -> tuple[str, ...]:
    """Insert the findings that are not known and return their ids.

    One that acts takes the place of one that did not: of what was monitored when it came up again and was enforced.
    What one late event took back and another brings up again is new, unless a person has undone it.
    """
    known = changes.among(change, _KNOWN, [finding.id for finding in found])
    fresh = {finding.id: finding for finding in found if finding.id not in known}
    changes.insert_new(change.connection, findings, [_written(change, finding) for finding in fresh.values()])
    gone = changes.among(change, _TAKEN_BACK, list(known))
    again = gone - changes.undone_by_people(change, gone)
    for finding in found:
        if finding.id in known and (finding.id in again or finding.acted):
            _replace(change, finding, taken_back=finding.id in again)
    return tuple(fresh)


def _replace(change: changes.Change, finding: Finding, taken_back: bool) -> None:
    """Put a finding in the place of what is known under its id, if that was `taken_back` or did not act."""
    c, written, mine = findings.c, _written(change, finding), _mine(change.app, finding.id)
    values = {name: written[name] for name in ("body", "acted", "user", "ip", "opened")}
    if taken_back:
        values |= {"status": "new", "closed": None, "undone": False}
    else:
        mine = mine.where(~c.acted, ~c.undone)
    change.connection.execute(mine.values(**values))


def add_evidence(change: changes.Change, more: Sequence[Evidence]) -> None:
    """Count more events of findings."""
    if more:
        rows = [{"of": change.app, "one": one.finding, "more": one.count, "newest": one.last} for one in more]
        change.connection.execute(_MORE, rows)


def retract(change: changes.Change, ids: Sequence[str]) -> None:
    """Take findings back and lift what they decided."""
    if not ids:
        return
    changes.lift(change, changes.of_findings(change, ids), changes.NOBODY, changes.TAKEN_BACK)
    values = {"status": "retracted", "closed": change.now, "undone": True}
    for id in ids:
        change.connection.execute(_mine(change.app, id).values(**values))


class Findings:
    """The findings of all apps."""

    def __init__(self, control: Database, revisions: Revisions, allow: Allow) -> None:
        self._control = control
        self._revisions = revisions
        self._allow = allow

    def get(self, app: str, id: str) -> KeptFinding | None:
        """Return one finding."""
        with self._control.read() as connection:
            row = connection.execute(_own(app).where(findings.c.id == id)).one_or_none()
        return None if row is None else _kept(row)

    def list(
        self, app: str, *, playbook: str | None = None, status: Status | None = None, user: str | None = None,
        ip: str | None = None, since: int | None = None, until: int | None = None, bundle: int | None = None,
        severity: Severity | None = None, limit: int = 50, cursor: str | None = None, counted: bool = False,
    ) -> Page[KeptFinding]:  # fmt: skip
        """Return findings by their anchor's time, newest first; with `bundle` those that this delivery tells of.

        `severity` is the least that is meant.
        """
        query = _own(app)
        if bundle is not None:
            told = select(outbox.c.finding).where(outbox.c.app == app, outbox.c.bundle == bundle)
            query = query.where(findings.c.id.in_(told))
        for name, what in {"playbook": playbook, "status": status, "user": user, "ip": ip}.items():
            if what is not None:
                query = query.where(findings.c[name] == what)
        if severity is not None:
            query = query.where(findings.c.rank >= SEVERITIES.index(severity))
        query = query.where(*during(findings.c.at, since, until))
        with self._control.read() as connection:
            return page(connection, query, (findings.c.at, findings.c.id), (int, str), limit, cursor, _kept, counted)

    def tally(self, app: str, since: int, until: int, status: Status | None = None) -> dict[str, int]:
        """Return the number of findings anchored in a period, by playbook; with `status` only those of that status."""
        c = findings.c
        number = func.count().label("number")
        query = select(c.playbook, number).where(c.app == app, c.at >= since, c.at < until)
        if status is not None:
            query = query.where(c.status == status)
        with self._control.read() as connection:
            return {row.playbook: row.number for row in connection.execute(query.group_by(c.playbook))}

    def steps(self, app: str, playbook: str, since: int, until: int, step: int) -> dict[int, int]:
        """Return how many findings of a playbook are anchored in each step of a period, by its number."""
        c = findings.c
        which = ((c.at - since) // step).label("which")
        query = select(which, func.count()).where(c.app == app, c.playbook == playbook, c.at >= since, c.at < until)
        with self._control.read() as connection:
            return {int(place): number for place, number in connection.execute(query.group_by(which))}

    def mark(
        self, app: str, id: str, status: Status, by: str, now: int, note: str | None = None, lift: bool = False,
        allow: Sequence[Allowance] = (),
    ) -> int | None:  # fmt: skip
        """Set a finding's status and note, and return the revision of the decision list; None for an unknown id.

        In the same transaction `lift` ends the finding's decisions, and each of `allow` is added to the allowlist and
        ends what playbooks decided about it.
        """
        if status not in STATUSES:
            raise SentinelError(f"`status`: `{status}` is none of {', '.join(STATUSES)}")
        concerned = self._allow.concerned(app, allow, now)
        with self._control.writing():
            with self._control.write() as connection:
                change = changes.Change(connection, app, now)
                if not _mark(change, id, status, by, note, lift):
                    return None
                write_allowances(change, allow, by, concerned)
            self._allow.learn(app, allow)
        return self._revisions.learn(change)

    def expire(self, before: int) -> int:
        """Drop findings whose last event is older than a time and that no kept decision rests on; return how many."""
        c = findings.c
        resting = select(decisions.c.id).where(decisions.c.app == c.app, decisions.c.finding == c.id)
        with self._control.write() as connection:
            gone = delete(findings).where(c.last < before, c.opened < before, ~resting.exists())
            return connection.execute(gone).rowcount

    def since(self, app: str, since: int) -> Iterator[KeptFinding]:
        """Give the findings anchored since a time, oldest first."""
        yield from map(_kept, self._walk(_own(app), (findings.c.at, findings.c.id), since))

    def acted(self, app: str, since: int) -> Iterator[Acted]:
        """Give each action that was carried out since a time, oldest first."""
        query = _own(app).where(findings.c.acted)
        for row in self._walk(query, (findings.c.opened, findings.c.id), since):
            for effect in row.body["effects"]:
                if effect["held"] is None and effect["target"] is not None:
                    yield Acted(row.playbook, effect["kind"], effect["target"], row.opened, row.id)

    def _walk(self, query: Select[Any], order: Sequence[ColumnElement[Any]], since: int) -> Iterator[Row[Any]]:
        place: tuple[int, str] = (since, "")
        while True:
            with self._control.read() as connection:
                later = query.where(tuple_(*order) > tuple_(*place)).order_by(*order).limit(_LOT)
                rows = connection.execute(later).all()
            yield from rows
            if len(rows) < _LOT:
                return
            place = (rows[-1]._mapping[order[0]], rows[-1].id)


def _mark(change: changes.Change, id: str, status: Status, by: str, why: str | None, lift: bool) -> bool:
    """Mark a finding within a transaction; say whether there is one of that id."""
    values: dict[str, Any] = {"status": status, "by": by, "closed": change.now if status in _OVER else None}
    values |= {} if why is None else {"note": why}
    values |= {"undone": True} if lift else {}
    if not change.connection.execute(_mine(change.app, id).values(**values)).rowcount:
        return False
    if lift:
        changes.lift(change, changes.of_findings(change, [id]), by, why or f"finding marked {status}")
    detail = {"status": status, "lift": lift}
    note(change.connection, change.app, change.now, by, "finding.mark", id, why or "", detail)
    return True


def _own(app: str) -> Select[Any]:
    return select(findings).where(findings.c.app == app)


def _mine(app: str, id: str) -> Any:
    return update(findings).where(findings.c.app == app, findings.c.id == id)


def _written(change: changes.Change, finding: Finding) -> dict[str, Any]:
    body = {name: getattr(finding, name) for name in _BODY}
    for name in ("group", "tally", "threshold"):
        body[name] = dict(body[name])
    body["effects"] = msgspec.to_builtins(finding.effects)
    columns = {name: getattr(finding, name) for name in _COLUMNS}
    evidence = max(1, len(finding.events))
    return columns | {"app": change.app, "body": body, "opened": change.now, "evidence": evidence, "last": finding.at}


def _kept(row: Row[Any]) -> KeptFinding:
    found = row._mapping
    finding = Finding(**{name: found[name] for name in _COLUMNS}, **_body(row.body))
    return KeptFinding(
        finding, row.opened, row.status, row.note, row.evidence, row.last, row.closed, row.undone, row.by
    )


def _body(body: Mapping[str, Any]) -> dict[str, Any]:
    effects = tuple(
        Effect(**{**effect, "decisions": tuple(Decision(**decision) for decision in effect["decisions"])})
        for effect in body["effects"]
    )
    return {**body, "effects": effects, "events": tuple(body.get("events", ()))}
