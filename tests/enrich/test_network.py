"""Kinds of networks: the private ones, and those on the operator's lists."""

from __future__ import annotations

import ipaddress
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.errors import InputError
from sentinel.enrich import network
from sentinel.enrich.network import KINDS, NetworkLists, read
from tests.enrich.making import touched

SIX = st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address)
FOUR = st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address)


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return touched(path)


@pytest.mark.parametrize(
    ("ip", "kind"),
    [
        ("10.1.2.3", "private"), ("172.31.255.255", "private"), ("192.168.0.1", "private"), ("fd00::1", "private"),
        ("100.64.0.1", "shared"), ("127.0.0.1", "loopback"), ("::1", "loopback"), ("169.254.169.254", "link-local"),
        ("fe80::1", "link-local"), ("224.0.0.1", "multicast"), ("ff02::1", "multicast"), ("0.0.0.0", "reserved"),
        ("255.255.255.255", "reserved"), ("::", "reserved"),
    ],
)  # fmt: skip
def test_an_address_nobody_outside_can_have_is_private(ip: str, kind: str) -> None:
    assert NetworkLists().of(ip) == {"private": True, "kind": kind}


@pytest.mark.parametrize("ip", ["192.0.2.1", "8.8.8.8", "172.32.0.0", "2001:db8::1", "2606:4700::1111"])
def test_every_other_address_is_public_documentation_networks_too(ip: str) -> None:
    assert NetworkLists().of(ip) == {"private": False, "kind": "public"}


def test_a_flag_without_a_list_is_unknown_and_with_one_it_is_no(tmp_path: Path) -> None:
    """So that `not network.hosting` never fires where nobody knows what hosting is."""
    hosting = written(tmp_path / "hosting", "192.0.2.0/25\n")
    found = NetworkLists({"hosting": [hosting]})
    assert found.of("192.0.2.1") == {"private": False, "kind": "hosting", "hosting": True}
    assert found.of("192.0.2.200") == {"private": False, "kind": "public", "hosting": False}


def test_every_anonymiser_is_anonymous_and_the_first_kind_names_it(tmp_path: Path) -> None:
    tor, hosting = written(tmp_path / "tor", "192.0.2.1\n"), written(tmp_path / "hosting", "192.0.2.0/24\n")
    found = NetworkLists({"hosting": [hosting], "tor": [tor]})
    assert found.of("192.0.2.1") == {"private": False, "kind": "tor", "hosting": True, "anonymous": True}
    assert found.of("192.0.2.2") == {"private": False, "kind": "hosting", "hosting": True, "anonymous": False}


def test_several_lists_of_a_kind_are_one(tmp_path: Path) -> None:
    lists = [written(tmp_path / str(n), f"192.0.2.{n}\n") for n in range(2)]
    found = NetworkLists({"vpn": lists})
    assert [found.of(f"192.0.2.{n}")["anonymous"] for n in range(3)] == [True, True, False]


def test_a_list_takes_comments_blank_lines_and_host_bits(tmp_path: Path) -> None:
    path = written(
        tmp_path / "list", "# hosters\n\n192.0.2.9/24 ; Example\r\n2001:db8::/32   # another\n::ffff:203.0.113.9\n"
    )
    found = read(path)
    assert [found.holds(ip) for ip in ("192.0.2.200", "2001:db8::1", "203.0.113.9", "198.51.100.1")] == [
        True, True, True, False,
    ]  # fmt: skip


def test_a_list_may_begin_with_the_mark_that_some_editors_write(tmp_path: Path) -> None:
    assert read(written(tmp_path / "list", "\ufeff192.0.2.1\n192.0.2.2\n")).holds("192.0.2.1")


def test_the_widest_network_of_a_list_is_a_block_of_eight_bits(tmp_path: Path) -> None:
    assert read(written(tmp_path / "list", "11.0.0.0/8\n")).holds("11.255.0.1")


@pytest.mark.parametrize(
    "line",
    ["<html>", "192.0.2.0/33", "0.0.0.0/0", "10.0.0.0/7", "::/0", "::ffff:0:0/96", "64:ff9b::/96", "192.0.2", "a b"],
)
def test_a_line_that_is_no_network_is_named_and_the_list_refused(tmp_path: Path, line: str) -> None:
    path = written(tmp_path / "list", f"192.0.2.0/24\n{line}\n")
    with pytest.raises(InputError, match="line 2: `"):
        read(path)


