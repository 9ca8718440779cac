"""Whose connection a request came by, for those who take it as a sign."""

from __future__ import annotations

import ipaddress

import pytest

from sentinel.core.proxies import Proxies
from sentinel.edge.door import Door
from sentinel.edge.wire import Headers

PROXY = Proxies((ipaddress.ip_network("10.0.0.0/8"),))


@pytest.mark.parametrize(
    ("client", "headers", "found"),
    [
        (("192.0.2.1", 4000), [], ("192.0.2.1", 4000)),
        (("::ffff:192.0.2.1", 4000), [], ("192.0.2.1", 4000)),
        (("10.0.0.1", 4000), [], None),
        (("10.0.0.1", 4000), [(b"x-forwarded-for", b"192.0.2.1")], None),
        (("192.0.2.1", 4000), [(b"x-forwarded-for", b"")], None),
        (("192.0.2.1", 4000), [(b"forwarded", b"for=unknown")], None),
        (("192.0.2.1", 4000), [(b"via", b"1.1 edge")], None),
        (("192.0.2.1", 4000), [(b"x-real-ip", b"192.0.2.9")], None),
        (("", 0), [], None),
        (None, [], None),
    ],
)
def test_a_connection_is_the_clients_own_only_where_no_proxy_may_stand_between(client, headers, found):
    door = Door(*[None] * 7, proxies=PROXY)
    assert door.connection({"client": client}, Headers(headers)) == found
