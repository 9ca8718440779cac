"""PostgreSQL's dialect for conditions and aggregates. How the rules' language uses it is in `where`.

What may fail in the middle of a query, as division by zero does here, is left out: the event itself is evaluated.
"""

from __future__ import annotations

from collections.abc import Sequence

from sentinel.engine.kinds import Kind
from sentinel.store.explorer.words import Words
from sentinel.store.sql import Dialect, Sql, sql


def _place(document: Sql, keys: Sequence[str]) -> Sql:
    """Names in expressions are letters, digits, `_` and `-`: nothing that ends a text or an array."""
    path = ",".join(f'"{key}"' for key in keys)
    assert not set(path) & set("'{}?%\\")
    names = f"ARRAY[{', '.join(repr(key) for key in keys)}]::text[]"
    return sql("(CAST({} AS jsonb) #> " + names + ")", document)


def _part(kind: str, form: str) -> str:
    return f"CASE WHEN jsonb_typeof({{0}}) = '{kind}' THEN {form} END"


_TEXT = "{0} #>> ARRAY[]::text[]"
_DOUBLE = "CASE WHEN length({0}) < 309 THEN CAST({0} AS double precision) ELSE 'Infinity' END"  # in doubt as such
POSTGRES = Dialect(
    mark="%s",
    types={Kind.TEXT: "text", Kind.NUMBER: "double precision", Kind.BOOL: "boolean"},
    place=_place,
    parts={
        Kind.TEXT: _part("string", _TEXT),
        Kind.NUMBER: _part("number", _DOUBLE.replace("{0}", "({0} #>> ARRAY[]::text[])")),
        Kind.BOOL: _part("boolean", "CAST({0} AS boolean)"),
        Kind.LIST: _part("array", _TEXT),
        Kind.OBJECT: _part("object", _TEXT),
    },
    words={
        "site": "(CAST(network(set_masklen(ip::inet, CASE family(ip::inet) WHEN 4 THEN 24 ELSE 48 END)) AS text)"
        ' COLLATE "C")',
        "inside": "(ip::inet >= CAST({} AS inet) AND ip::inet <= CAST({} AS inet))",
        "order": '{} COLLATE "C" %s {} COLLATE "C"',
    },
    hashed={"user_key": "user_h", "ip": "ip_h"},
)
POSTGRES_WORDS = Words(
    dialect=POSTGRES,
    divided="({} / {})",
    roughly=None,
    extracted='CAST({} AS text) COLLATE "C"',
    unquoted="(CAST({} AS jsonb) #>> ARRAY[]::text[])",
    double=_DOUBLE,
    earliest="(array_agg({} ORDER BY {}, {}))[1]",
    unsigned="({} # CAST(-9223372036854775808 AS bigint))",
)
