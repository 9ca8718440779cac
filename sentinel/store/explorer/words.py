"""What differs between databases in aggregates; what differs in conditions is in `store.sql`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sentinel.store.sql import Dialect, Sql, sql

SHARE = 8  # one in so many users is in a sample


@dataclass(frozen=True, slots=True)
class Words:
    """The SQL of one database for aggregates: templates, whose `{}` stand for other SQL.

    - `divided`: a whole number divided by another, without the rest
    - `roughly`: an estimate of the number of distinct values; None where the database has none
    - `extracted`: the JSON text of the value at a path of a document
    - `unquoted`: the text that a JSON string stands for
    - `double`: a double from the text of a number, NULL from any other text
    - `earliest`: aggregate; the first piece of the row in which the second and third are least
    - `unsigned`: what puts hashes in order as whole numbers without a sign
    - `few`: a condition that few rows fulfil, said so that their wide columns are read row by row
    - `position`: the position of a text in a list, from one on; None where that is slow
    - `sample`: the condition that an event is of a fixed one in `SHARE` users; None where samples do not pay
    """

    dialect: Dialect
    divided: str
    roughly: str | None
    extracted: str
    unquoted: str
    double: str
    earliest: str
    unsigned: str = "{}"
    few: str = "{}"
    position: str | None = None
    sample: str | None = None

    def extract(self, document: str, keys: Sequence[str]) -> Sql:
        """Return the JSON text of what lies at a path of a document."""
        return sql(self.extracted, self.dialect.place(Sql(document), keys))
