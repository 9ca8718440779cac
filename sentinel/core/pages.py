"""A set of decisions as pages of JSON and back, for a snapshot on disk.

A page holds one shard or some hundred networks, so that neither direction has a long step. Users appear as salted
hashes only, so a snapshot names nobody. The file itself is written by the SDK.
"""

from __future__ import annotations

import struct
import sys
from array import array
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from typing import Any

from sentinel.core.decision import SCOPES, STRICTNESS, check_to
from sentinel.core.decisions import Decisions, Draft
from sentinel.core.errors import DecisionError
from sentinel.core.shards import MASK, Entry, Shard, Terms

FORMAT = 1
_NETWORKS_A_PAGE = 500
_ILL_FORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, struct.error)


def write(decisions: Decisions) -> Iterator[dict[str, Any]]:
    """Give the pages of a set as JSON objects: a head, the shards, the networks, and an end with the set's size."""
    yield {"sentinel": FORMAT, "revision": decisions.revision, "salt": decisions.salt.hex()}
    for number, shard in enumerate(decisions.shards):
        if shard is not None and len(shard.keys):
            yield _write_shard(number, shard)
    lot: list[list[Any]] = []
    for place, entry in decisions.networks.items():
        lot.append([str(place), entry.id, entry.until, *entry.terms])
        if len(lot) == _NETWORKS_A_PAGE:
            yield {"networks": lot}
            lot = []
    yield {"networks": lot}
    yield {"end": len(decisions)}


def read(pages: Iterable[Any]) -> Decisions:
    """Return the set that `write` made these pages of; raises DecisionError for anything but a whole set."""
    turns = iter(pages)
    try:
        head = next(turns)
        if head["sentinel"] != FORMAT:
            raise DecisionError("snapshot", f"of format `{head['sentinel']}`", f"this is format {FORMAT}")
        draft = Draft(Decisions(bytes.fromhex(head["salt"])))
        for page in turns:
            if "end" in page:
                return _whole(draft.done(int(head["revision"])), page["end"])
            _read_page(draft, page)
    except (*_ILL_FORMED, StopIteration) as error:
        raise DecisionError("snapshot", f"not a snapshot: {type(error).__name__}") from None
    raise DecisionError("snapshot", "it ends in the middle")


def _whole(decisions: Decisions, expected: object) -> Decisions:
    if len(decisions) != expected:
        raise DecisionError("snapshot", f"{len(decisions)} decisions where `{expected}` were written")
    return decisions


def _read_page(draft: Draft, page: dict[str, Any]) -> None:
    if "shard" in page:
        _read_shard(draft, page)
        return
    for value, id, until, *terms in page["networks"]:
        draft.put(value, Entry(until, _terms(terms), id))


def _write_shard(number: int, shard: Shard) -> dict[str, Any]:
    return {
        "shard": number,
        "keys": _pack(shard.keys),
        "untils": _pack(shard.untils),
        "which": _pack(shard.which),
        "ids": b64encode(shard.ids).decode(),
        "names": {packed.hex(): text for packed, text in shard.names.items()},
        "terms": [list(terms) for terms in shard.terms],
    }


def _read_shard(draft: Draft, page: dict[str, Any]) -> None:
    shard = Shard()
    shard.keys, shard.untils = _unpack("Q", page["keys"]), _unpack("q", page["untils"])
    shard.which, shard.ids = _unpack("I", page["which"]), b64decode(page["ids"], validate=True)
    shard.terms = tuple(_terms(one) for one in page["terms"])
    shard.names = {bytes.fromhex(packed): str(text) for packed, text in page["names"].items()}
    if not len(shard.keys) == len(shard.untils) == len(shard.which) == len(shard.ids) / 16:
        raise ValueError
    number, keys = page["shard"], shard.keys.tolist()
    if keys != sorted(keys) or any(key & MASK != number for key in keys):
        raise ValueError
    draft.adopt(number, shard)


def _terms(raw: list[Any]) -> Terms:
    terms = Terms(*raw)
    if terms.kind not in STRICTNESS or terms.scope not in SCOPES or type(terms.logins_only) is not bool:
        raise ValueError
    check_to(terms.kind, terms.to)
    return terms


def _pack(column: array[int]) -> str:
    return b64encode(_little(column[:]).tobytes()).decode()


def _unpack(code: str, text: str) -> array[int]:
    column = array(code)
    column.frombytes(b64decode(text, validate=True))
    return _little(column)


def _little(column: array[int]) -> array[int]:
    if sys.byteorder == "big":
        column.byteswap()
    return column
