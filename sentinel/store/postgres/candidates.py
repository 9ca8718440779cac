"""The stored events that a replay may need, as a query of PostgreSQL: the twin of `sentinel.store.embedded.candidates`.

It may select too many events and never too few: the database evaluates comparisons of fields with literals, and the
rest of a condition is not evaluated at all. The rows are read by `events`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Iterator, Sequence

from sentinel.core.candidates import Candidates, Selection
from sentinel.store.asked import WIDEST, hit, same
from sentinel.store.postgres.where import may
from sentinel.store.postgres.words import POSTGRES
from sentinel.store.sql import FALSE, Sql, every, some, sql

_NETWORK = f"network(set_masklen(ip::inet, {WIDEST}))"  # of version 4 the address itself
_OF = {"user": ("user_key",), "device": ("device",), "ip": (_NETWORK,), "ip.network": (POSTGRES.words["site"],)}
# As many different ones as the engine sees, or more: a place may be written in `more`, and is then one of its own.
_VALUE = {
    "user": "user_key", "device": "device", "ip": "ip", "ip.network": POSTGRES.words["site"],
    "geo": "CASE WHEN more IS NULL THEN concat_ws(' ', lat, lon) ELSE CAST(seq AS text) END",
}  # fmt: skip


def wanted_of(app: str, wanted: Candidates, names: Collection[str], last: int) -> Sql | None:
    """Return the condition of the events wanted up to a place, None where none can be."""
    test = some(_selected(one, names) for one in wanted.selections)
    if test == FALSE:
        return None
    keys = [key for field in wanted.group or () for key in same(field, _OF)]
    return every([
        Sql("app = ? AND seq <= ? AND ts >= ? AND ts < ?", (app, last, wanted.since, wanted.until)), test,
        *_about(wanted), *(Sql(f"{key} IS NOT NULL") for key in keys),
        *([Sql("trust <> 'browser'")] if wanted.trusted else []),
    ])  # fmt: skip


def places(wanted: Candidates, names: Collection[str], where: Sql) -> Sql:
    """Return a query for (ts, id, seq) of the events of a condition in whose groups enough lies, in their order."""
    fewest = wanted.fewest
    counted = some(_selected(one, names) for one in wanted.selections if one.counts)
    keys = [key for field in wanted.group or () for key in same(field, _OF)]
    distinct = [(_VALUE[field], least) for field, least in fewest.distinct if field in _VALUE]
    columns = hit(fewest, "/", keys, [value for value, _ in distinct])
    by = [*(f"k{n}" for n in range(len(keys))), "piece"]
    sums = ", ".join(
        ["count(*) FILTER (WHERE counts) AS n0"]
        + [f"count(DISTINCT v{n}) FILTER (WHERE counts) AS n{n + 1}" for n in range(len(distinct))]
    )
    good = _good(by[:-1], [fewest.count, *(least for _, least in distinct)])
    alike = " AND ".join(f"good.{name} = hit.{name}" for name in (by[:-1] if fewest.whole else by)) or "TRUE"
    return sql(
        f"WITH hit AS MATERIALIZED (SELECT {columns}, coalesce({{}}, FALSE) AS counts FROM events WHERE {{}}),"  # noqa: S608
        f" lot AS (SELECT {', '.join(by)}, {sums} FROM hit GROUP BY {', '.join(by)}), good AS ({good})"
        f" SELECT ts, id, seq FROM hit WHERE EXISTS (SELECT 1 FROM good WHERE {alike}) ORDER BY ts, id, seq",
        counted, where,
    )  # fmt: skip


def _selected(one: Selection, names: Collection[str]) -> Sql:
    """Return which events a selection may take."""
    meant = tuple(name for name in names if one.named(name))
    if not meant:
        return FALSE
    return every([Sql("name = ANY(?)", (meant,)), *(may(where)[0] for where in one.wheres)])


def _about(wanted: Candidates) -> Iterator[Sql]:
    """Give the condition that an event is about some users or addresses; networks are taken wider than they are."""
    if wanted.users is not None:
        yield some([
            Sql("user_key = ANY(?)", (tuple(wanted.users),)),
            Sql(f"{_NETWORK} = ANY(CAST(? AS cidr[]))", (tuple(set(map(_network, wanted.ips))),)),
        ])  # fmt: skip


def _network(ip: str) -> str:
    """Return the widest network that may be meant by an address or a network."""
    return str(ipaddress.ip_network((ip.partition("/")[0], WIDEST), strict=False))


def _good(names: Sequence[str], least: Iterable[int]) -> str:
    """Return the pieces of groups where enough lies: a window lies in one piece of its length, or in two neighbours."""
    numbers = list(enumerate(least))
    by = ", ".join(names)
    over = f"OVER ({f'PARTITION BY {by} ' if by else ''}ORDER BY piece)"
    beside = ", ".join(
        f"CASE WHEN {word}(piece) {over} = piece + {step} THEN {word}(n{n}) {over} ELSE 0 END AS {word}{n}"
        for word, step in (("lead", 1), ("lag", -1))
        for n, _ in numbers
    )
    enough = " OR ".join(
        f"({' AND '.join(f'n{n} + {word}{n} >= {few:d}' for n, few in numbers)})" for word in ("lead", "lag")
    )
    return f"SELECT DISTINCT {', '.join([*names, 'piece'])} FROM (SELECT *, {beside} FROM lot) AS near WHERE {enough}"  # noqa: S608
