"""A filter as conditions of PostgreSQL with their values: its fields, and the plain part of its condition.

Plain are comparisons of fields with literals, however joined. The rest of a condition is evaluated by `events` on each
event that the plain part lets through.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sentinel.core import address
from sentinel.core.record import Filter, Query
from sentinel.engine.nodes import And, Compare, Field, ListOf, Literal, Missing, Node, Not, Or
from sentinel.store.asked import network
from sentinel.store.condition import translate
from sentinel.store.postgres.copying import signed
from sentinel.store.postgres.words import POSTGRES
from sentinel.store.sql import Sql, every

Condition = tuple[list[str], list[Any]]


class Asked(NamedTuple):
    """The events that may be meant, and the condition that each of them must be asked, None where all are meant."""

    may: Condition
    q: Query | None = None


def ask(app: str, filter: Filter) -> Asked:
    """Return what a filter asks."""
    wanted, values = condition(app, filter)
    if filter.q is None:
        return Asked((wanted, values))
    test, exact = may(filter.q)
    return Asked(([*wanted, POSTGRES.finished(test)], [*values, *POSTGRES.given(test)]), None if exact else filter.q)


def may(q: Query) -> tuple[Sql, bool]:
    """Return where a condition may hold, as far as it is plain, and whether it does wherever it may."""
    parts = q.tree.parts if isinstance(q.tree, And) else (q.tree,)
    pairs = [translate(part, POSTGRES, {}) for part in parts if _plain(part)]
    found = every(pair.may for pair in pairs)
    given = (signed(value) if type(value) is int else value for value in found.values)  # a hash
    return Sql(found.text, tuple(given)), len(pairs) == len(parts) and all(pair.exact for pair in pairs)


def _plain(node: Node) -> bool:
    match node:
        case And(parts=parts) | Or(parts=parts) | ListOf(items=parts):
            return all(map(_plain, parts))
        case Not(operand=operand) | Missing(field=operand):
            return _plain(operand)
        case Compare():
            return all(
                _plain(left) and _plain(right) and ("in" not in sign or isinstance(right, ListOf))
                for left, sign, right in node.pairs()
            )
        case _:
            return isinstance(node, Field | Literal)


def condition(app: str, filter: Filter) -> Condition:
    """Return what a filter asks as SQL conditions with their values."""
    wanted, values = ["app = %s"], list[Any]([app])
    parts: dict[str, Any] = {
        "name = %s": filter.name, "ts >= %s": filter.since, "ts < %s": filter.until, "user_key = %s": filter.user,
    }  # fmt: skip
    if filter.ip is not None:
        parts |= _of_address(filter.ip)
    for part, value in parts.items():
        if value is not None:
            wanted.append(part)
            values.append(value)
    return wanted, values


def _of_address(text: str) -> dict[str, Any]:
    exact = address.normalise(text)
    if exact is not None:
        return {"ip::inet = %s::inet": exact}
    wide = network(text)
    return {"ip::inet >= %s::inet": str(wide.network_address), "ip::inet <= %s::inet": str(wide.broadcast_address)}
