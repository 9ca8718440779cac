"""How a record becomes what the API shows: plain values, times as RFC 3339. The shapes themselves are in `models`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any

from sentinel.api.models import EventView
from sentinel.core import moment
from sentinel.core.duration import format_duration
from sentinel.core.record import (
    Account,
    Allowance,
    App,
    AuditEntry,
    Delivery,
    KeptDecision,
    KeptEvent,
    KeptFinding,
    KeptLabel,
    Key,
    Page,
    Person,
    PlaybookVersion,
)
from sentinel.edge.protocols import KeyForms, shown_settings
from sentinel.engine.emit import emitted
from sentinel.loader.mistakes import Mistake
from sentinel.service.overview import PlaybookState


def listing(page: Page[Any], show: Callable[[Any], Any]) -> dict[str, Any]:
    """Return a page with each of its items shown."""
    items = [show(item) for item in page.items]
    return {"items": items, "cursor": page.cursor, "behind": page.behind, "total": page.total}


def whole(found: Iterable[Any], show: Callable[[Any], Any]) -> dict[str, Any]:
    """Return all of a list that has one page."""
    items = [show(item) for item in found]
    return {"items": items, "total": len(items)}


def when(at: int | None) -> str | None:
    """Return a moment as text, None for none."""
    return None if at is None else moment.to_text(at)


def decision_view(kept: KeptDecision, now: int, over: Mapping[str, KeptDecision]) -> dict[str, Any]:
    """Return a decision as it is shown at `now`; `over` maps the ids of overruled decisions to what overrules them."""
    overruling = over.get(kept.decision.id)
    shown = _plain(kept.decision) | _plain(kept)
    del shown["decision"]
    shown |= {"in_force": kept.in_force(now), "overruled": overruling.decision.id if overruling else None}
    return _timed(shown, "made", "until", "lifted")


def finding_view(kept: KeptFinding) -> dict[str, Any]:
    """Return a finding as it is shown."""
    shown = _plain(kept.finding) | _plain(kept)
    for name in ("finding", "key"):
        del shown[name]
    shown["effects"] = [
        {
            "kind": one.kind, "target": one.target, "for_s": None if one.length is None else one.length / 1_000_000,
            "label": one.label, "channel": one.channel, "event": emitted(one), "held": one.held,
            "decisions": [] if one.held else [d.id for d in one.decisions],
        }
        for one in kept.finding.effects
    ]  # fmt: skip
    return _timed(shown, "at", "opened", "last", "closed")


def event_view(kept: KeptEvent) -> dict[str, Any]:
    """Return a stored event as it is shown."""
    event = kept.event
    shown: dict[str, Any] = {"event": event.name, "timestamp": when(event.at), "received": when(event.received)}
    for name in EventView.model_fields.keys() - shown.keys() - {"position"}:
        value = getattr(event, name)
        shown[name] = dict(value) if isinstance(value, Mapping) else value
    return shown | {"position": kept.position}


def label_view(kept: KeptLabel) -> dict[str, Any]:
    """Return a label as it is shown."""
    return _timed(_plain(kept.label) | {"made": kept.made}, "made", "until")


def allowance_view(allowance: Allowance) -> dict[str, Any]:
    """Return an allowance as it is shown."""
    return _timed(_plain(allowance), "made", "until")


def person_view(person: Person) -> dict[str, Any]:
    """Return a person as it is shown, without labels and decisions."""
    return _timed(_plain(person), "made")


def account_view(account: Account) -> dict[str, Any]:
    """Return an account as it is shown."""
    return _timed(_plain(account), "made", "seen")


def key_view(key: Key, forms: KeyForms) -> dict[str, Any]:
    """Return a key as it is shown."""
    shown = _plain(key)
    shown["origins"] = list(shown["settings"].get("origins", ()))
    shown["settings"] = shown_settings(forms, key.protocol, key.settings)
    return _timed(shown, "made", "revoked", "used")


def delivery_view(delivery: Delivery) -> dict[str, Any]:
    """Return a delivery as it is shown."""
    return _timed(_plain(delivery), "made", "next_at", "done")


def audit_view(entry: AuditEntry) -> dict[str, Any]:
    """Return a line of the audit as it is shown."""
    return _timed(_plain(entry), "at")


def _plain(record: Any) -> dict[str, Any]:
    """Return a record's fields by name, mappings and tuples as JSON has them."""
    found = {field.name: getattr(record, field.name) for field in fields(record)}
    return {
        name: dict(value) if isinstance(value, Mapping) else list(value) if isinstance(value, tuple) else value
        for name, value in found.items()
    }


def _timed(shown: dict[str, Any], *names: str) -> dict[str, Any]:
    return shown | {name: when(shown[name]) for name in names}


def app_view(app: App) -> dict[str, Any]:
    """Return an app as it is shown."""
    shown = _plain(app)
    del shown["settings"]
    return _timed(shown, "made") | {"retention": None if app.retention is None else format_duration(app.retention)}


def playbook_view(state: PlaybookState, guarded: int | None) -> dict[str, Any]:
    """Return a playbook as it is shown; `guarded` is the time until which its guard holds it back, None for not."""
    return _timed(_plain(state) | {"guard_until": guarded}, "guard_until")


def mistake_view(mistake: Mistake) -> dict[str, Any]:
    """Return a mistake in a file as it is shown."""
    place = mistake.place
    return {
        "file": place.file, "line": place.line, "column": place.column, "message": mistake.message, "hint": mistake.hint
    }  # fmt: skip


def version_view(version: PlaybookVersion) -> dict[str, Any]:
    """Return a playbook's text as it was."""
    return _timed(_plain(version), "made")
