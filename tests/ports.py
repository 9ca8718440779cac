"""Ports of loopback for programs that must be told one: no other program is given them while the tests run."""

from __future__ import annotations

import socket

_kept: list[socket.socket] = []


def free_port(*more: int, below: int = 65_536) -> int:
    """Return a port nobody listens at; so are those `more` above it.

    It stays bound here without listening, so that the system gives it to nobody who asks for any; a server that may
    reuse addresses, as all do, can listen at it, time and again.
    """
    while True:
        bound = [_bound(0)]
        port = int(bound[0].getsockname()[1])
        try:
            bound += [_bound(port + step) for step in more] if port < below else []
        except OSError:
            continue
        if port < below:
            _kept.extend(bound)
            return port


def _bound(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(("127.0.0.1", port))
    except BaseException:
        made.close()
        raise
    return made
