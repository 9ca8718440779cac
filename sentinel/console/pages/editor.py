"""Writing playbooks: a draft is checked, tested and judged on the stored events, and then saved as a file.

Without scripts every button submits the form and the page comes back with the result; with scripts the same parts of
the page are replaced in place. Drafts are judged by `trials.workbench` and files written by `service.writing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from sentinel.console.asking import zone_of
from sentinel.console.forms import Filled, Form
from sentinel.console.parts import Given
from sentinel.console.render import local
from sentinel.console.visit import Analyst, Visit
from sentinel.core.duration import DAY, SECOND, parse_duration
from sentinel.core.errors import Conflict, SentinelError, StoreBusy
from sentinel.core.explore import NameSeen
from sentinel.core.record import Draft, Filter
from sentinel.edge.errors import ApiError, require
from sentinel.engine.fields import FIELDS
from sentinel.engine.functions import FUNCTIONS, signature
from sentinel.loader.mistakes import PlaybookErrors
from sentinel.loader.schema import json_schema
from sentinel.loader.source import LARGEST
from sentinel.service.trials.workbench import Superseded
from sentinel.service.writing import Sheet

router = APIRouter()
DOES = ("check", "test", "backtest", "suggest", "save", "draft", "discard")
TIMES = (("1d", "the last day"), ("7d", "7 days"), ("30d", "30 days"), ("90d", "90 days"))
NOTHING: Mapping[str, Any] = {
    "mistakes": [], "tests": None, "report": None, "fitting": None, "trouble": "", "checked": None,
}  # fmt: skip
FRESH = """\
playbook: my-playbook
title: What it finds, in a few words
description: Why this matters, what a false positive looks like, what to do.
mode: monitor
severity: medium
event: auth
where: not success
group_by: ip
window: 10m
when: {count: 10}
actions:
  - notify: {channel: security}
tests:
  - name: ten failures from one address
    events:
      - {at: 0s, event: auth, success: false, ip: 203.0.113.9, user: "u{n}", repeat: 10, every: 5s}
    expect:
      - {at: 45s, group: {ip: 203.0.113.9}}
"""


@router.get("/playbooks/new")
def new_playbook(visit: Analyst, rule: str = "") -> Response:
    """Show the editor with the text of a rule made of a search, or with a playbook to begin with."""
    text = rule[:LARGEST] or FRESH
    return _shown(visit, Sheet("", text, "", visit.here.writing.new("x.yaml").fixed), text)


@router.get("/playbooks/edit")
def edit_playbook(visit: Analyst, file: Given, id: Given = "", version: Given = "") -> Response:
    """Show a file in the editor: with an older version of a playbook in it, else with the reader's draft of it."""
    sheet = visit.here.writing.place(file)
    if version:
        return _shown(visit, sheet, _as_it_was(visit, sheet, id, version))
    draft = visit.store.drafts.get(visit.account.id, file)
    return _shown(visit, sheet, draft.text if draft else sheet.text, draft=draft)


@router.post("/playbooks/edit")
def use_draft(visit: Analyst, form: Filled) -> Response:
    """Check, test, judge, keep, drop or save a draft."""
    do, text = form.choice("do", DOES), _text(form)
    file = form.text("file", most=1000, empty=True)
    sheet = visit.here.writing.place(file) if file else Sheet("", "", "", visit.here.writing.new("x.yaml").fixed)
    if do == "save":
        return _save(visit, form, sheet, text)
    if do == "draft":
        name = _named(visit, form, sheet, text).file
        visit.store.drafts.put(visit.account.id, Draft(name, text, form.raw("mark"), visit.now))
        return visit.done(visit.url("/playbooks/edit", file=name), "draft-kept")
    if do == "discard":
        visit.store.drafts.remove(visit.account.id, file)
        return visit.done(
            visit.url("/playbooks/edit", file=file) if sheet.text else visit.url("/playbooks"), "draft-dropped"
        )
    try:
        found = _asked(visit, do, text, sheet, form)
    except Superseded:
        if visit.partial:
            return Response(status_code=204)  # the newer question is answered
        raise
    if visit.partial:
        return visit.page("draft_result.html", **{**NOTHING, **found})
    return _shown(visit, sheet, text, form=form, **found)


@router.post("/playbooks/check")
def check_draft(visit: Analyst, form: Filled) -> Response:
    """Return every mistake of a draft as JSON, for the editor; what was being judged of it is let go."""
    visit.here.workbench.cancel(_who(visit))
    return JSONResponse(visit.here.workbench.check(_text(form), form.raw("file")[:1000] or None))


@router.get("/playbooks/words")
def words(visit: Analyst) -> Response:
    """Return what the editor completes and explains, as JSON."""
    content = visit.here.overview.content()
    return JSONResponse({
        "schema": json_schema(None),
        "fields": {name: field.kind.value for name, field in FIELDS.items()},
        "functions": {name: [signature(name), one.doc] for name, one in FUNCTIONS.items()},
        "rules": {one.id: one.title for one in content.rules.values()},
        "lists": sorted(content.lists),
        "channels": sorted(visit.here.channels),
        "events": [one.name for one in _names(visit)],
        "csrf": visit.csrf,  # of whoever has signed in anew since the page was opened
    })  # fmt: skip


