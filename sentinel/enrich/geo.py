"""Where an address is and whose network it belongs to, from databases in MaxMind's format that the operator supplies.

A database that is missing or damaged costs its knowledge and nothing else. No network is asked.
"""

from __future__ import annotations

import mmap
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial, reduce
from pathlib import Path
from typing import Any, NamedTuple

from sentinel.core.errors import InputError
from sentinel.enrich.files import Watched
from sentinel.enrich.mmdb import Database, Wanted

REMEMBERED = 1 << 16  # addresses, for each version of the databases
RECORDS = 1 << 14  # of each database; many networks share one
WANTED: Wanted = {
    "country": {"iso_code": None},
    "city": {"names": {"en": None}},
    "location": {"latitude": None, "longitude": None, "accuracy_radius": None},
    "autonomous_system_number": None,
    "autonomous_system_organization": None,
}
KNOWN = ("City", "Country", "ASN", "ISP", "Enterprise")


class Place(NamedTuple):
    """What is known of one address; None where it is not. `accuracy` is the radius of the location in kilometres."""

    country: str | None = None
    city: str | None = None
    lat: float | None = None
    lon: float | None = None
    accuracy: int | None = None
    asn: int | None = None
    org: str | None = None


UNKNOWN = Place()


class Geo:
    """The operator's databases. Where several know the same thing of an address, the first one's word counts.

    `of(ip)` returns what is known of a canonical address; it is replaced as a whole when a database changes.
    `scratch` is a folder for the copies that are read, the system's own where None.
    """

    def __init__(self, paths: Sequence[Path], scratch: Path | None = None) -> None:
        self._files = [Watched(path, "geo database", partial(_open, scratch=scratch)) for path in paths]
        self._faults = 0
        self.of = self._fresh()

    def refresh(self) -> bool:
        """Take over databases that changed; say whether any did. Events go on with the old ones meanwhile."""
        changed = [file.refresh() for file in self._files]
        if any(changed):
            self.of = self._fresh()
        return any(changed)

    def problems(self) -> list[str]:
        """Return what is wrong with the databases, one line each."""
        found = [file.problem for file in self._files if file.problem]
        if self._faults:
            found.append(f"geo databases: {self._faults} look-ups failed since the last reload (a file may be damaged)")
        return found

    def _fresh(self) -> Callable[[str], Mapping[str, Any]]:
        """Return a look-up with a memory of its own; the old one's databases close when nobody uses them any more."""
        self._faults = 0
        databases = [file.value for file in self._files if file.value is not None]
        return lru_cache(maxsize=REMEMBERED)(partial(self._find, databases))

    def _find(self, databases: Sequence[Places], ip: str) -> Mapping[str, Any]:
        return _merged(tuple(self._ask(database, ip) for database in databases))

    def _ask(self, database: Places, ip: str) -> Place:
        try:
            return database.of(ip)
        except InputError:
            self._faults += 1
            return UNKNOWN


class Places:
    """One database as places of addresses."""

    def __init__(self, database: Database) -> None:
        self._find = database.find
        self._read = lru_cache(maxsize=RECORDS)(lambda where: _place(database.record(where, WANTED)))

    def of(self, ip: str) -> Place:
        """Return the place of an address; raises InputError where the database is damaged."""
        where = self._find(ip)
        return UNKNOWN if where is None else self._read(where)


def _open(path: Path, scratch: Path | None) -> Places:
    """Open a private copy: a database that is overwritten in place would take down whoever has it mapped."""
    with path.open("rb") as original, tempfile.TemporaryFile(dir=scratch) as copy:
        shutil.copyfileobj(original, copy, 1 << 20)
        if not copy.tell():
            raise InputError("the file is empty", "fetch it again")
        copy.flush()
        database = Database(mmap.mmap(copy.fileno(), 0, access=mmap.ACCESS_READ))
    if not any(word in database.kind for word in KNOWN):
        raise InputError(f"its type is `{database.kind[:80]}`", f"use one whose type contains {', '.join(KNOWN)}")
    return Places(database)


@lru_cache(maxsize=RECORDS)
def _merged(opinions: tuple[Place, ...]) -> Mapping[str, Any]:
    """Return what some opinions amount to, the same mapping for all addresses with these; nobody writes to it."""
    place = reduce(_completed, opinions, UNKNOWN)
    return {name: value for name, value in place._asdict().items() if value is not None}


def _completed(one: Place, other: Place) -> Place:
    """Fill what one lacks from the other, without mixing a country, a city and a location of two opinions."""
    found = one
    if one.country is None:
        found = found._replace(country=other.country, city=other.city)
    elif one.city is None and one.country == other.country:
        found = found._replace(city=other.city)
    if one.lat is None or one.lon is None:
        found = found._replace(lat=other.lat, lon=other.lon, accuracy=other.accuracy)
    if one.asn is None:
        found = found._replace(asn=other.asn, org=other.org)
    return found


def _place(record: object) -> Place:
    """Return what a record says; values of a type they should not have are left out."""
    if not isinstance(record, dict):
        return UNKNOWN
    location = _within(record, "location")
    return Place(
        country=_text(_within(record, "country").get("iso_code")),
        city=_text(_within(_within(record, "city"), "names").get("en")),
        lat=_degrees(location.get("latitude"), 90),
        lon=_degrees(location.get("longitude"), 180),
        accuracy=_count(location.get("accuracy_radius")),
        asn=_count(record.get("autonomous_system_number")),
        org=_text(record.get("autonomous_system_organization")),
    )


def _within(record: dict[str, Any], key: str) -> dict[str, Any]:
    value = record.get(key)
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _degrees(value: object, most: int) -> float | None:
    if isinstance(value, bool) or not isinstance(value, float | int):
        return None
    return float(value) if -most <= value <= most else None
