"""Turn values into HTML with Jinja, so that nothing shown can act as markup or mislead. No page is known here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from sentinel.console.labels import label, labelled, place
from sentinel.core import moment
from sentinel.core.decision import PAIRS, unpair
from sentinel.core.duration import DAY, ENDLESS, HOUR, MINUTE, SECOND, format_duration
from sentinel.core.finding import tally_texts
from sentinel.core.number import plural
from sentinel.core.text import legible
from sentinel.core.text import whole as unbroken
from sentinel.service.search import literal

LONGEST = 400  # characters of one value on a page
HUGE = 1e15  # from here on a number is told by its power of ten
TEMPLATES = Path(__file__).parent / "templates"
_CODE, _P = Markup("<code>{}</code>"), Markup("<p>{}</p>")
_PARAGRAPH = re.compile(r"\n(?=\n|[A-Z][\w -]{2,30}: )")
_TAKEN = re.compile(r"\s*|[Nn]one|[Tt]rue|[Ff]alse|[+-]?\d+(\.\d+)?")  # for a value that is no text, or for nothing
_METRICS = {
    "count": "events", "ratio": "share of events", "earlier": "earlier events", "km": "kilometres apart",
    "seconds": "seconds apart", "mean": "usual number",
}  # fmt: skip
_MEASURES = {"distinct": "different", "sum": "sum of", "avg": "mean of", "max": "largest", "step": "events of step"}
_DISTINCT = {"user": "users", "ip": "addresses", "device": "devices", "ip.network": "networks"}
_UNITS = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s"))


def environment() -> Environment:
    """Return the templates with what they may call."""
    env = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, finalize=_finalised,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    env.filters |= {
        "whole": whole, "prose": prose, "utc": utc, "stamp": stamp, "lasting": lasting, "nearly": nearly,
        "number": number, "plain_json": plain_json,
        "actor": actor, "duration": duration, "short": short, "target": target, "parties": parties,
        "pair": lambda value: (value, value), "filename": filename, "parsed": moment.parse,
        "suffixed": lambda value, more: f"{value}{more}", "told": told, "many": many, "dotted": dotted,
        "grouped": grouped, "quoted": quoted, "excerpt": excerpt, "label": label, "labelled": labelled, "place": place,
        "valued": valued, "metric": metric, "bound": bound,
    }  # fmt: skip
    return env


def inert(text: str, most: int = LONGEST) -> str:
    """Return a text that steers neither a reader nor a program: control and direction characters are spelt out.

    What is longer than `most` is cut, and says how long it was.
    """
    cut = legible(text[:most], kept="\n\t")
    return cut if len(text) <= most else f"{cut}… ({len(text):,} characters)"


def short(text: object, most: int) -> str:
    """Return a text in a list's length, harmless; the page of the thing itself shows more."""
    found = text if isinstance(text, str) else str(text)
    return found if len(found) <= most else inert(found[:most], most) + "…"


def prose(text: str) -> Markup:
    """Return a text in paragraphs, harmless, of which more is shown than of one value; names in backticks are code.

    A paragraph begins behind an empty line, and with a line that says what it is about: `What to do: …`.
    """
    parts = (part.strip() for part in _PARAGRAPH.split(inert(text, 4000)))
    return Markup("").join(_P.format(_coded(part)) for part in parts if part)


def whole(value: object) -> Markup:
    """Return all of a text, for a text area or an attribute that a program reads."""
    return escape(unbroken(str(value)))


