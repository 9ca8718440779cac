"""Which events a page is about: a period, relative to now or between two moments, and what was searched for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, TypeVar
from zoneinfo import available_timezones

from fastapi import Depends, Query

from sentinel.console.parts import Given
from sentinel.console.visit import Visit
from sentinel.core import moment
from sentinel.core.duration import DAY, HOUR, MINUTE
from sentinel.core.errors import SentinelError, StoreBusy
from sentinel.core.record import Filter
from sentinel.service import hand
from sentinel.service.search import LONGEST, Flaw, QueryError

T = TypeVar("T")
BETWEEN = "between"
RANGES: Mapping[str, tuple[int, str]] = {
    "15m": (15 * MINUTE, "15 minutes"),
    "1h": (HOUR, "an hour"),
    "24h": (DAY, "a day"),
    "7d": (7 * DAY, "a week"),
    "30d": (30 * DAY, "30 days"),
    "90d": (90 * DAY, "90 days"),
}
CHOICES = (*((name, f"the last {words.removeprefix('a ').removeprefix('an ')}") for name, (_, words) in RANGES.items()),
           (BETWEEN, "between…"))  # fmt: skip
ZONE_COOKIE = "sentinel_zone"
_ZONES = frozenset(available_timezones())
_PLAIN = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?")
Condition = Annotated[str, Query(max_length=LONGEST)]


@dataclass(frozen=True, slots=True)
class Period:
    """When, as an address says it: a `range` before `at` (now, where it is empty), or `between` two moments."""

    range: str = ""
    since: str = ""
    until: str = ""
    at: str = ""

    def span(self, now: int, usual: str = "24h") -> tuple[int, int]:
        """Return (since, until) in microseconds; raises SentinelError for an empty period or a time that is none."""
        if self.range == BETWEEN:
            until = _moment("to", self.until) if self.until else now
            since = _moment("from", self.since) if self.since else until - RANGES[usual][0]
            if since >= until:
                raise SentinelError("`from`: it does not lie before the end")
            return since, until
        length = RANGES.get(self.range, RANGES[usual])[0]
        until = int(self.at) if self.at.isdecimal() and len(self.at) < 18 else now + 1
        return max(until - length, 0), until

    @property
    def query(self) -> dict[str, str]:
        """Its parameters in an address."""
        given = {"range": self.range, "at": self.at}
        if self.range == BETWEEN:
            given |= {"from": self.since, "to": self.until}
        return {name: value for name, value in given.items() if value}


@dataclass(frozen=True, slots=True)
class Search:
    """What a search asks for, as an address says it."""

    q: str
    event: str
    user: str
    ip: str
    period: Period

    def filter(self, visit: Visit, now: int, usual: str = "24h") -> Filter:
        """Return the filter; raises QueryError for mistakes in the condition, SentinelError for other fields."""
        query = visit.here.searches.query(self.q)
        since, until = self.period.span(now, usual)
        user = hand.known_user(visit.store, visit.app.id, "user", self.user) if self.user else None
        return Filter(self.event or None, user, hand.spot("ip", self.ip) if self.ip else None, since, until, query)

    @property
    def fields(self) -> dict[str, str]:
        """The fields that were filled in, without the condition and the period."""
        given = {"event": self.event, "user": self.user, "ip": self.ip}
        return {name: value for name, value in given.items() if value}

    @property
    def query(self) -> dict[str, str]:
        """Its parameters in an address."""
        return ({"q": self.q} if self.q else {}) | self.fields | self.period.query


def period(
    range: Given = "", since: Annotated[Given, Query(alias="from")] = "",
    until: Annotated[Given, Query(alias="to")] = "", at: Given = "",
) -> Period:  # fmt: skip
    """Return the period that the parameters of an address name."""
    return Period(range if range in RANGES or range == BETWEEN else "", since, until, at)


When = Annotated[Period, Depends(period)]


def search(when: When, q: Condition = "", event: Given = "", user: Given = "", ip: Given = "") -> Search:
    """Return the search that the parameters of an address name."""
    return Search(q.strip(), event, user, ip, when)


Asked = Annotated[Search, Depends(search)]


def meant(visit: Visit, asked: Search) -> tuple[Filter | None, tuple[Flaw, ...]]:
    """Return the filter of a search and no flaws, or None and the flaws of its condition."""
    try:
        return asked.filter(visit, visit.now, "7d"), ()
    except QueryError as error:
        return None, error.flaws


def answered(ask: Callable[[], T]) -> tuple[T | None, SentinelError | None]:
    """Return what `ask` returns and None, or None and its SentinelError, to be shown beside the form.

    StoreBusy is raised.
    """
    try:
        return ask(), None
    except StoreBusy:
        raise
    except SentinelError as error:
        return None, error


def zone_of(visit: Visit) -> str:
    """Return the time zone that the reader's browser told, `UTC` where it told none that is known."""
    told = visit.request.cookies.get(ZONE_COOKIE, "").replace("%2F", "/")
    return told if told in _ZONES else "UTC"


def field_time(at: int) -> str:
    """Return a moment as a field for dates and times has it, in UTC."""
    return moment.to_text(at)[:19]


def span_of(filter: Filter | None) -> dict[str, str]:
    """Return both ends of a filter as the fields of a form have them, empty where there are none."""
    return ends(filter.since, filter.until) if filter else ends(None, None)


def ends(since: int | None, until: int | None) -> dict[str, str]:
    """Return both ends of a period as the fields of a form have them, empty where there are none."""
    return {name: "" if at is None else field_time(at) for name, at in (("from", since), ("to", until))}


def around(now: int, at: int) -> dict[str, str]:
    """Return the shortest period of a day or more, as addresses say it, in which an event is."""
    lengths = (name for name, (length, _) in RANGES.items() if length >= DAY and now - length < at <= now)
    name = next(lengths, None)
    return {"range": name} if name else {"range": BETWEEN, **ends(at - DAY, at + DAY)}


def _moment(name: str, text: str) -> int:
    """Return the moment of a text; one without a zone is UTC's."""
    plain = text.strip().replace(" ", "T", 1)
    if _PLAIN.fullmatch(plain):
        plain = f"{plain}T00:00:00Z" if len(plain) == 10 else f"{plain}:00Z" if len(plain) == 16 else f"{plain}Z"
    return hand.time(name, plain)
