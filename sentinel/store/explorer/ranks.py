"""The top values of a field, and SQL that gives each event the number of its value; all others share one number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sentinel.core.explore import Scalar
from sentinel.store.explorer.machine import Key, Machine
from sentinel.store.sql import Sql, sql


@dataclass(frozen=True, slots=True)
class Ranks:
    """The first keys of a ranking, and the values they stand for; `more` says that there are keys beyond them."""

    keys: tuple[Any, ...]
    shown: tuple[Scalar, ...]
    more: bool

    def values(self) -> list[tuple[Scalar, bool]]:
        """Return (value, whether it is the rest) of each line: of each key, and of the rest where there is any."""
        return [*((value, False) for value in self.shown), *([(None, True)] if self.more else [])]

    def place(self) -> Sql:
        """Return SQL for the rank of the key `k`, from 0 on; all others have the number of keys."""
        if not self.keys:
            return Sql("0")
        there = [(place, key) for place, key in enumerate(self.keys) if key is not None]
        cases = [sql(f"WHEN k = {{}} THEN {place}", Sql("?", (key,))) for place, key in there]
        if None in self.keys:
            cases.append(Sql(f"WHEN k IS NULL THEN {self.keys.index(None)}"))
        return sql("CASE " + " ".join("{}" for _ in cases) + f" ELSE {len(self.keys)} END", *cases)


def ranks(machine: Machine, app: str, made: Sql, key: Key, rank: str, most: int) -> Ranks:
    """Return the `most` keys that are first by the aggregate `rank`; of equal ones, those whose keys come first."""
    order = f"GROUP BY k ORDER BY 2 DESC NULLS LAST, {key.order} NULLS LAST LIMIT {most + 1}"
    found = machine.rows(sql(f"SELECT k, {rank}, max(seq) FROM {{}} {order}", made))
    keys, places = tuple(row[0] for row in found[:most]), [row[2] for row in found[:most]]
    return Ranks(keys, shown(machine, app, key, keys, places), len(found) > most)


def shown(machine: Machine, app: str, key: Key, keys: Sequence[Any], places: Sequence[int]) -> tuple[Scalar, ...]:
    """Return the values that keys stand for. The text of a hash is read from an event that has it, one of `places`."""
    if key.shown is None:
        return tuple(key.read(one) for one in keys)
    texts = machine.texts(app, key.raw, key.shown, places)
    return tuple(texts.get(one) for one in keys)
