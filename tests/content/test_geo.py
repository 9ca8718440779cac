"""The demo's geo databases are what their table says, and about nobody."""

from __future__ import annotations

import csv
import ipaddress
from pathlib import Path

import maxminddb
import pytest

from data import make_geo
from tests.content.test_demo import RESERVED, RESERVED_6


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("geo")
    make_geo.make(folder)
    return folder


@pytest.mark.parametrize("name", make_geo.FILES)
def test_the_committed_file_is_what_the_table_makes(made: Path, name: str) -> None:
    with maxminddb.open_database(made / name) as fresh, maxminddb.open_database(make_geo.FOLDER / name) as kept:
        assert dict(fresh) == dict(kept)
        assert fresh.metadata().database_type == kept.metadata().database_type


@pytest.mark.parametrize("name", make_geo.FILES)
def test_the_files_are_small(name: str) -> None:
    assert (make_geo.FOLDER / name).stat().st_size <= 25_000


def test_every_network_is_reserved_for_documentation_and_every_number_too() -> None:
    for row in make_geo.rows():
        network = ipaddress.ip_network(row["network"])
        homes = [RESERVED_6] if network.version == 6 else RESERVED
        assert any(network.subnet_of(home) for home in homes)
        assert 64496 <= int(row["asn"]) <= 64511 or 65536 <= int(row["asn"]) <= 65551
        assert row["org"].startswith("Example ")


def test_the_ipv4_pieces_cover_their_networks_without_overlap() -> None:
    pieces = [network for row in make_geo.rows() if (network := ipaddress.ip_network(row["network"])).version == 4]
    assert sorted(ipaddress.collapse_addresses(pieces)) == RESERVED
    assert sum(piece.num_addresses for piece in pieces) == 3 * 256


def test_the_table_is_in_the_order_of_its_networks_and_complete() -> None:
    with make_geo.TABLE.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert all(value or key == "city" for row in table for key, value in row.items())
    assert len({row["network"] for row in table}) == len(table)
