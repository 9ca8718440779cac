"""Make the demo's geo databases, sentinel/content/geo/demo-city.mmdb and demo-asn.mmdb, from data/geo/demo.csv.

Run it after the table changed. Every network of the table is reserved for documentation, every organisation invented:
nothing in it is true of anybody. mmdb_writer is needed here and nowhere else.
"""

from __future__ import annotations

import csv
import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdb_writer import MMDBWriter
from netaddr import IPSet

TABLE = Path(__file__).parent / "geo" / "demo.csv"
FOLDER = Path(__file__).parents[1] / "sentinel" / "content" / "geo"
BUILT = 1_767_571_200  # 2026-01-05: the same table makes the same bytes on any day
Row = Mapping[str, str]


class Writer(MMDBWriter):
    """A writer whose files do not say when they were made."""

    def _build_meta(self) -> dict[str, Any]:
        return super()._build_meta() | {"build_epoch": BUILT}


def rows() -> list[Row]:
    """Return the table's rows, wide networks first: a later one replaces its part of an earlier one."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return sorted(csv.DictReader(file), key=lambda row: ipaddress.ip_network(row["network"]).prefixlen)


def city(row: Row) -> dict[str, Any]:
    """Return a row as a City database has it."""
    record: dict[str, Any] = {"country": {"iso_code": row["country"]}}
    if row["city"]:
        record["city"] = {"names": {"en": row["city"]}}
    place = {"latitude": float(row["lat"]), "longitude": float(row["lon"]), "accuracy_radius": int(row["accuracy"])}
    return record | {"location": place}


def asn(row: Row) -> dict[str, Any]:
    """Return a row as an ASN database has it."""
    return {"autonomous_system_number": int(row["asn"]), "autonomous_system_organization": row["org"]}


FILES = {"demo-city.mmdb": ("Sentinel-Demo-City", city), "demo-asn.mmdb": ("Sentinel-Demo-GeoLite2-ASN", asn)}


def make(folder: Path) -> None:
    """Write both databases into a folder."""
    for name, (kind, record) in FILES.items():
        writer = Writer(
            6, kind, languages=["en"], description="Sentinel's demo: documentation networks", ipv4_compatible=True
        )
        for row in rows():
            writer.insert_network(IPSet([row["network"]]), record(row))
        writer.to_db_file(str(folder / name))


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    make(FOLDER)
