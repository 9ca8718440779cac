"""What differs between databases in aggregates; what differs in conditions is in `store.sql`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sentinel.store.sql import Dialect, Sql, sql

SHARE = 8  # one in so many users is in a sample


@dataclass(frozen=True, slots=True)
class Words:
    """How one database says what sums are made of: templates, whose `{}` are pieces of SQL.

    `divided` is division of whole numbers. `roughly` estimates how many distinct values there are; a database that
    cannot has none, and counts them. `extracted` gives a value's JSON text from a place in a document, `unquoted` the
    text of a JSON string, `double` the double of a number's text or NULL. `earliest` gives the first piece where the
    second and third are least. `few` says that a row is among a few of those of a condition, whose wide columns are
    read one by one. `position` gives the place of a text in a list, counted from one, where that is quick. `sample`
    holds for the events of one in `SHARE` users, picked by their hash; a database that counts them all has none.
    """

    dialect: Dialect
    divided: str
    roughly: str | None
    extracted: str
    unquoted: str
    double: str
    earliest: str
    few: str = "{}"
    position: str | None = None
    sample: str | None = None

    def extract(self, document: str, keys: Sequence[str]) -> Sql:
        """Return the JSON text of what lies at a path of a document."""
        return sql(self.extracted, self.dialect.place(Sql(document), keys))
