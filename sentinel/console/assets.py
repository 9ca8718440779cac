"""Scripts and styles: read once, served under names made from their contents, so that browsers may cache them for ever.

What is written by hand is in `static`; what is built is in `static/built`, without which pages work as well.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent / "static"
BUILT = HERE / "built"
BUNDLES = ("console.js", "chart.js", "draft.js")  # what a build makes at the least
KINDS: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"
}  # fmt: skip
ROOT = "/static/"


class Asset(NamedTuple):
    """One file as it is sent."""

    url: str
    kind: str
    plain: bytes
    packed: bytes


class Assets:
    """The files of these folders, by plain name and by address; of one name in two folders the later is served."""

    def __init__(self, folders: Iterable[Path] = (HERE, BUILT)) -> None:
        self._named: dict[str, Asset] = {}
        for folder in folders:
            for file in sorted(folder.glob("*")):
                if file.suffix in KINDS:
                    self._named[file.name] = _read(file)
        self._at = {asset.url: asset for asset in self._named.values()}

    def url(self, name: str) -> str | None:
        """Return the address of a file, None where it was not built."""
        found = self._named.get(name)
        return None if found is None else found.url

    def at(self, url: str) -> Asset | None:
        """Return the file at an address, None where there is none."""
        return self._at.get(url)

    def missing(self) -> list[str]:
        """Return the bundles that were not built."""
        return [name for name in BUNDLES if name not in self._named]


def _read(file: Path) -> Asset:
    data = file.read_bytes()
    name = f"{file.stem}.{sha256(data).hexdigest()[:12]}{file.suffix}"
    return Asset(ROOT + name, KINDS[file.suffix], data, gzip.compress(data, 9, mtime=0))