def test_a_page_in_place_of_a_list_is_one_short_message(tmp_path: Path) -> None:
    path = written(tmp_path / "list", "<html>\n" * 500 + "\n" * 9)
    with pytest.raises(InputError) as caught:
        read(path)
    assert "line 1: `<html>`, line 2: `<html>`, line 3: `<html>` and 497 more: no network" in str(caught.value)


def test_a_list_has_so_many_lines_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "LONGEST", 1000)
    assert read(written(tmp_path / "list", "192.0.2.1\n" * 1000)).holds("192.0.2.1")
    with pytest.raises(InputError, match="more than 1,000 lines"):
        read(written(tmp_path / "list", "192.0.2.1\n" * 1001))


def test_a_list_has_so_many_bytes_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "LARGEST", 1 << 20)
    path = written(tmp_path / "list", "192.0.2.1" + " " * ((1 << 20) - 9))
    assert read(path).holds("192.0.2.1")
    with pytest.raises(InputError, match="larger than 1 MiB"):
        read(written(path, path.read_text() + " "))


@pytest.mark.parametrize("line", ["192.0.2.1", "nonsense", "#"])
def test_a_list_takes_little_more_memory_than_its_networks(tmp_path: Path, line: str) -> None:
    """Whoever it is from may send megabytes of short lines, of which gigabytes could be made."""
    path = written(tmp_path / "list", f"{line}\n" * 50_000)
    tracemalloc.start()
    try:
        with suppress(InputError):
            read(path)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 500_000


def test_a_spoilt_list_does_not_replace_a_good_one(tmp_path: Path) -> None:
    path = written(tmp_path / "tor", "192.0.2.1\n")
    found = NetworkLists({"tor": [path]})
    assert found.of("192.0.2.1")["anonymous"]
    written(path, "<html>busy</html>\n")
    assert not found.refresh()
    assert found.of("192.0.2.1")["anonymous"]
    assert "what was read before stays in use" in found.problems()[0]
    written(path, "192.0.2.2\n")
    assert found.refresh()
    assert (found.of("192.0.2.1")["anonymous"], found.of("192.0.2.2")["anonymous"]) == (False, True)
    assert found.problems() == []


def test_a_list_that_is_not_there_leaves_its_flag_unknown(tmp_path: Path) -> None:
    found = NetworkLists({"tor": [tmp_path / "none"]})
    assert found.of("192.0.2.1") == {"private": False, "kind": "public"}
    assert found.problems() == [
        f"list of tor networks `{tmp_path / 'none'}`: there is no such file (nothing is known from it)"
    ]


def test_a_kind_nobody_knows_is_an_error_at_once() -> None:
    with pytest.raises(InputError, match="`hostnig` is not a kind"):
        NetworkLists({"hostnig": []})


def test_descriptions_are_shared_however_many_addresses_ask() -> None:
    lists = NetworkLists()
    assert lists.of("192.0.2.1") is lists.of("198.51.100.1")


@given(st.lists(st.tuples(FOUR | SIX, st.integers(0, 20)), max_size=12), st.lists(FOUR | SIX, max_size=12))
def test_a_list_says_what_a_full_scan_says(tmp_path_factory, rows, others) -> None:
    """Asked of addresses in and just outside each network, and of any others."""
    found = [ipaddress.ip_network((ip, ip.max_prefixlen - free), strict=False) for ip, free in rows]
    found = [
        network for network in found if not (network.version == 6 and int(network.network_address) >> 32 == 0xFFFF)
    ]
    path = written(tmp_path_factory.getbasetemp() / "scanned", "".join(f"{network}\n" for network in found))
    known = read(path)
    edges = [network[n] for network in found for n in (0, -1)]
    edges += [edge + 1 for edge in edges if int(edge) + 1 < 2**edge.max_prefixlen]
    for ip in (*edges, *others):
        if ip.version == 4 or ip.ipv4_mapped is None:
            assert known.holds(str(ip)) == any(ip in network for network in found)


def test_every_kind_sets_a_flag_that_expressions_know() -> None:
    from sentinel.engine.fields import FIELDS

    assert {f"network.{flag}" for flag in KINDS.values()} <= set(FIELDS)
