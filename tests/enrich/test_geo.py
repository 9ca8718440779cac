"""Geo databases: what is read of them, what their faults cost, how they are replaced while events go on."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import maxminddb.reader
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel import content
from sentinel.core.errors import InputError
from sentinel.enrich import geo
from sentinel.enrich.geo import Database, Geo, Place
from tests.enrich.making import database, touched

PARIS = {
    "country": {"iso_code": "FR"},
    "city": {"names": {"en": "Paris", "de": "Paris"}},
    "location": {"latitude": 48.857, "longitude": 2.352, "accuracy_radius": 20},
}
FRANCE, GERMANY = ({"country": {"iso_code": code}} for code in ("FR", "DE"))
NUMBER = {"autonomous_system_number": 64496, "autonomous_system_organization": "Example"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "city.mmdb"


def test_a_city_database_gives_country_city_and_location(place: Path) -> None:
    found = Geo([database(place, {"192.0.2.0/24": PARIS})])
    expected = {"country": "FR", "city": "Paris", "lat": 48.857, "lon": 2.352, "accuracy": 20}
    assert found.of("192.0.2.7") == expected
    assert found.of("198.51.100.7") == {}
    assert found.problems() == []


def test_several_databases_complete_each_other(place: Path, tmp_path: Path) -> None:
    number = database(tmp_path / "asn.mmdb", {"192.0.2.0/24": NUMBER}, "GeoLite2-ASN")
    found = Geo([database(place, {"192.0.2.0/25": PARIS}), number])
    assert found.of("192.0.2.7")["city"] == "Paris"
    assert (found.of("192.0.2.7")["asn"], found.of("192.0.2.7")["org"]) == (64496, "Example")
    assert found.of("192.0.2.200") == {"asn": 64496, "org": "Example"}


def test_two_opinions_are_never_mixed_into_a_place_that_neither_means(place: Path, tmp_path: Path) -> None:
    """The first database says Germany and no city, the second says Paris."""
    second = database(tmp_path / "second.mmdb", {"192.0.2.0/24": PARIS})
    found = Geo([database(place, {"192.0.2.0/24": GERMANY}, "Test-Country"), second]).of("192.0.2.7")
    assert found["country"] == "DE"
    assert "city" not in found


def test_a_country_database_before_a_city_database_does_not_hide_the_city(place: Path, tmp_path: Path) -> None:
    second = database(tmp_path / "second.mmdb", {"192.0.2.0/24": PARIS})
    found = Geo([database(place, {"192.0.2.0/24": FRANCE}, "Test-Country"), second]).of("192.0.2.7")
    assert (found["country"], found["city"]) == ("FR", "Paris")


def test_the_first_located_opinion_is_taken_whole() -> None:
    first, second = Place(lat=1.0, lon=2.0), Place(lat=3.0, lon=4.0, accuracy=5)
    assert geo._completed(first, second)[2:5] == (1.0, 2.0, None)
    assert geo._completed(Place(lat=1.0), second)[2:5] == (3.0, 4.0, 5)
    assert geo._completed(Place(lon=2.0), second)[2:5] == (3.0, 4.0, 5)


def test_where_several_know_the_same_the_first_ones_word_counts() -> None:
    first, second = Place("FR", "Paris", 1.0, 2.0, 3, 64496, "One"), Place("FR", "Lyon", 4.0, 5.0, 6, 64497, "Two")
    assert geo._completed(first, second) == first


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        ("GeoLite2-City", {"country", "city", "lat", "lon", "accuracy"}),
        ("DBIP-City-Lite (compat=City)", {"country", "city", "lat", "lon", "accuracy"}),
        ("GeoIP2-Enterprise", {"country", "city", "lat", "lon", "accuracy", "asn", "org"}),
        ("GeoLite2-Country", {"country"}),
        ("DBIP-ASN-Lite (compat=GeoLite2-ASN)", {"asn", "org"}),
        ("GeoIP2-ISP", {"asn", "org"}),
    ],
)
def test_a_database_is_asked_for_what_its_type_promises(place: Path, kind: str, known: set[str]) -> None:
    found = Geo([database(place, {"192.0.2.0/24": {**PARIS, **NUMBER, "traits": NUMBER}}, kind)])
    assert found.of("192.0.2.7").keys() >= known


def test_an_ipv4_database_is_not_asked_for_ipv6(place: Path) -> None:
    found = Geo([database(place, {"192.0.2.0/24": FRANCE}, version=4)])
    assert found.of("192.0.2.7") == {"country": "FR"}
    assert found.of("2001:db8::1") == {}
    assert found.problems() == []


@pytest.mark.parametrize(
    "record",
    [
        {"country": "FR"}, {"country": {"iso_code": 7}}, {"city": {"names": ["Paris"]}},
        {"location": {"longitude": ""}},
        {"location": {"latitude": 91.0, "longitude": 181.0, "accuracy_radius": -1}}, {"location": [1.0, 2.0]},
        {"autonomous_system_number": "AS1", "autonomous_system_organization": ""}, {"unheard": {"of": True}},
        {"location": {"latitude": True, "longitude": float("nan")}},
    ],
)  # fmt: skip
def test_values_of_a_wrong_type_are_left_out(place: Path, record: dict[str, object]) -> None:
    """Those that the library itself stumbles over cost the whole record."""
    found = Geo([database(place, {"192.0.2.0/24": record})])
    assert found.of("192.0.2.7") == {}


def test_addresses_of_one_network_share_one_mapping(place: Path) -> None:
    found = Geo([database(place, {"192.0.2.0/24": PARIS})])
    assert found.of("192.0.2.7") is found.of("192.0.2.8")


def test_a_missing_database_says_so_and_knows_nothing(place: Path) -> None:
    found = Geo([place])
    assert found.of("192.0.2.7") == {}
    assert found.problems() == [f"geo database `{place}`: there is no such file (nothing is known from it)"]


def test_a_missing_database_is_found_once_it_is_there(place: Path) -> None:
    found = Geo([place])
    database(place, {"192.0.2.0/24": FRANCE})
    assert found.refresh()
    assert found.of("192.0.2.7") == {"country": "FR"}
    assert found.problems() == []


@pytest.mark.parametrize("damage", [b"", b"<html>not found</html>", b"\0" * 4096, b"\xab\xcd\xefMaxMind.com"])
def test_a_file_that_is_no_database_says_so_and_what_to_do(place: Path, damage: bytes) -> None:
    place.write_bytes(damage)
    (problem,) = Geo([place]).problems()
    assert problem.startswith(f"geo database `{place}`: ")
    assert "(fetch it again) (nothing is known from it)" in problem


def test_a_database_of_another_kind_is_refused_by_its_type(place: Path) -> None:
    (problem,) = Geo([database(place, {"192.0.2.0/24": FRANCE}, "Test-Anonymous")]).problems()
    assert "its type is `Test-Anonymous` (use one whose type contains City" in problem


def test_a_database_that_cannot_be_read_says_why(place: Path) -> None:
    place.mkdir()
    (problem,) = Geo([place]).problems()
    assert "not an ordinary file" in problem


def test_every_cut_of_a_database_costs_its_knowledge_and_nothing_else(place: Path) -> None:
    """Whatever is left of the file: no exception, and a place that it really has or none."""
    whole = database(place, {"192.0.2.0/24": PARIS, "198.51.100.0/24": GERMANY}).read_bytes()
    truth = Geo([place]).of("192.0.2.7")
    for cut in range(0, len(whole), 7):
        place.write_bytes(whole[cut:])
        found = Geo([touched(place)])
        found.of("192.0.2.7")
        place.write_bytes(whole[:cut])
        assert Geo([touched(place)]).of("192.0.2.7") in ({}, truth)


@pytest.mark.parametrize("mask", [0x01, 0x20, 0x41, 0xFF])
def test_a_wrong_byte_anywhere_is_a_refusal_or_a_failed_look_up_and_never_more(mask: int) -> None:
    """The reader in C was seen to end the process at some of these."""
    whole = (content.folder("geo") / "demo-city.mmdb").read_bytes()
    refused = failed = 0
    for position in range(mask % 7, len(whole), 7):
        damaged = bytearray(whole)
        damaged[position] ^= mask
        try:
            known = Database(bytes(damaged))
        except InputError:
            refused += 1
            continue
        for ip in ("192.0.2.10", "198.51.100.1", "8.8.8.8", "2001:db8::1", "2001:db8:b07:40::1"):
            try:
                assert isinstance(known.of(ip), Place)
            except Exception:
                failed += 1
    assert refused and failed


def test_the_reader_is_the_one_in_python(place: Path) -> None:
    known = Database(database(place, {"192.0.2.0/24": PARIS}).read_bytes())
    assert type(known._reader._db_reader) is maxminddb.reader.Reader


@given(st.binary(max_size=200), st.integers(0, 4000), st.sampled_from(["city", "asn"]))
def test_bytes_put_anywhere_into_a_database_never_raise(tmp_path_factory, piece: bytes, at: int, which: str) -> None:
    whole = (content.folder("geo") / f"demo-{which}.mmdb").read_bytes()
    path = tmp_path_factory.getbasetemp() / "patched.mmdb"
    path.write_bytes(whole[:at] + piece + whole[at + len(piece) :])
    found = Geo([touched(path)])
    for ip in ("192.0.2.10", "203.0.113.9", "2001:db8::1"):
        assert found.of(ip).keys() <= set(Place._fields)


def test_a_failed_look_up_is_counted_and_shown_and_the_other_databases_are_asked(place: Path, tmp_path: Path) -> None:
    """The record's own first byte is spoilt: opening cannot notice it."""
    number = database(tmp_path / "asn.mmdb", {"192.0.2.0/24": NUMBER}, "GeoLite2-ASN")
    whole = database(place, {"192.0.2.0/24": FRANCE}).read_bytes()
    at = whole.index(b"\x47country") - 1
    place.write_bytes(whole[:at] + b"\x00\xff" + whole[at + 2 :])
    found = Geo([touched(place), number])
    assert found.problems() == []
    assert found.of("192.0.2.7") == {"asn": 64496, "org": "Example"}
    assert found.of("192.0.2.7") == {"asn": 64496, "org": "Example"}
    assert found.problems() == ["geo databases: 1 look-ups failed since the last reload (a file may be damaged)"]
    database(place, {"192.0.2.0/24": FRANCE})
    assert found.refresh()
    assert (found.problems(), found.failed) == ([], 1)


