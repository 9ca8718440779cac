"""URLs of databases and caches: a password is read as it was meant, or refused, and no piece of one is ever told."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel import settings
from sentinel.core import dsn
from sentinel.core.errors import SentinelError
from tests.passwords import SPELLINGS, passwords, pieces


@given(st.text(min_size=1).filter(lambda text: text.isprintable()), st.text(min_size=1))
def test_what_is_written_in_codes_is_read_as_it_was_meant(password, user):
    found = dsn.read(f"redis://{quote(user, safe='')}:{quote(password, safe='')}@cache:6379/3?replicas=1", "windows")
    assert found == ("redis", user, password, (("cache", 6379),), "/3", "replicas=1")


@given(st.text("abc123#[]!$&'()*+,;=:|{}^~ äß℀", min_size=1))
def test_most_characters_need_no_codes(password):
    assert dsn.read(f"redis://:{password}@cache", "windows").password == password


@given(passwords(), st.sampled_from(SPELLINGS))
def test_no_error_repeats_a_piece_of_a_password(password, spelling):
    url = spelling.format(scheme="redis", password=password)
    try:
        found = dsn.read(url, "windows")
    except SentinelError as error:
        said = str(error)
    else:
        said = " ".join(place.host for place in found.places)  # which is told, where it cannot be reached
    assert not any(piece in said for piece in pieces(password))


NAMES = ("windows", "database", "public_url", "seismo_identity", "network_lists", "channels")


@given(passwords(), st.sampled_from(SPELLINGS), st.sampled_from(NAMES))
def test_no_setting_that_cannot_be_read_repeats_a_piece_of_a_password(password, spelling, name):
    try:
        settings.read({name: spelling.format(scheme="redis", password=password)}, {})
    except SentinelError as error:
        assert not any(piece in str(error) for piece in pieces(password))


@pytest.mark.parametrize(
    ("url", "places"),
    [
        ("redis://cache", [("cache", None)]),
        ("redis+cluster://[2001:db8::1]:7000,cache_2.example:7001", [("2001:db8::1", 7000), ("cache_2.example", 7001)]),
        ("unix:///run/valkey.sock", []),
        ("postgresql://%2Frun%2Fpostgresql/shop", [("/run/postgresql", None)]),
    ],
)
def test_hosts_are_names_addresses_and_sockets(url, places):
    assert list(dsn.read(url, "windows").places) == places


@pytest.mark.parametrize(
    "place", [":6379", "cache:", "cache:0", "cache:65536", "cache:x", "a b", "[::1", "cache,", "é"]
)
def test_what_is_no_host_and_port_is_refused_without_being_repeated(place):
    with pytest.raises(SentinelError) as caught:
        dsn.read(f"redis://:hidden@{place}", "windows")
    assert str(caught.value).startswith("`windows`: the URL has no proper host and port")


def test_a_password_before_no_host_is_not_taken_for_a_port():
    with pytest.raises(SentinelError) as caught:
        dsn.read("redis://someone:hidden:6379/0", "windows")
    assert "hidden" not in str(caught.value)
