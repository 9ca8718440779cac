"""The names of keys: app and group appear as hashes only, so that no sender chooses a character of a name.

`{NN}` is the part of a name that decides on which server of a cluster the key lies: what must lie together shares it.
"""

from __future__ import annotations

from hashlib import blake2b

PREFIX = "sentinel"
BUCKETS = 64


def digest(*parts: str, size: int = 16) -> str:
    """Return a hash of texts, each apart from the next."""
    hashed = blake2b(digest_size=size)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        hashed.update(len(raw).to_bytes(8, "big") + raw)
    return hashed.hexdigest()


class Names:
    """The names of one app's keys. `home` tells its installation from others that use the same server."""

    def __init__(self, app: str, home: str = "") -> None:
        self.app = digest(home, app, size=8)

    def of_bucket(self, bucket: int, what: str) -> str:
        """Return the name of a key of which there is one in each bucket."""
        return f"{PREFIX}:{{{bucket:02d}}}:{self.app}:{what}"

    def like(self, what: str) -> str:
        """Return a pattern (as of `SCAN`) that matches every name `of` gives for `what`."""
        return f"{PREFIX}:*:{self.app}:{what}:*"

    def of(self, what: str, *parts: str) -> str:
        """Return the name of the key for `what` and some texts: they are hashed, and choose its bucket."""
        hashed = digest(self.app, what, *parts)
        return self.of_bucket(int(hashed[:4], 16) % BUCKETS, f"{what}:{hashed}")


class GroupNames:
    """The names of one watch's groups: `version` is all of a watch that decides what its state means."""

    def __init__(self, names: Names, watch: str, version: str) -> None:
        self.version = digest(version, size=8)
        self._head = f":{names.app}:{watch}:{self.version}:"
        self._key = blake2b(f"{names.app}\0{watch}\0{self.version}\0".encode(), digest_size=16)

    def of(self, group: str) -> str:
        """Return the name of a group's key."""
        hashed = self._key.copy()
        hashed.update(group.encode("utf-8", "surrogatepass"))
        digest = hashed.hexdigest()
        return f"{PREFIX}:{{{int(digest[:4], 16) % BUCKETS:02d}}}{self._head}{digest}"


def bucket_of(key: str) -> int:
    """Return the bucket a key lies in."""
    start = key.index("{") + 1
    return int(key[start : key.index("}", start)])
