"""Which URLs and addresses are never asked, however they are spelled."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.actions.target import PRIVATE, Reach, TargetError, parse
from sentinel.core.errors import InputError

# Spellings that lead to the machine itself or its neighbours in one program or another. Either the URL is refused, or
# it is read as an address, and that is refused.
SPELLINGS = """
http://127.0.0.1/ http://127.0.0.1:80/ http://127.1/ http://127.0.1/ http://2130706433/ http://0x7f000001/
http://0x7f.0.0.1/ http://0x7f.1/ http://0177.0.0.1/ http://0177.1/ http://017700000001/ http://127.0.0.01/
http://127.0.0.1./ http://127.000.000.001/ http://0/ http://0.0.0.0/ http://0x0/ http://00/ http://127.255.255.254/
http://4294967295/ http://255.255.255.255/ http://10.0.0.1/ http://10.1/ http://172.16.0.1/ http://172.31.255.255/
http://192.168.0.1/ http://192.168.1/ http://3232235777/ http://0xc0a80101/ http://100.64.0.1/ http://169.254.169.254/
http://169.254.43518/ http://2852039166/ http://0xa9fea9fe/ http://0251.0376.0251.0376/ http://192.0.0.1/
http://198.18.0.1/ http://224.0.0.1/ http://239.255.255.255/ http://240.0.0.1/ http://168.63.129.16/
http://192.0.2.1/ http://198.51.100.1/ http://203.0.113.1/ http://192.88.99.1/ http://100.100.100.200/
http://[::1]/ http://[0:0:0:0:0:0:0:1]/ http://[::]/ http://[::ffff:127.0.0.1]/ http://[::ffff:7f00:1]/
http://[::ffff:a9fe:a9fe]/ http://[0:0:0:0:0:ffff:10.0.0.1]/ http://[::127.0.0.1]/ http://[::7f00:1]/
http://[64:ff9b::127.0.0.1]/ http://[64:ff9b::7f00:1]/ http://[64:ff9b:1::10.0.0.1]/ http://[2002:7f00:1::]/
http://[2002:a9fe:a9fe::1]/ http://[2002:c0a8:101::]/ http://[::ffff:0:127.0.0.1]/ http://[2001:0:7f00:1::]/
http://[fe80::1]/ http://[fe80::1%25eth0]/ http://[fe80::1%eth0]/ http://[fec0::1]/ http://[fc00::1]/ http://[fd00::1]/
http://[fd00:ec2::254]/ http://[ff02::1]/ http://[2001:db8::1]/ http://[3fff::1]/ http://[100::1]/ http://[4000::1]/
http://[::1 http://::1/ http://[::1]x/ http://[1]/ http://[127.0.0.1]/ http://[v1.x]/
http://user@127.0.0.1/ http://user:pw@hooks.example/ http://hooks.example@127.0.0.1/ http://127.0.0.1#@hooks.example/
http://hooks.example#@127.0.0.1/ http://127.0.0.1\\@hooks.example/ http://hooks.example\\@127.0.0.1/
http:\\\\127.0.0.1/ http:/127.0.0.1/ http:127.0.0.1 //127.0.0.1/ /127.0.0.1 127.0.0.1 localhost
http://１２７.0.0.1/ http://127。0。0。1/ http://①②⑦.0.0.1/ http://ⓔxample.com/ http://%31%32%37.0.0.1/
http://127.0.0.1%00.hooks.example/ http://127.0.0.1%2f@hooks.example/ http://hooks.example:80:80/ http://hooks.example:/x:@y
http:///127.0.0.1/ http:// http://. http://../ http://-a.example/ http://a..example/ http://.example/ http://example./
http://a_.-/ http://1.2.3.4.5/ http://256.1.1.1/ http://1.2.3/ http://example.0x1/ http://example.123/ http://0x/
ftp://127.0.0.1/ file:///etc/passwd gopher://127.0.0.1:11211/ data:text/plain,x javascript:alert(1) unix:///x dict://h/
http+unix://%2Frun/x https:// HTTPS:/x ://hooks.example/ http://hooks.example:0/ http://hooks.example:65536/
http://hooks.example:99999/ http://hooks.example:-1/ http://hooks.example:8a/ http://{host}/ http://*/ http://a,b/
""".split()  # noqa: SIM905 - a table is easier to read than a hundred quoted texts
SPELLINGS += ["", " ", "http://hooks.example/ x", " http://hooks.example/", "http://hooks.example/\n", "http://a\tb/",
              "http://hooks.example\r\nHost: x/", "http://hooks.example/\x00", "http://h/" + "x" * 2048,
              "http://" + "a" * 64 + ".example/", "http://" + "a." * 130 + "example/"]  # fmt: skip


def refused(url: str, reach: Reach) -> bool:
    try:
        target = parse(url)
    except TargetError:
        return True
    return target.literal is not None and reach.refusal(target.literal) is not None


def test_the_table_of_spellings_is_a_large_one() -> None:
    assert len(set(SPELLINGS)) == len(SPELLINGS) >= 40


@pytest.mark.parametrize("url", SPELLINGS)
def test_no_spelling_leads_inside(url: str) -> None:
    assert refused(url, Reach())


@pytest.mark.parametrize("url", [None, 7, b"http://hooks.example/", ["http://hooks.example/"]])
def test_what_is_no_text_is_no_url(url: object) -> None:
    with pytest.raises(TargetError):
        parse(url)


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port", "path", "authority"),
    [
        ("https://hooks.example/a/b?c=d", "https", "hooks.example", 443, "/a/b?c=d", "hooks.example"),
        ("HTTPS://Hooks.EXAMPLE:443", "https", "hooks.example", 443, "/", "hooks.example"),
        ("http://hooks.example:8080?x=y", "http", "hooks.example", 8080, "/?x=y", "hooks.example:8080"),
        ("http://localhost:3000/", "http", "localhost", 3000, "/", "localhost:3000"),
        ("http://8.8.8.8/", "http", "8.8.8.8", 80, "/", "8.8.8.8"),
        ("http://[2606:4700:0:0::1111]:81/", "http", "2606:4700::1111", 81, "/", "[2606:4700::1111]:81"),
        ("https://xn--bcher-kva.example/%7Euser/@x", "https", "xn--bcher-kva.example", 443, "/%7Euser/@x",
         "xn--bcher-kva.example"),
        ("https://my_host-1.example/", "https", "my_host-1.example", 443, "/", "my_host-1.example"),
    ],
)  # fmt: skip
def test_an_ordinary_url_is_read(url: str, scheme: str, host: str, port: int, path: str, authority: str) -> None:
    target = parse(url)
    assert (target.scheme, target.host, target.port, target.path) == (scheme, host, port, path)
    assert target.authority == authority


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://hooks.example/", "does not begin with `http://` or `https://`"),
        ("https://user:hunter2@hooks.example/hunter2", "holds credentials"),
        ("https://hooks.example/hunter2#x", "has a fragment"),
        ("https://2130706433/hunter2", "`2130706433` is an unusual spelling of an address"),
        ("https://bücher.example/hunter2", "write international names as `xn--…`"),
        ("https:///hunter2", "no proper host"),
        ("https://hooks.example:0/hunter2", "`0` is no port"),
    ],
)
def test_the_message_says_what_is_wrong_and_no_secret(url: str, message: str) -> None:
    with pytest.raises(TargetError) as caught:
        parse(url)
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)


@given(st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address) | st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address))
def test_what_python_knows_not_to_be_public_is_refused(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert Reach().refusal(address) is not None


@given(st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address))
def test_an_ipv4_address_hidden_in_ipv6_is_never_asked(inner: ipaddress.IPv4Address) -> None:
    for prefix, behind in ((0xFFFF << 32, 0), (0x64FF9B << 96, 0), (0x2002 << 112, 80), (0xFFFF << 48, 0)):
        hidden = ipaddress.IPv6Address(prefix | int(inner) << behind)
        assert Reach().refusal(hidden) is not None


@pytest.mark.parametrize("text", ["8.8.8.8", "1.1.1.1", "100.63.255.255", "172.32.0.1", "2606:4700::1111", "2a00::1"])
def test_public_addresses_are_asked(text: str) -> None:
    assert Reach().refusal(ipaddress.ip_address(text)) is None


def test_what_the_operator_allows_is_asked_and_its_neighbours_are_not() -> None:
    reach = Reach(["10.1.0.0/16", "127.0.0.1/32", "fd12::/16"])
    asked = [text for text in ("10.1.2.3", "127.0.0.1", "fd12::9", "10.2.0.1", "127.0.0.2", "fd13::1", "::1")
             if reach.refusal(ipaddress.ip_address(text)) is None]  # fmt: skip
    assert asked == ["10.1.2.3", "127.0.0.1", "fd12::9"]


def test_a_form_of_ipv6_needs_itself_allowed_and_what_it_stands_for() -> None:
    mapped, private = ipaddress.ip_address("64:ff9b::808:808"), ipaddress.ip_address("64:ff9b::7f00:1")
    assert Reach(["127.0.0.0/8"]).refusal(private) == "NAT64 form of 127.0.0.1"
    reach = Reach(["64:ff9b::/96"])
    assert reach.refusal(mapped) is None
    assert reach.refusal(private) == "loopback"
    assert Reach(["64:ff9b::/96", "127.0.0.0/8"]).refusal(private) is None


@pytest.mark.parametrize(
    "text", ["169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"]
)
def test_where_clouds_keep_credentials_is_never_asked_whatever_is_allowed(text: str) -> None:
    reach = Reach([*PRIVATE, "0.0.0.0/0", "::/0"])
    assert reach.refusal(ipaddress.ip_address(text)) == "a cloud platform's own"
    assert reach.refusal(ipaddress.ip_address("10.0.0.1")) is None


HIDING = ["::ffff:{}", "::ffff:0:{}", "64:ff9b::{}", "64:ff9b:1::{}", "::{}", "2002:a9fe:a9fe::"]


@pytest.mark.parametrize("form", HIDING)
def test_nor_is_it_asked_in_ipv6_whatever_is_allowed(form: str) -> None:
    reach = Reach([*PRIVATE, "0.0.0.0/0", "::/0"])
    assert reach.refusal(ipaddress.ip_address(form.format("169.254.169.254"))) == "a cloud platform's own"


@pytest.mark.parametrize("text", ["", "10.0.0.1/8", "private", "10.0.0.0/40", "localhost"])
def test_an_allowance_that_is_no_network_is_an_error(text: str) -> None:
    with pytest.raises(InputError, match="is not a network"):
        Reach([text])
