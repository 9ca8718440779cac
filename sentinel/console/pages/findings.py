"""What playbooks found, and how people judged it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast, get_args

from fastapi import APIRouter
from starlette.responses import Response

from sentinel.console.asking import BETWEEN, CHOICES, Period, When, around, ends
from sentinel.console.forms import Filled
from sentinel.console.narrowing import Narrowing
from sentinel.console.parts import LENGTHS, Cursor, Given, Id, length
from sentinel.console.render import stamp
from sentinel.console.visit import Analyst, Viewer, Visit
from sentinel.core.duration import ENDLESS, SECOND
from sentinel.core.errors import SentinelError, StoreBusy
from sentinel.core.explore import Scalar
from sentinel.core.finding import SEVERITIES
from sentinel.core.record import STATUSES, FindingFormat, Judged, KeptEvent, KeptFinding, Status
from sentinel.edge.errors import require
from sentinel.service import hand
from sentinel.service.search import LONGEST, narrowed

router = APIRouter()
JUDGED = get_args(Judged)
SHOWN = 50  # events of a finding
LEAST = [(one, one if one == "critical" else f"{one} or worse") for one in reversed(SEVERITIES[1:])]  # `info` are all


@router.get("/findings")
def list_findings(
    visit: Viewer, when: When, playbook: Given = "", severity: Given = "", status: Given = "", user: Given = "",
    ip: Given = "", bundle: Given = "", cursor: Cursor = None,
) -> Response:  # fmt: skip
    """List findings, newest first: all, those of a period, or those that one message told of."""
    wanted = _wanted(visit, when, playbook, severity, status, user, ip, bundle)
    page = visit.store.findings.list(visit.app.id, cursor=cursor, counted=True, **wanted)
    query = {
        "playbook": playbook, "severity": severity, "status": status, "user": user, "ip": ip, "bundle": bundle,
        **when.query,
    }  # fmt: skip
    playbooks = sorted({*visit.here.overview.titles(), playbook} - {""})
    return visit.page(
        "findings.html", page=page, query=query, playbooks=playbooks, severities=LEAST, statuses=STATUSES,
        filtered=any(query.values()), period=when, choices=(("", "any time"), *CHOICES),
        span=ends(wanted["since"], wanted["until"]),
    )  # fmt: skip


@router.get("/findings/export")
def export(
    visit: Viewer, when: When, format: FindingFormat, playbook: Given = "", severity: Given = "", status: Given = "",
    user: Given = "", ip: Given = "", bundle: Given = "",
) -> Response:  # fmt: skip
    """Give the findings of a list as a file."""
    wanted = _wanted(visit, when, playbook, severity, status, user, ip, bundle)
    return visit.here.records.findings(visit.app.id, visit.by, visit.lasts, format, **wanted)


@router.get("/findings/{id}")
def show_finding(visit: Viewer, id: Id) -> Response:
    """Show one finding: its reasons, its events, what came of it, and what can be done."""
    kept = _known(visit, id)
    decisions = visit.store.decisions.list(visit.app.id, finding=id, limit=100).items
    events, missing = _evidence(visit, kept)
    narrowing = Narrowing(visit, "", **around(visit.now, kept.finding.at))
    return visit.page(
        "finding.html", now=visit.now, kept=kept, found=kept.finding, decisions=decisions, events=events,
        narrowing=narrowing, missing=missing, judged=JUDGED, lengths=LENGTHS, targets=hand.targets(kept),
        prolongable=any(effect.decisions for effect in kept.finding.effects), beside=_beside(kept, events),
        playbook=visit.here.overview.playbook(kept.finding.playbook),
    )  # fmt: skip


@router.post("/findings/{id}/mark")
def mark_finding(visit: Analyst, form: Filled, id: Id) -> Response:
    """Set a finding's status and note."""
    _known(visit, id)
    status = cast(Status, form.choice("status", JUDGED))
    note = form.text("note", most=500, empty=True)
    visit.store.findings.mark(visit.app.id, id, status, visit.by, visit.now, note)
    return visit.done(visit.url(f"/findings/{id}"), "marked")


@router.post("/findings/{id}/pardon")
def pardon_finding(visit: Analyst, form: Filled, id: Id) -> Response:
    """Call a finding a false positive: lift what it decided, and let nobody act on its targets."""
    kept, why = _known(visit, id), form.text("why", most=500)
    hand.pardon(visit.store, visit.app.id, kept, why, length(form), visit.by, visit.now)
    visit.here.told(visit.app.id)
    return visit.done(visit.url(f"/findings/{id}"), "excepted")


@router.post("/findings/{id}/prolong")
def prolong_finding(visit: Analyst, form: Filled, id: Id) -> Response:
    """Decide by hand, for longer, what a finding decided."""
    kept, why = _known(visit, id), form.text("why", most=500)
    hand.prolong(visit.store, visit.app.id, kept, why, length(form) or ENDLESS, visit.by, visit.now)
    visit.here.told(visit.app.id)
    return visit.done(visit.url(f"/findings/{id}"), "extended")


def _wanted(
    visit: Visit, when: Period, playbook: str, severity: str, status: str, user: str, ip: str, bundle: str
) -> dict[str, Any]:  # fmt: skip
    """Return the filters of a list of findings; without an end given, those anchored ahead of our clock count too."""
    since, until = when.span(visit.now) if when.range else (None, None)
    until = until if when.range == BETWEEN and when.until else None
    return {
        "playbook": playbook or None, "severity": severity if severity in SEVERITIES else None,
        "status": status if status in STATUSES else None,
        "user": hand.known_user(visit.store, visit.app.id, "user", user) if user else None,
        "ip": hand.spot("ip", ip) if ip else None, "since": since, "until": until,
        "bundle": _number("bundle", bundle) if bundle else None,
    }  # fmt: skip


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise SentinelError(f"`{name}`: `{text[:64]}` is not the number of a delivery")
    return int(text)


def _known(visit: Visit, id: str) -> KeptFinding:
    return require(visit.store.findings.get(visit.app.id, id), "finding", id)


def _beside(kept: KeptFinding, events: Sequence[KeptEvent]) -> dict[str, str]:
    """Return how addresses ask for all that the group did, from the oldest of some events to the newest."""
    q, found = "", kept.finding
    for field, value in found.group.items():
        if field != "ip":  # which may be a network: that is no condition
            q = narrowed(q, field, cast(Scalar, value))
    oldest, newest = min([found.at, *(one.event.at for one in events)]), max(found.at, kept.last or 0)
    asked = {"q": q if len(q) <= LONGEST else "", "ip": str(found.group.get("ip", ""))}
    return {**asked, "range": BETWEEN, "from": stamp(oldest), "to": stamp(newest + SECOND)}


def _evidence(visit: Visit, kept: KeptFinding) -> tuple[list[KeptEvent], str]:
    """Return the newest events a finding rests on, and why some are not shown."""
    try:
        events = list(reversed(visit.store.events.some(visit.app.id, kept.finding.events[-SHOWN:])))
    except StoreBusy:
        return [], "Events cannot be searched now."
    rest = kept.evidence - len(events)
    return events, f"{rest:,} more {'is' if rest == 1 else 'are'} only counted, or no longer kept." if rest else ""
