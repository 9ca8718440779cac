"""Events as rows: every attribute has its place, and hashes stay what they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.event import Event
from sentinel.core.record import KeptEvent
from sentinel.store import rows
from sentinel.store.embedded.columns import columns, of_rows, together

FULL = {
    "id": "e", "name": "auth", "at": 1_000, "sent": 5_000, "received": 2_000, "success": True, "user": "id:1",
    "identifiers": {"id": "1"}, "ip": "2001:db8::1", "device": "d", "trust": "browser", "clamped": True,
    "historical": True, "ipv6": 56, "user_labels": ("a",), "ip_labels": ("b", "c"), "properties": {"x": 1},
    "request": {
        "method": "GET", "path": "/", "route": "/{x}", "host": "h", "status": 200, "user_agent": "u", "referer": "r",
        "params": {"q": ["1"]},
    },
    "geo": {"country": "DE", "city": "B", "lat": 5.0, "lon": -1.5, "asn": 2**63 - 1, "org": "o"},
    "network": {"private": True, "kind": "hosting", "hosting": True, "anonymous": False},
    "agent": {"browser": "f", "os": "l", "device": "x", "bot": False},
}  # fmt: skip


def full(**changed) -> Event:
    event = Event()
    vars(event).update(FULL | changed)
    return event


def again(event: Event) -> Event:
    row = rows.write("shop", KeptEvent(event, 7), (), rows.EMPTY_SLOTS)
    assert len(row) == len(rows.COLUMNS)
    columns = dict(zip(rows.COLUMNS, row, strict=True))
    kept = rows.read([columns[name] for name in rows.READ])
    assert kept.position == 7
    return kept.event


def test_every_attribute_of_an_event_has_its_place():
    assert set(FULL) == set(Event.__annotations__), "a new attribute needs a column, or a place in `more`"
    assert vars(again(full())) == FULL


@pytest.mark.parametrize("part", ["request", "geo", "network", "agent"])
def test_what_fits_no_column_is_not_lost(part):
    odd = {key: [value] for key, value in FULL[part].items()} | {"unknown": 1}
    assert getattr(again(full(**{part: odd})), part) == odd
    mixed = FULL[part] | {"unknown": 1}
    assert getattr(again(full(**{part: mixed})), part) == mixed


def test_a_whole_number_beyond_64_bits_is_not_lost():
    for name, key in (("request", "status"), ("geo", "asn")):
        for number in (2**63, -(2**63) - 1, 10**30):
            assert getattr(again(full(**{name: {key: number}})), name) == {key: number}


def test_many_values_are_the_same_json_as_each_of_them():
    values = [{}, {"a": "x\ny\u2028\x85\r"}, None, {"é": [10**30, 0.5]}, ("\U0001f600",), ()]
    for many in (values, [*values, {"half": "\ud800"}], [{}, None], []):
        assert rows.jsons(many) == [rows.json(value) for value in many]


def test_hashes_are_the_same_for_ever():
    """They lie in files: another function would find nobody."""
    assert rows.hash_of("id:1") == 3231700065826784209
    assert rows.hash_of("203.0.113.9") == 6818049255702802242


def test_addresses_are_numbers_by_version():
    assert rows.numbers_of("203.0.113.9") == (0xCB007109, None)
    assert rows.numbers_of("2001:db8::1") == (None, 0x20010DB800000000)


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.just(2**63), st.floats(allow_nan=False), st.text(max_size=2),
    st.just({}), st.just({"q": ["1", "\n"]}),
)  # fmt: skip
PART = st.dictionaries(st.sampled_from(["country", "asn", "kind", "private", "method", "status", "params", "odd"]), ODD)
SOME = st.lists(
    st.fixed_dictionaries(
        {"id": st.text(max_size=3), "at": st.integers(0, 9), "name": st.just("n")},
        optional={
            "sent": st.integers(0, 9), "success": st.booleans(), "user": st.sampled_from(["id:1", "id:2"]),
            "ip": st.sampled_from(["203.0.113.9", "2001:db8::1"]), "ipv6": st.sampled_from([56, 64]),
            "identifiers": st.just({"id": "1"}), "properties": st.dictionaries(st.text(max_size=2), st.integers(0, 3)),
            "user_labels": st.just(("a",)), "device": st.sampled_from(["", "d"]), "trust": st.just("browser"),
            **dict.fromkeys(("request", "geo", "network", "agent"), PART),
        },
    ),
    max_size=6,
)  # fmt: skip


@given(SOME, st.lists(st.sampled_from(["x", "y", None]), min_size=6, max_size=6))
def test_columns_say_what_rows_say(some, slots):
    events = [Event() for _ in some]
    for event, plain in zip(events, some, strict=True):
        vars(event).update(plain)
    places = range(3, 3 + len(events))
    learnt = [(["p"] if slot == "x" else [], (slot, *rows.EMPTY_SLOTS[1:])) for slot in slots[: len(events)]]
    wanted = [rows.write("shop", one, *of) for one, of in zip(map(KeptEvent, events, places), learnt, strict=True)]
    table = (len(events), columns("shop", events, places, learnt))
    for tables in ([table], [of_rows(wanted)], [of_rows(wanted)] * 2, [table, of_rows(wanted)]):
        found = {name: values.tolist() for name, values in together(tables).items()}
        size = len(wanted) * len(tables)
        as_rows = zip(*(found.get(name, [None] * size) for name in rows.COLUMNS), strict=True)
        assert list(as_rows) == wanted * len(tables)
