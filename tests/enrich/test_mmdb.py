"""MaxMind's database format: the same answers as MaxMind's own reader, and no harm from any bytes."""

from __future__ import annotations

import functools
import ipaddress
import math
import random
import tempfile
from pathlib import Path
from typing import Any

import maxminddb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmdb_writer import MmdbF32, MmdbI32, MmdbU16, MmdbU64, MmdbU128

from sentinel import content
from sentinel.core.errors import InputError
from sentinel.enrich import mmdb
from sentinel.enrich.mmdb import MARKER, Database, Values
from tests.enrich.making import Table, database

DEMO = content.folder("geo") / "demo-city.mmdb"
EVERY_KIND = {
    "text": "São Paulo 日本", "empty": "", "long": "x" * 300, "longer": "y" * 3_000, "list": [1, "two", [3.5], {}],
    "true": True, "no": False, "small": 7, "wide": 70_000, "huge": 2**40, "giant": 2**100, "negative": -5,
    "bytes": b"\0\xff", "float": 1.5, "single": MmdbF32(0.25), "u16": MmdbU16(65_535), "u64": MmdbU64(2**64 - 1),
    "u128": MmdbU128(2**128 - 1), "i32": MmdbI32(-(2**31)),
    "map": {f"key{n}": n for n in range(40)}, "deep": {"a": {"b": {"c": {"d": "e"}}}},
}  # fmt: skip
NETWORKS = st.builds(
    lambda number, length: ipaddress.IPv4Network((number, length), strict=False),
    st.integers(0xC0000000, 0xC0FFFFFF),
    st.integers(9, 32),
) | st.builds(
    lambda number, length: ipaddress.IPv6Network((0x20010DB8 << 96 | number << 48, length), strict=False),
    st.integers(0, 2**40),
    st.integers(33, 128),
)


def opened(path: Path) -> Database:
    return Database(path.read_bytes())


def answer(known: Database, ip: str) -> Any:
    where = known.find(ip)
    return None if where is None else known.record(where)


@functools.cache
def folder() -> Path:
    return Path(tempfile.mkdtemp())


def test_every_kind_of_value_is_read_as_the_other_reader_reads_it(tmp_path: Path) -> None:
    path = database(tmp_path / "kinds.mmdb", {"192.0.2.0/24": EVERY_KIND})
    found = answer(opened(path), "192.0.2.1")
    with maxminddb.open_database(path, maxminddb.MODE_MEMORY) as other:
        assert found == other.get("192.0.2.1")
    assert found["text"] == "São Paulo 日本"
    assert (found["negative"], found["i32"], found["giant"], found["single"]) == (-5, -(2**31), 2**100, 0.25)
    assert (found["true"], found["no"]) == (True, False)


@given(st.dictionaries(NETWORKS, st.integers(0, 9), max_size=15), st.integers(0, 2**32))
def test_it_finds_what_the_other_reader_finds(rows: dict[Any, int], seed: int) -> None:
    """Asked of the first and last address of each network, their neighbours, and addresses anywhere."""
    wide_first = sorted(rows.items(), key=lambda row: row[0].prefixlen)
    table: Table = {str(network): {"n": number} for network, number in wide_first}
    path = database(folder() / "some.mmdb", table)
    dice = random.Random(seed)
    asked = [ipaddress.ip_address(dice.getrandbits(32)) for _ in range(5)]
    for network in rows:
        asked += [network[0], network[-1], network[0] - 1, network[-1] + 1]
    known = opened(path)
    with maxminddb.open_database(path) as other:
        for ip in map(str, asked):
            assert answer(known, ip) == other.get(ip), ip


@pytest.mark.parametrize("size", [24, 28, 32])
def test_trees_of_every_width_are_read(size: int) -> None:
    """Written by hand: the writer makes wide trees only of large data. One node a bit, the address 255.255.255.255."""
    nodes = 32
    tree = b""
    for node in range(nodes):
        right = node + 1 if node < nodes - 1 else nodes + 16
        tree += packed(nodes, right, size)
    raw = tree + bytes(16) + b"\x42hi" + MARKER + metadata(nodes, size, 4)
    known = Database(raw)
    assert answer(known, "255.255.255.255") == "hi"
    assert answer(known, "255.255.255.254") is None
    assert (known.kind, known.six) == ("Test", False)


