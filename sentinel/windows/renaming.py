"""Other names for users in the state of windows: what is left of a deleted person is counted on under a pseudonym."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sentinel.engine import keys

_PARTS = ("groups", "opened", "extra")


def renamed(data: bytes, names: Mapping[str, str]) -> bytes:
    """Return a snapshot with other names. Of two groups that get one name the latter stays."""
    if not any(name.encode("utf-8", "surrogatepass") in data for name in names):
        return data
    found = msgspec.msgpack.decode(data)
    return msgspec.msgpack.encode(found | {part: keys.renamed(found[part], names) for part in _PARTS})