def utc(at: int) -> str:
    """Return a moment for people, in UTC."""
    return datetime.fromtimestamp(at // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def local(at: int, zone: str) -> str:
    """Return a moment for people, to the minute, in their zone, where no script could put it into that."""
    found = datetime.fromtimestamp(at // 1_000_000, UTC).astimezone(ZoneInfo(zone))
    return found.strftime("%Y-%m-%d %H:%M") + (" UTC" if zone == "UTC" else "")


def stamp(at: int) -> str:
    """Return a moment for programs."""
    return moment.to_text(at)


def lasting(micros: int, most: int = 2) -> str:
    """Return a length of time for people, in one unit or two."""
    left, parts = abs(micros), []
    for unit, name in _UNITS:
        if left >= unit:
            parts.append(f"{left // unit} {name}")
            left %= unit
        elif parts:
            break
    return " ".join(parts[:most]) or "0 s"


def nearly(micros: int) -> str:
    """Return how long something still lasts in its largest unit, rounded: what was made for a week ends in `7 d`."""
    unit, name = next(((unit, name) for unit, name in _UNITS if micros >= unit), _UNITS[-1])
    return f"{(micros + unit // 2) // unit} {name}"


def number(value: float) -> str:
    """Return a number with its thousands apart, a huge one by its power of ten, `–` for what is past every number."""
    if not abs(value) < HUGE:
        return f"{value:g}" if isfinite(value) else "–"
    if abs(value) < 0.1 and value:
        return f"{value:.2g}"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def many(found: float, what: str) -> str:
    """Return how many there are of something as people read it: `1 event`, `1,234 events`."""
    return f"{number(found)} {plural(1 if found == 1 else 2, what)}"


def dotted(text: str, most: int) -> Markup:
    """Return a name that, where it is too long for a line, goes on in the next behind a dot or an @."""
    return escape(inert(short(text, most))).replace(".", Markup(".<wbr>")).replace("@", Markup("@<wbr>"))


def grouped(address: str) -> Markup:
    """Return an address that, where it is too long for a line, goes on in the next behind a colon."""
    return escape(inert(short(address, 96))).replace(":", Markup(":<wbr>"))


def valued(value: str | float | bool | None) -> str:
    """Return what a field holds; a text that is blank or reads as no text stands in quotes, as conditions have it."""
    if isinstance(value, str):
        return literal(value) if _TAKEN.fullmatch(value) else value
    return "none" if value is None else str(value)


def quoted(text: str) -> Markup:
    """Return a message, harmless, with what it has in backticks as code; one whose backticks are no pairs as it is."""
    return _coded(inert(text))


def excerpt(shown: str) -> str:
    """Return of a mistake as files show it the line and what points into it: its place and its hint stand elsewhere."""
    lines = shown.split("\n")
    return "\n".join(line.removeprefix("    ") for line in lines[1:3]) if len(lines) > 2 else ""


def told(tally: Mapping[str, Any], threshold: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a tally by metric as people read it; without `threshold` all of it was reached."""
    texts = tally_texts(tally, lambda value: "–" if value is None else number(value), threshold)
    return {name: text.replace(">=", "≥") for name, text in texts.items()}


def metric(name: str) -> str:
    """Return what a figure of a tally is as people say it: `distinct.user` is `different users`."""
    kind, _, of = name.partition(".")
    measure = _MEASURES.get(kind)
    if measure is None or not of:
        return _METRICS.get(name, name)
    return f"{measure} {_DISTINCT.get(of, f'values of {of}') if kind == 'distinct' else of}"


def bound(limit: str) -> str:
    """Return what a figure has to reach as people read it, in the words of `metric`."""
    limit = limit.replace("count", _METRICS["count"]).replace("x mean", f"× the {_METRICS['mean']}")
    return limit.replace(">=", "≥").replace("<=", "≤")


def plain_json(value: object) -> Markup:
    """Return a value as JSON inside a `<script type="application/json">` or an attribute: no sign of it is markup."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), default=str)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e").replace("'", "\\u0027"))  # noqa: S704


def filename(file: str) -> str:
    """Return the last step of a path."""
    return file.rpartition("/")[2]


def actor(by: str | None) -> str:
    """Return who did something as people say it."""
    return "" if by is None else by.removeprefix("account:")


def target(value: str, scope: str = "user") -> str:
    """Return whom a decision is about as people say it."""
    return (" on device " if scope == "user+device" else " at ").join(unpair(value)) if scope in PAIRS else value


def parties(value: str, scope: str) -> list[tuple[str, str]]:
    """Return the user, address and device that a decision is about, each with the field it is one of."""
    if scope in PAIRS:
        return list(zip(scope.split("+"), unpair(value), strict=True))
    return [("ip" if scope == "network" else scope, value)]


def duration(micros: int | None) -> str:
    """Return a length as playbooks write it, `forever` for None."""
    return ENDLESS if micros is None else format_duration(micros)


def _coded(text: str) -> Markup:
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return escape(text)
    return Markup("").join(_CODE.format(one) if n % 2 else one for n, one in enumerate(pieces))


def _finalised(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, Markup) or not isinstance(value, str | bytes | Mapping | list | tuple):
        return value
    return inert(value if isinstance(value, str) else str(value))


def rendered(env: Environment, name: str, values: Mapping[str, Any]) -> str:
    """Return a template filled in; a text that cannot be written as UTF-8 is mended."""
    return env.get_template(name).render(values).encode("utf-8", "replace").decode()
