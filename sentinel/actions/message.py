"""The body of a message, as data for programs and in words for people.

A body is `{"type", "timestamp", "data"}`, as Standard Webhooks has it. Where it is sent is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from sentinel.actions.text import Show, defanged, link, markdown, printable, size
from sentinel.core import moment
from sentinel.core.bundle import KIND
from sentinel.core.duration import SECOND, format_duration
from sentinel.core.finding import TRIPPED, tally_texts
from sentinel.core.record import Delivery

OPENED, GUARDED, BUNDLED, DIGEST, OTHER = "finding.opened", TRIPPED, "findings.bundled", "digest", "message"
_KINDS = {KIND: BUNDLED, DIGEST: DIGEST}
ROWS = 40  # lines of a message
VALUES = 10  # values of one kind: of a group, a tally, effects
LONGEST = 100_000  # of a message, where nobody says how much a service takes

Body = Mapping[str, Any]

_DONE = {
    "block_user": "blocked", "block_ip": "blocked", "redirect_user": "redirected", "redirect_ip": "redirected",
    "challenge_user": "challenged", "label_user": "labelled", "label_ip": "labelled", "emit": "emitted",
}  # fmt: skip
_TELLS = ("notify", "webhook")
_OFTEN = 5  # values of a playbook that are in many of its findings
_LASTS = ("block", "redirect", "challenge")


class Summary(NamedTuple):
    """A message in words: one line, then names and values, then where to read on.

    `subject` is that line without anything that events brought.
    """

    line: str
    rows: tuple[tuple[str, str], ...]
    url: str | None
    subject: str


def compose(delivery: Delivery, url: str | None = None) -> dict[str, Any]:
    """Return the body that a delivery tells: its own data, its app, and a link to `url` if there is one.

    The same delivery has the same body at every try.
    """
    data = {"app": delivery.app, **delivery.body, "url": url}
    guarded = data.pop("guard", False)
    kind = GUARDED if guarded else OPENED if delivery.finding else _KINDS.get(delivery.kind, OTHER)
    return {"type": kind, "timestamp": moment.to_text(delivery.made), "data": data}


def line(body: Body) -> str:
    """Return a message as one line, for logs."""
    return _summary(body, printable).line


def subject(body: Body, most: int = LONGEST) -> str:
    """Return a message as one line of at most `most`, as a heading or the subject of a mail, in few words."""
    return _cut(_summary(body, defanged).subject, most, str)


def text(body: Body, most: int = LONGEST) -> str:
    """Return a message as lines of plain text.

    One that is longer than `most` keeps its first line, cut to half of that, its link where that fits, and the first
    of its rows.
    """
    found = _summary(body, defanged)
    rows = [f"{name}: {value}" for name, value in found.rows]
    line = _cut(found.line, most // 2, str)
    url = _room(found.url or "", most - size(line) - 1)
    kept = _fitting(rows, most - size(line) - size(url) - 1)
    return "\n".join([line, *kept, *([url] if url else [])])


def marked(body: Body, most: int = LONGEST) -> str:
    """Return a message as Markdown in which only what is ours has a form, and only our page is a link.

    One that is longer than `most` is cut as `text` is, never between a sign and what escapes it.
    """
    found = _summary(body, defanged)
    rows = [f"- {markdown(name)}: {markdown(value)}" for name, value in found.rows]
    line = _cut(found.line, most // 2, lambda whole: f"**{markdown(str(whole))}**")
    url = _room(f"<{found.url}>" if found.url else "", most - size(line) - 2)
    kept = "\n".join(_fitting(rows, most - size(line) - size(url) - 4))
    return "\n\n".join(part for part in (line, kept, url) if part)


def _cut(line: str, most: int, show: Show) -> str:
    """Return a line as it is shown, cut so that this is within `most`."""
    shown = show(line)
    while size(shown) > most and line:
        line = line[: min(len(line) - 1, max(most, 0))]
        shown = show(f"{line}…")
    return shown


def _room(text: str, most: int) -> str:
    return text if size(text) <= most else ""


def _fitting(rows: Sequence[str], most: int) -> list[str]:
    """Return the first rows, as many as are within `most` with a line break each."""
    sums = accumulate(size(row) + 1 for row in rows)
    return [row for row, used in zip(rows, sums, strict=True) if used <= most]


def _summary(body: Body, show: Show) -> Summary:
    data = body.get("data")
    data = data if isinstance(data, Mapping) else {}
    if body.get("type") in (OPENED, GUARDED):
        return _finding(data, show, body["type"] == GUARDED)
    if body.get("type") == DIGEST:
        return _digest(data, show)
    if body.get("type") == BUNDLED:
        return _bundle(data, show)
    rows = [(show(name), show(value)) for name, value in data.items() if name != "url"]
    line = printable(body.get("type", OTHER))
    return Summary(line, tuple(rows[:ROWS]), link(data.get("url")), line)


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
    return Summary(f"{head} – {group}" if group else head, tuple(rows[:ROWS]), link(data.get("url")), head)


def _bundle(data: Body, show: Show) -> Summary:
    playbooks = _all(data, "playbooks")
    many = "1 more finding" if data.get("findings") == 1 else f"{_number(data, 'findings')} more findings"
    head = f"[{printable(data.get('severity'))}] {show(data.get('app'))}: {many}"
    rows = [
        ("time", f"{printable(data.get('since'))} to {printable(data.get('until'))}"),
        ("acted", f"{_number(data, 'acted')} of {_number(data, 'findings')}"),
        *(row for one in playbooks[:VALUES] for row in _bundled(one, show)),
    ]
    if len(playbooks) > VALUES:
        rows.append(("and", f"{len(playbooks) - VALUES} more playbooks"))
    names = ", ".join(printable(one.get("playbook")) for one in playbooks[:VALUES])
    return Summary(f"{head} – {names}", tuple(rows[:ROWS]), link(data.get("url")), head)


def _bundled(one: Body, show: Show) -> Iterator[tuple[str, str]]:
    """Give the lines of a playbook: how many, the first ones, and what is in many of them."""
    yield printable(one.get("playbook")), f"{_number(one, 'findings')}, {_number(one, 'acted')} of them acted"
    yield "first", "; ".join(_pairs(each.get("group"), show) or "the whole app" for each in _all(one, "first"))
    counted = [(each, each.get("findings")) for each in _all(one, "busiest")]
    often = [
        f"{show(each.get('field'))} {show(each.get('value'))} >= {many:,}"
        for each, many in counted
        if isinstance(many, int) and many > 1
    ]
    if often:
        yield "often", ", ".join(often[:_OFTEN])


def _all(data: Body, name: str) -> list[Body]:
    found = data.get(name)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


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
    if data.get("overruled"):
        rows.append(("overruled by hand", _number(data, "overruled")))
    if data.get("undelivered"):
        rows.append(("notifications given up", _number(data, "undelivered")))
    line = f"{show(data.get('app'))}: {'the week from ' if weekly else ''}{day}"
    return Summary(line, tuple(rows), None, line)


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