def packed(left: int, right: int, size: int) -> bytes:
    if size == 28:
        middle = (left >> 24) << 4 | right >> 24
        return (left & 0xFFFFFF).to_bytes(3, "big") + bytes([middle]) + (right & 0xFFFFFF).to_bytes(3, "big")
    return left.to_bytes(size // 8, "big") + right.to_bytes(size // 8, "big")


def test_the_high_bits_of_28_are_the_halves_of_the_middle_byte() -> None:
    descend = mmdb._descend_28(packed(0xABCDEF1, 0x1234567, 28), 1)
    assert (descend(0, 0, 1), descend(0, 1, 1)) == (0xABCDEF1, 0x1234567)


def metadata(nodes: Any, size: Any, version: Any, kind: Any = "Test") -> bytes:
    fields = {"node_count": nodes, "record_size": size, "ip_version": version, "database_type": kind}
    return bytes([0xE0 | len(fields)]) + b"".join(text(key) + value(found) for key, found in fields.items())


def text(found: str) -> bytes:
    return bytes([0x40 | len(found)]) + found.encode()


def value(found: Any) -> bytes:
    return text(found) if isinstance(found, str) else b"\xc4" + found.to_bytes(4, "big")


@pytest.mark.parametrize(
    "about",
    [
        metadata(0, 25, 6), metadata(0, 24, 5), metadata("many", 24, 6), metadata(0, 24, 6, 7), metadata(10**6, 24, 6),
        metadata(2**32 - 1, 32, 6), b"\x42hi", b"\xe0", b"", b"\xff" * 40,
    ],
)  # fmt: skip
def test_a_description_that_cannot_be_true_is_refused(about: bytes) -> None:
    with pytest.raises(InputError, match="damaged"):
        Database(bytes(64) + MARKER + about)


def test_bytes_without_the_mark_are_no_database() -> None:
    with pytest.raises(InputError, match="not a database in MaxMind's format"):
        Database(b"hello")


def test_a_mark_that_lies_too_far_from_the_end_does_not_count() -> None:
    with pytest.raises(InputError, match="not a database"):
        Database(MARKER + metadata(0, 24, 4) + bytes(128 << 10))


def test_a_database_without_any_network_knows_nothing() -> None:
    known = Database(bytes(16) + MARKER + metadata(0, 24, 6))
    assert (known.find("192.0.2.1"), known.find("2001:db8::1")) == (None, None)


@pytest.mark.parametrize("ip", ["", "x", "1.2.3", "1.2.3.4.5", "01.2.3.4", "::x", "203.0.113.9/24"])
def test_a_text_that_is_no_address_is_not_found(ip: str) -> None:
    assert opened(DEMO).find(ip) is None


def test_a_pointer_to_itself_ends() -> None:
    with pytest.raises(InputError):
        Values(b"\x20\x00", 0, 2).read(0)


def test_a_list_that_holds_itself_many_times_ends() -> None:
    """Each of 28 elements points back to the list: without a bound 28**32 values."""
    with pytest.raises(InputError):
        Values(b"\x1c\x04" + b"\x20\x00" * 28, 0, 58).read(0)


def test_many_pointers_to_one_long_text_end() -> None:
    long = b"\x5e\x0f\x00" + b"x" * (285 + 0x0F00)
    elements = b"\x1c\x04" + b"\x20\x3a" * 28
    assert Values(elements[:2] + elements[2:] + long, 0, 10_000).read(len(elements)) == "x" * (285 + 0x0F00)
    with pytest.raises(InputError):
        Values(elements + long, 0, len(elements + long)).read(0)


def outcome(raw: bytes, wanted: Any = None) -> type:
    """Return the type of the value that bytes hold, or of the error; any other error fails the test."""
    try:
        return type(Values(raw, 0, len(raw)).read(0, wanted))
    except InputError as error:
        return type(error)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_an_error(raw: bytes) -> None:
    assert outcome(raw) in (str, bytes, int, float, bool, list, dict, InputError)


def part(value: Any, wanted: Any) -> Any:
    """Return the wanted part of a value, the naive way."""
    if wanted is None or not isinstance(value, dict):
        return value
    return {key: part(value[key], branch) for key, branch in wanted.items() if key in value}


KEYS = st.sampled_from([*EVERY_KIND, "unheard of"])
WANTED = st.dictionaries(KEYS, st.none() | st.just({"a": {"b": None}, "key7": None}) | st.just({}), max_size=6)


@given(WANTED)
def test_the_wanted_part_of_a_record_is_that_part(wanted: dict[str, Any]) -> None:
    """Whatever is passed over, of every kind, ends where it ends."""
    known = every_kind()
    where = known.find("192.0.2.1")
    assert where is not None
    assert known.record(where, wanted) == part(known.record(where), wanted)


@functools.cache
def every_kind() -> Database:
    return opened(database(folder() / "kinds.mmdb", {"192.0.2.0/24": EVERY_KIND}))


@given(st.binary(max_size=60))
def test_passing_over_any_bytes_gives_a_value_or_an_error(raw: bytes) -> None:
    assert outcome(raw, {"x": None}) in (str, bytes, int, float, bool, list, dict, InputError)


def test_a_map_that_claims_to_be_endless_is_passed_over_no_further_than_a_record_goes() -> None:
    endless = b"\xe1\x41a" + b"\xff\xff\xff\xff" + b"\x20\x00" * 10_000
    with pytest.raises(InputError):
        Values(endless, 0, len(endless)).read(0, {"x": None})


def test_names_are_remembered_up_to_a_bound() -> None:
    """A file of nothing but different names may not fill the memory."""
    count = mmdb.NAMES + 100
    names = bytes(2048) + b"".join(b"\x44" + f"{n:04d}".encode() for n in range(count))
    maps = b"".join(b"\xe1\x28" + (n * 5).to_bytes(2, "big") + b"\xa0" for n in range(count))
    values = Values(names + maps, 0, len(names + maps))
    for n in range(count):
        assert values.read(len(names) + n * 5) == {f"{n:04d}": 0}
    assert len(values._names) == mmdb.NAMES


def test_a_value_may_not_reach_past_the_values() -> None:
    """What follows them in the file is the metadata, which is none of theirs."""
    with pytest.raises(InputError):
        Values(b"\x44abcd", 0, 4).read(0)
    with pytest.raises(InputError):
        Values(b"\x41a", 0, 2).read(2)


@pytest.mark.parametrize("mask", [0x01, 0x20, 0x41, 0xFF])
def test_damage_anywhere_gives_an_answer_or_an_error_and_never_more(mask: int) -> None:
    """MaxMind's C reader was seen to end the process at some of these."""
    whole = DEMO.read_bytes()
    refused = 0
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
                answer(known, ip)
            except InputError:
                refused += 1
    assert refused > 0


def test_a_number_that_is_none_stays_none(tmp_path: Path) -> None:
    path = database(tmp_path / "nan.mmdb", {"192.0.2.0/24": {"x": float("nan")}})
    assert math.isnan(answer(opened(path), "192.0.2.1")["x"])
