"""Addresses: one spelling for each, the networks they are grouped by, and which nobody may act on."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core import address
from sentinel.core.address import group, is_untouchable, network_of, normalise, site

FOUR = st.ip_addresses(v=4).map(str)
SIX = st.ip_addresses(v=6).filter(lambda ip: ip.ipv4_mapped is None and int(ip) >> 32 != 0x64FF9B << 64).map(str)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("203.0.113.9", "203.0.113.9"),
        (" 203.0.113.9\n", "203.0.113.9"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("2001:db8::1%eth0", "2001:db8::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("::FFFF:cb00:7109", "203.0.113.9"),
        ("::ffff:203.0.113.9%lo", "203.0.113.9"),
        ("64:ff9b::cb00:7109", "203.0.113.9"),
        ("64:ff9b::203.0.113.9%lo", "203.0.113.9"),
        ("64:ff9b::10.0.0.1", "64:ff9b::a00:1"),
        ("64:ff9b::1:cb00:7109", "64:ff9b::1:cb00:7109"),
        ("64:ff9b:1::203.0.113.9", "64:ff9b:1::cb00:7109"),
        ("::1", "::1"),
        ("::", "::"),
        ("::203.0.113.9", "::cb00:7109"),
    ],
)
def test_an_address_has_one_spelling(text, canonical):
    assert normalise(text) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "", "localhost", "203.0.113", "203.0.113.256", "203.0.113.09", "203.0.113.9:80", "[2001:db8::1]", "1", "0x7f.1",
        "203.0.113.9/32", "2001:db8::/64", "2001:db8:::1", "٢٠٣.٠.١١٣.٩", "203.0.113.9, 10.0.0.1", "1" * 65,
        " " * 64 + "203.0.113.9",
    ],
)  # fmt: skip
def test_what_is_no_address_is_none(text):
    assert normalise(text) is None


def test_however_many_addresses_come_so_many_are_remembered(monkeypatch):
    monkeypatch.setattr(address, "_known", {})
    monkeypatch.setattr(address, "KNOWN", 10)
    for n in range(100):
        assert normalise(f"192.0.2.{n}") == normalise(f"::ffff:192.0.2.{n}") == f"192.0.2.{n}"
        assert normalise(f"nobody {n}") is None
    assert len(address._known) == 10


@given(FOUR | SIX)
def test_a_canonical_address_is_its_own_spelling(ip):
    assert normalise(ip) == ip
    assert normalise(ipaddress.ip_address(ip).exploded) == ip


@given(FOUR)
def test_mapped_into_ipv6_an_address_stays_itself(ip):
    assert normalise(f"::ffff:{ip}") == ip


@given(FOUR)
def test_ipv4_is_grouped_by_itself(ip):
    assert group(ip) == network_of(ip, 48) == ip


@given(SIX)
def test_ipv6_is_grouped_by_its_64_and_the_group_by_itself(ip):
    network = group(ip)
    assert ipaddress.ip_address(ip) in ipaddress.ip_network(network)
    assert network.endswith("/64")
    assert group(network) == network


@given(FOUR | SIX)
def test_the_network_of_neighbours_is_the_24_or_the_48_and_its_own_text(ip):
    network = ipaddress.ip_network(site(ip))
    assert ipaddress.ip_address(ip) in network
    assert network.prefixlen == (24 if network.version == 4 else 48)
    assert site(str(network.broadcast_address)) == site(str(network.network_address)) == str(network) == site(ip)


@pytest.mark.parametrize("text", ["", "x", "203.0.113", "203.0.113.0/24", "2001:db8::/48", ":", "\ud800"])
def test_what_is_no_address_has_no_neighbours(text):
    assert site(text) is None


@given(SIX, st.integers(0, 2**64 - 1), st.integers(32, 64))
def test_addresses_of_one_network_share_their_group(ip, host, prefix):
    first = int(ipaddress.ip_address(ip)) >> 64 << 64
    other = str(ipaddress.ip_address(first | host))
    if ":" in other:
        assert network_of(other, prefix) == network_of(str(ipaddress.ip_address(first | 1 << 63)), prefix)


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.127.255.255", "127.0.0.1",
        "127.255.255.254", "169.254.169.254", "0.0.0.0", "0.1.2.3", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::",
        "::1", "fc00::1", "fd12:3456::1", "fe80::1", "febf::1", "ff02::1", "fd00::/64", "fe80::/64",
        "::/64",  # holds ::1
    ],
)  # fmt: skip
def test_private_and_local_addresses_are_nobody_s_to_block(text):
    assert is_untouchable(text)


@pytest.mark.parametrize(
    "text",
    [
        "203.0.113.9", "198.51.100.1", "192.0.2.1", "2001:db8::1", "2001:db8::/64", "198.18.0.1", "8.8.8.8",
        "9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0",
        "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255", "223.255.255.255",
        "fbff::1", "fec0::1", "2606:4700::/64",
    ],
)  # fmt: skip
def test_public_and_documentation_addresses_are_ordinary(text):
    assert not is_untouchable(text)