def _names(visit: Visit) -> Sequence[NameSeen]:
    try:
        wanted = Filter(since=visit.now - 30 * DAY, until=visit.now)
        return visit.store.explorer.names(visit.app.id, wanted, by="events", limit=200).items
    except StoreBusy:
        return ()


def _save(visit: Visit, form: Form, sheet: Sheet, text: str) -> Response:
    """Write the file of a draft without mistakes, whose tests pass or need not; else show what is wrong."""
    if not visit.account.everywhere:
        raise ApiError("forbidden", "your account may not do this", "playbooks are of every app: it takes all of them")
    found = _asked(visit, "test", text, sheet, form)
    tests = found.get("tests")
    if found.get("mistakes") or (tests and not tests["ok"] and not form.flag("anyway")):
        return _shown(visit, sheet, text, form=form, **found, refused=True)
    try:
        target = _named(visit, form, sheet, text)
        own = visit.here.workbench.check(text, target.file)["playbooks"]
        visit.here.writing.write(target.file, text, form.raw("mark"), visit.by)
    except Conflict as error:
        return _shown(visit, sheet, text, form=form, conflict=str(error))
    visit.store.drafts.remove(visit.account.id, sheet.file)
    visit.store.drafts.remove(visit.account.id, target.file)
    where = visit.url(f"/playbooks/of/{own[0]['id']}") if own else visit.url("/playbooks")
    return visit.done(where, "playbook-saved")


def _as_it_was(visit: Visit, sheet: Sheet, id: str, version: str) -> str:
    """Return the text of a file with one playbook as an older version of it was."""
    history = visit.store.playbooks.history
    old = require(next(iter(history(visit.app.id, id, 1, version=version).items), None), "version", version)
    newest = history(visit.app.id, id, 1).items[0]
    if sheet.text.count(newest.source) != 1:
        raise Conflict("the file's text is not that of the newest version", "wait until the engine goes by the file")
    return sheet.text.replace(newest.source, old.source)


def _named(visit: Visit, form: Form, sheet: Sheet, text: str) -> Sheet:
    """Return the sheet of a draft: of its file, else of a new one, named by the form or after its first playbook."""
    if sheet.file:
        return sheet
    name = form.text("name", most=80, empty=True)
    if not name:
        own = visit.here.workbench.check(text)
        ids = [one["id"] for one in own["playbooks"]] + own["rules"]
        if not ids:
            raise SentinelError("the file has no name", "write one, such as `my-playbook.yaml`")
        name = f"{ids[0]}.yaml"
    return visit.here.writing.new(name)


def _asked(visit: Visit, do: str, text: str, sheet: Sheet, form: Form) -> dict[str, Any]:
    """Return what was asked of a draft: its mistakes, or its tests, or what it would have done."""
    bench, file = visit.here.workbench, sheet.file or None
    try:
        if do == "test":
            return {"tests": bench.test(text, file)}
        if do in ("backtest", "suggest"):
            since = form.choice("since", [value for value, _ in TIMES])
            return {"since": since} | _judged(visit, do, text, parse_duration(since), file)
    except PlaybookErrors:
        pass
    except Superseded:
        raise
    except SentinelError as error:
        return {"trouble": str(error)}
    checked = bench.check(text, file)
    return {"mistakes": checked["mistakes"], "checked": checked}


def _judged(visit: Visit, do: str, text: str, since: int, file: str | None) -> dict[str, Any]:
    """Return what a draft would have done since so long ago, or which thresholds fit it."""
    bench, app = visit.here.workbench, visit.app.id
    if do == "suggest":
        return {"fitting": bench.suggest(app, f"{_who(visit)} thresholds", text, visit.now - since, visit.now, file)}
    report, zone = bench.backtest(app, _who(visit), text, since, file), zone_of(visit)
    return {"report": report, "bars": [(local(at * SECOND, zone), count) for at, count in report["chart"]["counts"]]}


def _shown(
    visit: Visit, sheet: Sheet, text: str, draft: Draft | None = None, form: Form | None = None, **values: Any
) -> Response:
    """Show the editor; `form` is what was sent, so that nothing of it is lost."""
    mark = draft.mark if draft else form.raw("mark") if form else sheet.mark
    name = form.raw("name")[:80] if form else ""
    given = {**NOTHING, "conflict": "", "refused": False, "since": "7d", **values}
    return visit.page(
        "editor.html", sheet=sheet, home=visit.here.writing.home(), text=text, times=TIMES, draft=draft, mark=mark,
        name=name, now=visit.now, **given,
    )  # fmt: skip


def _text(form: Form) -> str:
    text = form.raw("text").replace("\r\n", "\n")
    if len(text) > LARGEST:
        raise SentinelError(f"`text`: longer than {LARGEST:,} characters")
    return text


def _who(visit: Visit) -> str:
    return f"{visit.account.id} {visit.app.id}"
