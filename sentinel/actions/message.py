"""What is told: the body of a message, as data for programs, and the same in words for people.

A body is `{"type", "timestamp", "data"}`, as Standard Webhooks has it. Where it goes is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from sentinel.actions.text import Show, defanged, link, markdown, printable
from sentinel.core import moment
from sentinel.core.duration import SECOND, format_duration
from sentinel.core.finding import tally_texts
from sentinel.core.record import Delivery

OPENED, GUARDED, DIGEST, OTHER = "finding.opened", "guard.tripped", "digest", "message"
ROWS = 40  # lines of a message
VALUES = 10  # values of one kind: of a group, a tally, effects

Body = Mapping[str, Any]

_DONE = {
    "block_user": "blocked", "block_ip": "blocked", "redirect_user": "redirected", "redirect_ip": "redirected",
    "challenge_user": "challenged", "label_user": "labelled", "label_ip": "labelled", "emit": "emitted",
}  # fmt: skip
_TELLS = ("notify", "webhook")
_LASTS = ("block", "redirect", "challenge")


class Summary(NamedTuple):
    """A message in words: one line, then names and values, then where to read on."""

    line: str
    rows: tuple[tuple[str, str], ...]
    url: str | None


def compose(delivery: Delivery, url: str | None = None) -> dict[str, Any]:
    """Return the body that a delivery tells: its own data, its app, and a link to `url` if there is one.

    The same delivery has the same body at every try.
    """
    data = {"app": delivery.app, **delivery.body, "url": url}
    guarded = data.pop("guard", False)
    kind = GUARDED if guarded else OPENED if delivery.finding else DIGEST if delivery.kind == DIGEST else OTHER
    return {"type": kind, "timestamp": moment.to_text(delivery.made), "data": data}


def line(body: Body) -> str:
    """Return a message as one line, for logs."""
    return _summary(body, printable).line


def text(body: Body, show: Show = defanged) -> str:
    """Return a message as lines of plain text; `show` decides how other people's text is written."""
    found = _summary(body, show)
    lines = [found.line, *(f"{name}: {value}" for name, value in found.rows)]
    return "\n".join([*lines, found.url] if found.url else lines)


def marked(body: Body) -> str:
    """Return a message as Markdown in which only what is ours has a form, and only our page is a link."""
    found = _summary(body, defanged)
    rows = "\n".join(f"- {markdown(name)}: {markdown(value)}" for name, value in found.rows)
    parts = [f"**{markdown(found.line)}**", rows, f"<{found.url}>" if found.url else ""]
    return "\n\n".join(part for part in parts if part)


def _summary(body: Body, show: Show) -> Summary:
    data = body.get("data")
    data = data if isinstance(data, Mapping) else {}
    if body.get("type") in (OPENED, GUARDED):
        return _finding(data, show, body["type"] == GUARDED)
    if body.get("type") == DIGEST:
        return _digest(data, show)
    rows = [(show(name), show(value)) for name, value in data.items() if name != "url"]
    return Summary(printable(body.get("type", OTHER)), tuple(rows[:ROWS]), link(data.get("url")))


def _finding(data: Body, show: Show, guarded: bool) -> Summary:
    group = _pairs(data.get("group"), show)
    head = f"[{printable(data.get('severity'))}] {show(data.get('app'))}: {show(data.get('title'))}"
    rows = [
        ("playbook", printable(data.get("playbook"))),
        ("time", printable(data.get("at"))),
        ("who", group or "the whole app"),
        *(("tally", tally) for tally in _tallies(data)),
        *_effects(data, show),
        ("finding", printable(data.get("id"))),
    ]
    if data.get("historical"):
        rows.insert(2, ("note", "of past events: nobody is acted on"))
    if guarded:
        rows.insert(2, ("note", "the playbook would act on more targets than its guard lets it; it only monitors now"))
        head = f"{head} – held back by its guard"
    return Summary(f"{head} – {group}" if group else head, tuple(rows[:ROWS]), link(data.get("url")))


def _digest(data: Body, show: Show) -> Summary:
    about = "about " if data.get("approximate") else ""
    weekly = data.get("period") == "weekly"
    day, before = printable(data.get("since"))[:10], _number(data, "events_before")
    rows = [
        ("events", f"{_number(data, 'events')}, the {'week' if weekly else 'day'} before {before}"),
        ("of", f"{about}{_number(data, 'users')} users and {about}{_number(data, 'ips')} addresses"),
        ("findings", _pairs(data.get("findings"), show) or "none"),
        ("decisions", _pairs(data.get("decisions"), show) or "none"),
        ("in force now", _pairs(data.get("in_force"), show) or "nothing"),
    ]
    if data.get("undelivered"):
        rows.append(("notifications given up", _number(data, "undelivered")))
    return Summary(f"{show(data.get('app'))}: {'the week from ' if weekly else ''}{day}", tuple(rows), None)


def _number(data: Body, name: str) -> str:
    value = data.get(name)
    return f"{value:,}" if isinstance(value, int) else printable(value)


def _pairs(group: object, show: Show) -> str:
    if not isinstance(group, Mapping):
        return ""
    return ", ".join(f"{show(name)} {show(value)}" for name, value in list(group.items())[:VALUES])


def _tallies(data: Body) -> Iterator[str]:
    tally, threshold = data.get("tally"), data.get("threshold")
    if isinstance(tally, Mapping) and isinstance(threshold, Mapping):
        about = "about " if data.get("approximate") else ""
        for name, text in list(tally_texts(tally, printable, threshold).items())[:VALUES]:
            yield f"{printable(name)} {about}{text} (needs {printable(threshold.get(name, '?'))})"


def _effects(data: Body, show: Show) -> Iterator[tuple[str, str]]:
    effects = data.get("effects")
    found = [one for one in effects if isinstance(one, Mapping)] if isinstance(effects, list) else []
    found = [one for one in found if one.get("kind") not in _TELLS]
    for effect in found[:VALUES]:
        kind = str(effect.get("kind"))
        target = f" {show(effect['target'])}" if effect.get("target") else ""
        label = f" as {show(effect['label'])}" if effect.get("label") else ""
        made = f" {show(effect['event'])}" if effect.get("event") else ""
        done = f"{_DONE.get(kind, printable(kind))}{target}{label}{made}"
        if effect.get("held"):
            yield "not done", f"{done}: {printable(effect['held'])}"
        else:
            yield "done", f"{done}{_length(kind, effect.get('for_s'))}"
    if len(found) > VALUES:
        yield "and", f"{len(found) - VALUES} more"


def _length(kind: str, seconds: object) -> str:
    if isinstance(seconds, int | float) and not isinstance(seconds, bool):
        return f" for {format_duration(round(seconds * SECOND))}"
    return " for ever" if kind.startswith(_LASTS) else ""
