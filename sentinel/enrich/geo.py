"""Where an address is and whose network it is in, from databases in MaxMind's format that the operator supplies.

A missing or damaged database costs only what it knows. Nothing is asked over the network.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial, reduce
from pathlib import Path
from typing import Any, NamedTuple

from geoip2.database import MODE_FD, Reader
from geoip2.errors import AddressNotFoundError
from geoip2.models import ASN, City

from sentinel.core.errors import InputError
from sentinel.engine.remembered import Remembered
from sentinel.enrich.files import Watched

REMEMBERED = 1 << 16  # addresses, for each version of the databases
SHARED = 1 << 14  # answers that many addresses have in common


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
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._files = [Watched(path, "geo database", _open) for path in paths]
        self.failed = 0  # look-ups, since the start
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
        if failed := self.failed - self._before:
            found.append(f"geo databases: {failed} look-ups failed since the last reload (a file may be damaged)")
        return found

    def _fresh(self) -> Callable[[str], Mapping[str, Any]]:
        """Return a look-up with a memory of its own; the old databases go when nobody uses them any more."""
        self._before = self.failed
        databases = [file.value for file in self._files if file.value is not None]
        if not databases:
            return lambda ip: _merged(())
        return Remembered(partial(self._find, databases), REMEMBERED).__getitem__

    def _find(self, databases: Sequence[Database], ip: str) -> Mapping[str, Any]:
        return _merged(tuple(self._ask(database, ip) for database in databases))

    def _ask(self, database: Database, ip: str) -> Place:
        try:
            return database.of(ip)
        except Exception:  # noqa: BLE001 - counted and shown; a damaged record may raise whatever it likes
            self.failed += 1
            return UNKNOWN


class Database:
    """One database, and what is asked of it by its type. Raises InputError for bytes that are none of a known type."""

    def __init__(self, data: bytes) -> None:
        self._reader = _reader(data)
        about = self._reader.metadata()
        self._six = about.ip_version == 6
        asked = [ask for word, ask in QUESTIONS.items() if word in str(about.database_type)]
        if not asked:
            hint = f"use one whose type contains {', '.join(QUESTIONS)}"
            raise InputError(f"its type is `{str(about.database_type)[:80]}`", hint)
        self._ask = asked[0]

    def of(self, ip: str) -> Place:
        """Return the place of an address; may raise anything where the database is damaged."""
        if ":" in ip and not self._six:
            return UNKNOWN
        try:
            return self._ask(self._reader, ip)
        except AddressNotFoundError:
            return UNKNOWN


def _open(path: Path) -> Database:
    """Take a copy into memory: whoever has a file mapped dies when somebody truncates it."""
    return Database(path.read_bytes())


def _reader(data: bytes) -> Reader:
    """Open a database with the reader in Python: over some damaged files the one in C ends the process."""
    try:
        return Reader(io.BytesIO(data), mode=MODE_FD)
    except Exception as error:
        raise InputError("not a database in MaxMind's format, or damaged", "fetch it again") from error


def _located(found: City) -> Place:
    """Return what a record of a city says; values of a type they should not have are left out."""
    return Place(
        country=_text(found.country.iso_code),
        city=_text(found.city.name),
        lat=_degrees(found.location.latitude, 90),
        lon=_degrees(found.location.longitude, 180),
        accuracy=_count(found.location.accuracy_radius),
        asn=_count(found.traits.autonomous_system_number),
        org=_text(found.traits.autonomous_system_organization),
    )


def _country(reader: Reader, ip: str) -> Place:
    return Place(country=_text(reader.country(ip).country.iso_code))


def _numbered(found: ASN) -> Place:
    return Place(asn=_count(found.autonomous_system_number), org=_text(found.autonomous_system_organization))


# What a database is asked whose type contains a word; the first that it contains counts.
QUESTIONS: Mapping[str, Callable[[Reader, str], Place]] = {
    "City": lambda reader, ip: _located(reader.city(ip)),
    "Enterprise": lambda reader, ip: _located(reader.enterprise(ip)),
    "Country": _country,
    "GeoLite2-ASN": lambda reader, ip: _numbered(reader.asn(ip)),
    "GeoIP2-ISP": lambda reader, ip: _numbered(reader.isp(ip)),
}


@lru_cache(maxsize=SHARED)
def _merged(opinions: tuple[Place, ...]) -> Mapping[str, Any]:
    """Return the databases' answers as one mapping without what is unknown; it is shared, so nobody may write to it."""
    place = reduce(_completed, opinions, UNKNOWN)
    return {name: value for name, value in place._asdict().items() if value is not None}


def _completed(one: Place, other: Place) -> Place:
    """Fill what one answer lacks from the other, without mixing what belongs together.

    A city is taken with its country, or beside the same one; a location as a whole; an ASN with its name.
    """
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


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _degrees(value: object, most: int) -> float | None:
    if isinstance(value, bool) or not isinstance(value, float | int):
        return None
    return float(value) if -most <= value <= most else None
