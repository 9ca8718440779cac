"""Named lists and sets of networks."""

from __future__ import annotations

import ipaddress
import random

from hypothesis import given
from hypothesis import strategies as st

from sentinel.engine import lists
from sentinel.engine.lists import networks, parse_list


def test_a_list_has_one_value_a_line_and_comments():
    assert parse_list("# people\n a \n\nb # why\nc#d\n#e\n\tf\t#g\r\n").exact == {"a", "b", "c#d", "f"}


def test_networks_addresses_and_other_values_may_stand_in_one_list():
    found = parse_list("10.0.0.0/8\n192.0.2.1\n2001:DB8::/32\n/admin/8\nexample.com")
    assert found.holds("10.9.9.9") and found.holds("192.0.2.1") and found.holds("2001:db8::5")
    assert found.holds("/admin/8") and found.holds("example.com") and found.holds("10.0.0.0/8")
    assert found.holds("192.0.2.2") is False and found.holds("/admin/9") is False


def test_a_number_is_found_as_its_digits_however_long_an_id_it_is():
    found = parse_list("7\n1301234567890123456\n18446744073709551615")
    assert [found.holds(one) for one in (7, 7.0, 1301234567890123456, 2**64 - 1)] == [True] * 4
    assert [found.holds(one) for one in (7.5, 1.5e18, 10**400, True, None)] == [None] * 5
    assert found.holds(1301234567890123457) is False


def test_an_address_in_another_spelling_is_found():
    found = parse_list("2001:db8:0:0::1")
    assert found.holds("2001:db8::1") and found.holds("2001:DB8::1")


def test_a_network_with_bits_behind_its_prefix_is_the_network():
    assert parse_list("10.1.2.3/8").holds("10.9.9.9")


def test_lists_of_the_same_values_are_equal():
    assert parse_list("a\n10.0.0.0/8") == parse_list("10.0.0.0/8\n# x\na")


ADDRESSES = st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address) | st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address)


@st.composite
def nearby(draw: st.DrawFn) -> tuple[list[ipaddress.IPv4Network | ipaddress.IPv6Network], str]:
    """Return networks, and an address that often lies in one."""
    addresses = draw(st.lists(ADDRESSES, min_size=1, max_size=5))
    found = [
        ipaddress.ip_network(f"{address}/{draw(st.integers(0, address.max_prefixlen))}", strict=False)
        for address in addresses
    ]
    network = draw(st.sampled_from(found))
    inside = network[draw(st.integers(0, network.num_addresses - 1))]
    return found, str(draw(st.sampled_from([inside]) | ADDRESSES))


@given(nearby())
def test_a_set_of_networks_holds_what_a_scan_of_them_finds(drawn):
    found, ip = drawn
    address = ipaddress.ip_address(ip)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    found = [network for network in found if not str(network).startswith("::ffff:")]
    expected = any(network.version == address.version and address in network for network in found)
    assert networks(found).holds(ip) is expected


def test_long_texts_are_no_addresses_and_are_not_kept():
    before = lists._number.cache_info().currsize
    assert networks([ipaddress.ip_network("::/0")]).holds("1" * 65) is None
    assert lists._number.cache_info().currsize == before


def test_many_networks_cost_one_look_up_a_prefix_length():
    dice = random.Random(1)
    found = [ipaddress.ip_network((dice.getrandbits(32) >> 8 << 8, 24)) for _ in range(10_000)]
    assert len(networks(found).prefixes) == 1
