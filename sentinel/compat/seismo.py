"""Seismo: takes and returns named events of applications, and reports how many there were.

A Seismo application is a label within the app whose key signs in. Signing in is in `seismo_access`.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from calendar import monthrange
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from sentinel.compat.adapter import SENDERS, Adapter, Answer, Call, Route, Shared
from sentinel.compat.asking import equal, every
from sentinel.compat.naming import unreserved
from sentinel.compat.seismo_access import FORM, Entrance, caller
from sentinel.core.duration import DAY, HOUR
from sentinel.core.errors import EventError
from sentinel.core.event import Event
from sentinel.core.moment import from_datetime, to_text
from sentinel.core.record import Filter, KeyScope
from sentinel.edge.decoding import decode
from sentinel.edge.errors import ApiError

MOST = 10_000  # events in one answer, which has no pages
READ: tuple[KeyScope, ...] = ("sdk", "read")
_MILLISECOND = 1000
_HOUR = re.compile(r"[0-9]{1,2}", re.ASCII)


class Period(NamedTuple):
    """From when and until when, in microseconds since 1970; the end is not part of it."""

    since: int
    until: int


class Refused(ApiError):
    """What Seismo refuses in words of its own and as plain text; `said` is the status it does that with."""

    def __init__(self, said: int, message: str) -> None:
        super().__init__("malformed", message)
        self.status = said


class Seismo:
    """The events of all applications."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    async def about(self, call: Call) -> Answer:
        """Say what this is."""
        return Answer(200, {"app": "seismo", "env": "production", "version": "0.0.12", "apiUrl": "/api"})

    async def post(self, call: Call) -> Answer:
        """Take one event and answer its record."""
        label, at = call.request.named["app"], self._shared.door.clock() // _MILLISECOND * _MILLISECOND
        records: list[dict[str, Any]] = []

        def translate(element: Any) -> Iterator[Any]:
            record = _record(element, label, at)
            records.append(record)
            yield _event(record)

        taken = await call.take(translate, lambda data: ([_json(data)], True))
        if taken.rejected:
            raise Refused(400, "bad event format")
        return Answer(201, records[0])

    async def events(self, call: Call) -> Answer:
        """Answer the records of an application, oldest first, of a name, an id or a day if they are asked for."""
        query = call.request.query
        period = self._day(query["date"]) if query.get("date") else None
        wanted = partial(_wanted, call.request.named["app"], query, period)
        found = await asyncio.to_thread(self._records, call.caller.app, wanted)
        if len(found) > MOST:
            raise ApiError("too_large", f"there are more than {MOST} events", "ask for a `date`, an `event` or an `id`")
        return Answer(200, found)

    async def report(self, kind: str, call: Call) -> Answer:
        """Answer how many events there were in an hour, a day, a week, a month or a period."""
        query = call.request.query
        period = _PERIODS[kind](self, query)
        wanted = partial(_wanted, call.request.named["app"], query, period)
        total = await asyncio.to_thread(lambda: self._shared.store.events.count(call.caller.app, wanted()))
        said = {name: query[name] for name in ("id", "event") if query.get(name)}
        return Answer(200, {"total": total, **said})

    def hour(self, query: Mapping[str, str]) -> Period:
        """Return an hour of a day."""
        day, hour = self._day(_given(query, "date")), _given(query, "hour")
        if not _HOUR.fullmatch(hour) or int(hour) > 23:
            raise Refused(400, "bad hour format")
        return Period(day.since + int(hour) * HOUR, day.since + (int(hour) + 1) * HOUR)

    def day(self, query: Mapping[str, str]) -> Period:
        """Return a day."""
        return self._day(_given(query, "date"))

    def week(self, query: Mapping[str, str]) -> Period:
        """Return the week of a day; weeks begin on Sunday."""
        day = self._date(_given(query, "date", "week"))
        return _days(day - timedelta(days=day.isoweekday() % 7), 7)

    def month(self, query: Mapping[str, str]) -> Period:
        """Return the month of a day, which may be written without the day."""
        text = _given(query, "date", "month")
        day = self._date(f"{text}-01" if len(text) == 7 else text)
        return _days(day.replace(day=1), monthrange(day.year, day.month)[1])

    def period(self, query: Mapping[str, str]) -> Period:
        """Return the days from one to another, both included."""
        first, last = self._day(_given(query, "from")), self._day(_given(query, "to"))
        return Period(first.since, last.until)

    def _day(self, text: str) -> Period:
        return _days(self._date(text), 1)

    def _date(self, text: str) -> date:
        if text == "today":
            return datetime.fromtimestamp(self._shared.door.clock() // 1_000_000, UTC).date()
        try:
            found = date.fromisoformat(text) if len(text) == 10 else None
        except ValueError:
            found = None
        if found is None or not 1970 < found.year < 9000:
            raise Refused(400, "bad date format")
        return found

    def _records(self, app: str, wanted: Callable[[], Filter]) -> list[dict[str, Any]]:
        found = self._shared.store.events.matching(app, wanted())
        return [_shown(kept.event) for kept in islice(found, MOST + 1)]


_PERIODS: Mapping[str, Callable[[Seismo, Mapping[str, str]], Period]] = {
    "hour": Seismo.hour,
    "day": Seismo.day,
    "week": Seismo.week,
    "month": Seismo.month,
    "period": Seismo.period,
}


def routes(shared: Shared) -> list[Route]:
    """Return the routes, and those of whoever signs in."""
    seismo, entrance = Seismo(shared), Entrance(shared)
    return [
        Route("GET", "/", seismo.about, open=True, events=False, cost=1),
        Route("POST", "/auth", entrance.sign_in, open=True, events=False),
        Route("POST", "/api/events/{app}", seismo.post, SENDERS),
        Route("GET", "/api/events/{app}", seismo.events, READ, events=False),
        *(
            Route("GET", f"/api/reports/{kind}/{{app}}", partial(seismo.report, kind), READ, events=False)
            for kind in _PERIODS
        ),
    ]


def refuse(error: ApiError) -> Answer:
    """Refuse as Seismo does: in plain text, and in one word whom it does not know."""
    if error.status == 401:
        return Answer(401, b"Unauthorized", kind="text/plain; charset=utf-8")
    text = error.message if error.hint is None else f"{error.message} ({error.hint})"
    return Answer(error.status, text.encode(), kind="text/plain; charset=utf-8")


ADAPTER = Adapter(FORM, routes, caller=caller, refuse=refuse)


def _json(data: bytes) -> Any:
    try:
        return decode(data)[0]
    except ApiError as error:
        if error.code != "malformed":
            raise
        return None


def _record(element: Any, label: str, at: int) -> dict[str, Any]:
    """Return what Seismo keeps of a posted event; `timestampt` is how it spells that."""
    if type(element) is not dict:
        raise EventError("event", "bad event format")
    event = element.get("event")
    named = event if type(event) is dict else {"event": event}
    name, id = named.get("event"), named.get("id")
    if type(name) is not str or not name.strip() or not (id is None or type(id) is str):
        raise EventError("event", "bad event format")
    found: dict[str, Any] = {"id": id or re.sub(r"\s", "-", name.lower()), "app": label, "event": name}
    found["timestampt"] = to_text(at)
    if element.get("data") is not None:
        found["data"] = element["data"]
    return found | {"_id": secrets.token_hex(12)}


def _event(record: Mapping[str, Any]) -> dict[str, Any]:
    properties = {"seismo": {"app": record["app"], "id": record["id"]}}
    data = {"data": record["data"]} if "data" in record else {}
    return {
        "event": unreserved(record["event"]), "id": record["_id"], "timestamp": record["timestampt"],
        "properties": properties | data,
    }  # fmt: skip


def _shown(event: Event) -> dict[str, Any]:
    """Return an event as Seismo writes it."""
    own = event.properties["seismo"]
    found = {"id": own["id"], "app": own["app"], "event": event.name, "timestampt": to_text(event.at)}
    data = {"data": event.properties["data"]} if "data" in event.properties else {}
    return found | data | {"_id": event.id}


def _wanted(label: str, query: Mapping[str, str], period: Period | None) -> Filter:
    """Return which events of an application are asked for."""
    conditions = [equal("properties.seismo.app", label), "properties.seismo.id != None"]
    if query.get("id"):
        conditions.append(equal("properties.seismo.id", query["id"]))
    since, until = period or (None, None)
    return Filter(name=query.get("event") or None, since=since, until=until, q=every(conditions))


def _given(query: Mapping[str, str], *names: str) -> str:
    """Return the parameter of the first of these names; its lack is forbidden, as Seismo has it."""
    found = next((query[name] for name in names if query.get(name)), None)
    if found is None:
        raise Refused(403, f"missing {names[0]} parameter")
    return found


def _days(first: date, count: int) -> Period:
    since = from_datetime(datetime(first.year, first.month, first.day, tzinfo=UTC))
    return Period(since, since + count * DAY)
