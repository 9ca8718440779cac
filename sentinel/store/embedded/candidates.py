"""The stored events that a replay may need, as a query of DuckDB: by conditions, groups and pieces of time.

It may select too many events and never too few. A group is told by those parts of its key that the database computes as
the engine does; without the others, some groups count as one. The rows are read by `events`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from sentinel.core.candidates import Candidates, Selection
from sentinel.store.asked import WIDEST, hit, same
from sentinel.store.condition import translate
from sentinel.store.embedded.where import Where
from sentinel.store.embedded.words import DUCKDB
from sentinel.store.rows import hash_of, numbers_of
from sentinel.store.sql import FALSE, Sql, every, some, sql
from sentinel.store.values import Slot

_OF = {"user": ("user_key",), "device": ("device",), "ip": ("ip4", f"ip6 >> {64 - WIDEST}"),
       "ip.network": ("ip4 >> 8", "ip6 >> 16")}  # fmt: skip
_THERE = {"user": "user_key IS NOT NULL", "device": "device IS NOT NULL", "ip": "ip IS NOT NULL",
          "ip.network": "ip IS NOT NULL"}  # fmt: skip
_AXIS = "coalesce(CAST({0} AS VARCHAR), json_extract_string(more, '$.geo.{0}'))"
_PLACE = ", ".join(_AXIS.format(axis) for axis in ("lat", "lon"))
# As many different ones as the engine sees, or more.
_VALUE = {
    "user": "user_key", "device": "device", "ip": "ip", "ip.network": DUCKDB.words["site"],
    "geo": f"concat_ws(' ', {_PLACE})",
}  # fmt: skip


def places(app: str, wanted: Candidates, names: Collection[str], slots: Mapping[str, Slot], last: int) -> Where | None:
    """Return a query for (ts, id, seq) of the events wanted up to a place in the journal, in their order.

    It is the only text of the answer. `names` are those that events of the app have. None where none can be wanted.
    """
    selected = [(one, _selected(one, names, slots)) for one in wanted.selections]
    test = some(found for _, found in selected)
    if test == FALSE:
        return None
    counted = some(found for one, found in selected if one.counts)
    where = every([
        Sql("app = ? AND seq <= ? AND ts >= ? AND ts < ?", (app, last, wanted.since, wanted.until)), test,
        *_about(wanted), *(Sql(_THERE[field]) for field in wanted.group or () if field in _THERE),
        *([Sql("trust <> 'browser'")] if wanted.trusted else []),
    ])  # fmt: skip
    return _query(wanted, where, counted) if not wanted.fewest.nothing else _plain(where)


def _plain(where: Sql) -> Where:
    found = sql("SELECT ts, id, seq FROM events WHERE {} ORDER BY ts, id, seq", where)
    return Where([found.text], DUCKDB.given(found))


def _selected(one: Selection, names: Collection[str], slots: Mapping[str, Slot]) -> Sql:
    """Return which events a selection may take."""
    meant = tuple(name for name in names if one.named(name))
    if not meant:
        return FALSE
    named = Sql("name IN (SELECT unnest(CAST(? AS VARCHAR[])))", (meant,))
    return every([named, *(translate(where.tree, DUCKDB, slots).may for where in one.wheres)])


def _about(wanted: Candidates) -> Iterator[Sql]:
    """Give the condition that an event is about the users or addresses wanted, if any; IPv6 by a wider network."""
    if wanted.users is None:
        return
    hashes = tuple(map(hash_of, wanted.users))
    numbers = [numbers_of(ip.partition("/")[0]) for ip in wanted.ips]
    yield some([
        Sql("user_h IN (SELECT unnest(CAST(? AS UBIGINT[])))", (hashes,)),
        Sql("ip4 IN (SELECT unnest(CAST(? AS UINTEGER[])))", (tuple(four for four, _ in numbers if four is not None),)),
        Sql(
            f"ip6 >> {64 - WIDEST} IN (SELECT unnest(CAST(? AS UBIGINT[])))",
            (tuple({six >> (64 - WIDEST) for _, six in numbers if six is not None}),),
        ),
    ])  # fmt: skip


def _query(wanted: Candidates, where: Sql, counted: Sql) -> Where:
    """Return the query for the events of groups in which enough hits lie; see `_good`."""
    fewest = wanted.fewest
    keys = [column for field in wanted.group or () for column in same(field, _OF)]
    distinct = [(_VALUE[field], least) for field, least in fewest.distinct if field in _VALUE]
    columns = hit(fewest, "//", keys, [column for column, _ in distinct])
    names = [f"k{n}" for n in range(len(keys))]
    sums = ", ".join(
        ["sum(CAST(counts AS INTEGER)) AS n0"]
        + [f"count(DISTINCT v{n}) FILTER (WHERE counts) AS n{n + 1}" for n in range(len(distinct))]
    )
    least = [fewest.count, *(number for _, number in distinct)]
    found = sql(
        f"WITH hit AS MATERIALIZED (SELECT {columns}, {{}} AS counts FROM events WHERE {{}}),"  # noqa: S608
        f" lot AS (SELECT {', '.join([*names, 'piece'])}, {sums} FROM hit GROUP BY ALL),"
        f" good AS ({_good(names, least, whole=fewest.whole)})"
        f" SELECT ts, id, seq FROM hit WHERE EXISTS (SELECT 1 FROM good WHERE {_same(names, whole=fewest.whole)})"
        " ORDER BY ts, id, seq",
        sql("coalesce({}, FALSE)", counted), where,
    )  # fmt: skip
    return Where([found.text], DUCKDB.given(found))


def _good(names: Iterable[str], least: Iterable[int], *, whole: bool) -> str:
    """Return a query for the pieces of groups that, with a neighbour, hold enough hits for a window.

    A piece is as long as a window, so a window lies in one piece or in two neighbours.
    """
    by, numbers = ", ".join(names), list(enumerate(least))
    over = f"OVER ({f'PARTITION BY {by} ' if by else ''}ORDER BY piece)"

    def beside(word: str, step: int) -> str:
        near = f"{word}(piece) {over} = piece + {step}"
        tests = [f"n{n} + CASE WHEN {near} THEN {word}(n{n}) {over} ELSE 0 END >= {few:d}" for n, few in numbers]
        return " AND ".join(tests)

    kept = ", ".join([*names, "piece"])
    good = f"SELECT {kept} FROM lot QUALIFY ({beside('lead', 1)}) OR ({beside('lag', -1)})"  # noqa: S608
    return f"SELECT DISTINCT {by or '0 AS everybody'} FROM ({good})" if whole else good  # noqa: S608


def _same(names: Iterable[str], *, whole: bool) -> str:
    tests = [f"good.{name} IS NOT DISTINCT FROM hit.{name}" for name in names]
    return " AND ".join([*tests, *([] if whole else ["good.piece = hit.piece"])]) or "TRUE"