def test_an_unchanged_file_is_not_read_again(place: Path) -> None:
    found = Geo([database(place, {"192.0.2.0/24": FRANCE})])
    before = found.of
    assert not found.refresh()
    assert found.of is before


def test_a_changed_file_is_taken_over_and_remembered_answers_with_it(place: Path) -> None:
    found = Geo([database(place, {"192.0.2.0/24": FRANCE})])
    assert found.of("192.0.2.7") == {"country": "FR"}
    database(place, {"192.0.2.0/24": GERMANY})
    assert found.refresh()
    assert found.of("192.0.2.7") == {"country": "DE"}


def test_a_database_overwritten_in_place_leaves_the_one_in_use_whole(place: Path) -> None:
    """A process that has a file mapped dies of a bus error when somebody truncates it; the copy is ours."""
    found = Geo([database(place, {f"192.0.2.{n}/32": {"country": {"iso_code": f"A{n}"}} for n in range(99)})])
    os.truncate(place, 0)
    assert found.of("192.0.2.42") == {"country": "A42"}


def test_a_damaged_successor_does_not_replace_a_good_database(place: Path) -> None:
    found = Geo([database(place, {"192.0.2.0/24": FRANCE})])
    place.write_bytes(b"half a download")
    assert not found.refresh()
    assert found.of("192.0.2.7") == {"country": "FR"}
    assert "what was read before stays in use" in found.problems()[0]
    place.unlink()
    assert not found.refresh()
    assert found.of("192.0.2.7") == {"country": "FR"}


def test_events_go_on_while_databases_change(place: Path) -> None:
    """Every answer is that of one version or the other, never an error and never nothing."""
    found = Geo([database(place, {"192.0.2.0/24": FRANCE})])
    seen: set[str | None] = set()
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            for n in range(50):
                seen.add(found.of(f"192.0.2.{n}").get("country"))

    asking = threading.Thread(target=ask)
    asking.start()
    for n in range(30):
        database(place, {"192.0.2.0/24": GERMANY if n % 2 else FRANCE})
        assert found.refresh()
    stop.set()
    asking.join(60)
    assert not asking.is_alive()
    assert seen <= {"FR", "DE"}


def test_the_shipped_demo_databases_know_the_demo_s_addresses() -> None:
    folder = content.folder("geo")
    found = Geo([folder / "demo-city.mmdb", folder / "demo-asn.mmdb"])
    assert found.problems() == []
    assert found.of("192.0.2.10") == {
        "country": "DE", "city": "Berlin", "lat": 52.52, "lon": 13.405, "accuracy": 5,
        "asn": 64496, "org": "Example Office Lines",
    }  # fmt: skip
    assert found.of("2001:db8:5e11:5::1")["city"] == "Tokyo"
