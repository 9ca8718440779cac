"""DuckDB's dialect for conditions and aggregates. How the rules' language uses it is in `store.condition`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sentinel.engine.kinds import Kind
from sentinel.store.explorer.words import SHARE, Words
from sentinel.store.rows import HASHES
from sentinel.store.sql import Dialect, Sql, sql


def _place(document: Sql, keys: Sequence[str]) -> Sql:
    """Names in expressions are letters, digits, `_` and `-`: nothing that ends a text or a path."""
    path = "".join("." + json.dumps(key, ensure_ascii=False) for key in keys)
    assert not set(path) & set("'{}?")
    return sql("{}, '$" + path + "'", document)


def _hex(number: str) -> str:
    return f"lower(to_hex({number}))"


_SECOND, _THIRD = "((ip6 >> 32) & 65535)", "((ip6 >> 16) & 65535)"  # groups of an IPv6 address

DUCKDB = Dialect(
    mark="?",
    types={Kind.TEXT: "VARCHAR", Kind.NUMBER: "DOUBLE", Kind.BOOL: "BOOLEAN"},
    place=_place,
    parts={
        Kind.TEXT: "CASE WHEN json_type({0}) = 'VARCHAR' THEN json_extract_string({0}) END",
        Kind.NUMBER: "TRY_CAST(CAST(json_extract({0}) AS VARCHAR) AS DOUBLE)",  # of JSON, only a number is one
        Kind.BOOL: "CASE WHEN json_type({0}) = 'BOOLEAN' THEN json_extract_string({0}) = 'true' END",
        Kind.LIST: "CASE WHEN json_type({0}) = 'ARRAY' THEN json_extract_string({0}) END",
        Kind.OBJECT: "CASE WHEN json_type({0}) = 'OBJECT' THEN json_extract_string({0}) END",
    },
    words={
        "site": "CASE WHEN ip4 IS NOT NULL"
        " THEN concat(ip4 >> 24, '.', (ip4 >> 16) & 255, '.', (ip4 >> 8) & 255, '.0/24')"
        " WHEN ip6 IS NOT NULL THEN concat(CASE WHEN (ip6 >> 16) = 0 THEN ''"
        f" WHEN {_SECOND} = 0 AND {_THIRD} = 0 THEN {_hex('ip6 >> 48')}"
        f" WHEN {_THIRD} = 0 THEN concat({_hex('ip6 >> 48')}, ':', {_hex(_SECOND)})"
        f" ELSE concat({_hex('ip6 >> 48')}, ':', {_hex(_SECOND)}, ':', {_hex(_THIRD)}) END, '::/48') END",
        "string": "json_extract_string({})",
        "there": "json_type({}) <> 'NULL'",
        "written": "contains({}, {})",
        "holds": "list_contains(CAST(json_extract({}, '$[*]') AS VARCHAR[]), CAST(to_json({}) AS VARCHAR))",
        "counts": "list_contains(list_transform(CAST(json_extract({}, '$[*]') AS VARCHAR[]),"
        " lambda e: TRY_CAST(e AS DOUBLE)), {})",
        "gaps": "list_contains(CAST(json_extract({}, '$[*]') AS VARCHAR[]), 'null')",
        "items": "CAST(json_array_length({}) AS DOUBLE)",
        "characters": "CAST(length({}) AS DOUBLE)",
        "starts": "starts_with({}, {})",
        "ends": "ends_with({}, {})",
        "contains": "contains({}, {})",
        "plain": "strlen({0}) = length({0}) AND strlen({0}) <= 65536",
        "lower": "lower({})",
        "upper": "upper({})",
        "matches": "regexp_matches({}, {})",
        "among": "list_contains(CAST({1} AS VARCHAR[]), {0})",
        "behind_at": "lower(regexp_extract({}, '@([^@]*)$', 1))",
        "even": "CAST(round_even({}, 0) AS DOUBLE)",
        "floor": "floor({})",
        "absolute": "abs({})",
        "remainder": "fmod({}, {})",
        "number": "TRY_CAST({} AS DOUBLE)",
        "whole": "CAST(TRY_CAST({} AS BIGINT) AS VARCHAR)",
        "finite": "CASE WHEN isfinite({0}) THEN {0} END",
        "double": "CAST({} AS DOUBLE)",
    },
    hashed={text: hashed for hashed, text in HASHES.items()},
)
DUCKDB_WORDS = Words(
    dialect=DUCKDB,
    divided="({} // {})",
    roughly="approx_count_distinct({})",
    extracted="CAST(json_extract({}) AS VARCHAR)",
    unquoted="json_extract_string({}, '$')",
    double="TRY_CAST({} AS DOUBLE)",
    earliest="arg_min_null({}, (CAST({} AS HUGEINT) << 64) + {})",
    few="rowid IN (SELECT rowid FROM events WHERE {})",
    position="list_position(CAST({} AS VARCHAR[]), {})",
    sample=f"user_h < {(1 << 64) // SHARE}",
)
