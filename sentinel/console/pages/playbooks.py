"""The playbooks in use: what each found, whom it acted on, the state it is in, and the history of its text."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from starlette.responses import Response

from sentinel.console.asking import zone_of
from sentinel.console.parts import Cursor, Given, Id
from sentinel.console.visit import Viewer, Visit
from sentinel.core import moment
from sentinel.core.duration import DAY, MINUTE, SECOND
from sentinel.core.errors import SentinelError
from sentinel.core.record import PlaybookVersion
from sentinel.edge.errors import not_found
from sentinel.engine.playbook import MODES
from sentinel.engine.select import rules_of
from sentinel.service.overview import PlaybookState
from sentinel.service.why import Nearness

router = APIRouter()
BARS = 30  # days
STEP = 15 * MINUTE  # the days of every zone are made of whole ones


class Line(NamedTuple):
    """One playbook of the list.

    `acted` counts whom it acted on in a week, `wrong` its false positives in 30 days. `guarded` is until when its guard
    holds, None while it does not.
    """

    state: PlaybookState
    day: int
    week: int
    acted: int
    wrong: int
    guarded: int | None


class Changed(NamedTuple):
    """One line of a difference: what kind of line it is, and its text."""

    kind: str
    text: str


@router.get("/playbooks")
def list_playbooks(visit: Viewer, name: Given = "", mode: Given = "", found: Given = "") -> Response:
    """List the playbooks, those that found most first, and what is wrong with files.

    `name` is in their title or id; with `found`, only those that found something in a week.
    """
    app, now, store = visit.app.id, visit.now, visit.store
    day, week = store.findings.tally(app, now - DAY, now + DAY), store.findings.tally(app, now - 7 * DAY, now + DAY)
    targets = {(one.playbook, one.kind, one.target) for one in store.findings.acted(app, now - 7 * DAY)}
    acted = Counter(playbook for playbook, _, _ in targets)
    wrong, guarded = _wrong(visit), visit.here.overview.guarded(app, now)
    every = visit.here.overview.playbooks(app)
    lines = [
        Line(one, day.get(one.id, 0), week.get(one.id, 0), acted[one.id], wrong.get(one.id, 0), guarded.get(one.id))
        for one in every
        if name.strip().casefold() in f"{one.title} {one.id}".casefold() and mode in ("", one.mode)
        and (week.get(one.id) or not found)
    ]  # fmt: skip
    lines.sort(key=lambda one: (-one.week, one.state.mode == "off", one.state.id))
    drafts = visit.store.drafts.list(visit.account.id)
    return visit.page(
        "playbooks.html", lines=lines, some=bool(every), mistakes=visit.here.overview.mistakes(), drafts=drafts,
        modes=MODES, query={"name": name, "mode": mode, "found": found}, now=now,
    )  # fmt: skip


@router.get("/playbooks/of/{id}")
def show_playbook(
    visit: Viewer, id: Id, version: Given = "", group: Given = "", done: Given = "", cursor: Cursor = None
) -> Response:
    """Show one playbook: its text and versions, what it found, and how near a group is to its next finding."""
    app, now, store = visit.app.id, visit.now, visit.store
    page = store.playbooks.history(app, id, cursor=cursor)
    newest = page.items[:1] if cursor is None else store.playbooks.history(app, id, 1).items
    state = next((one for one in visit.here.overview.playbooks(app) if one.id == id), None)
    if state is None and not newest:
        if done == "playbook-saved":
            return visit.page("taking.html", 202, id=id)
        raise not_found("playbook", id)
    before = store.playbooks.history(app, id, 1, page.cursor).items if page.cursor else ()  # the last was made from it
    near, problem = _near(visit, id, group)
    playbook = visit.here.overview.playbook(id)
    saved = visit.here.writing.playbook(state.file, id) if state and done == "playbook-saved" else None
    kept = newest[0].source if newest else ""
    return visit.page(
        "playbook.html", id=id, state=state, playbook=playbook, newest=newest, now=now, bars=_bars(visit, id),
        text=saved or kept, waiting=saved not in (None, kept),
        latest=store.findings.list(app, playbook=id, limit=10).items, wrong=_wrong(visit).get(id, 0),
        guarded=visit.here.overview.guarded(app, now).get(id), version=version, near=near, problem=problem, group=group,
        page=page, changes=_changes((*page.items, *before), version),
        rules=list(rules_of(playbook)) if playbook else [],
    )  # fmt: skip


def _bars(visit: Visit, id: str) -> list[tuple[str, int]]:
    """Return the findings of each of the reader's last days, oldest first."""
    zone = ZoneInfo(zone_of(visit))
    first = _day(visit.now, zone) - timedelta(days=BARS - 1)
    since = moment.from_datetime(datetime.combine(first, time(), zone))
    found: Counter[date] = Counter()
    for number, count in visit.store.findings.steps(visit.app.id, id, since, visit.now + DAY, STEP).items():
        found[_day(since + number * STEP, zone)] += count
    return [(str(day), found[day]) for day in (first + timedelta(days=number) for number in range(BARS))]


def _day(at: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(at // SECOND, UTC).astimezone(zone).date()


def _wrong(visit: Visit) -> Mapping[str, int]:
    """Return how many findings of each playbook were judged to be false positives in 30 days."""
    return visit.store.findings.tally(visit.app.id, visit.now - 30 * DAY, visit.now + DAY, "false-positive")


def _near(visit: Visit, id: str, group: str) -> tuple[list[Nearness], str]:
    """Return how near a group is to the playbook's next finding, and what is wrong with how it was named."""
    if not group:
        return [], ""
    try:
        found = visit.here.explainer.group(visit.app.id, group.split(), visit.now)
    except SentinelError as error:
        return [], str(error)
    mine = [one for one in found if one.id == id]
    return mine, "" if mine else "the playbook groups by something else"


def _changes(history: Sequence[PlaybookVersion], version: str) -> list[Changed]:
    """Return how a version's text differs from the one before."""
    for place, one in enumerate(history):
        if one.version == version:
            before = history[place + 1].source if place + 1 < len(history) else ""
            return list(_difference(before, one.source))
    return []


def _difference(before: str, after: str) -> Iterator[Changed]:
    kinds = {"+": "added", "-": "removed", "@": "place"}
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=3)
    for number, line in enumerate(lines):
        if number >= 2:  # the first two name the files
            yield Changed(kinds.get(line[:1], ""), line)
