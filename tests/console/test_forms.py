"""How forms are read: bounded, and long ones beside the loop, for anybody may send them."""

from __future__ import annotations

import asyncio
import threading

import pytest
from starlette.requests import Request

from sentinel.console import forms
from sentinel.core.errors import SentinelError


def request(data: bytes) -> Request:
    async def receive():
        return {"type": "http.request", "body": data, "more_body": False}

    head = [(b"content-type", b"application/x-www-form-urlencoded")]
    return Request({"type": "http", "headers": head}, receive)


def read(data: bytes) -> forms.Form:
    return asyncio.run(forms.form(request(data)))


def test_a_long_form_does_not_hold_up_the_loop(monkeypatch):
    """Four megabytes of escapes take half a second."""
    loops, whole = [], forms._read
    monkeypatch.setattr(
        forms, "_read", lambda data: loops.append(threading.current_thread() is threading.main_thread()) or whole(data)
    )
    for size in (forms.AT_ONCE - 5, forms.AT_ONCE):
        assert read(b"text=" + b"x" * size).raw("text") == "x" * size
    assert loops == [True, False]


def test_only_so_many_long_forms_are_read_at_once(monkeypatch):
    """Each may become eighty times as large in memory."""
    at_work, most, full = set(), [], threading.Barrier(2)

    def slow(data):
        at_work.add(threading.get_ident())
        most.append(len(at_work))
        full.wait(60)
        at_work.discard(threading.get_ident())
        return forms.Form()

    async def read_many():
        await asyncio.gather(*(forms.form(request(b"x" * (forms.AT_ONCE + 1))) for _ in range(6)))

    monkeypatch.setattr(forms, "_read", slow)
    asyncio.run(read_many())
    assert max(most) == 2 and len(most) == 6


@pytest.mark.parametrize("size", [1, forms.AT_ONCE])
def test_a_form_that_cannot_be_read_is_refused_however_long(size):
    for data in (b"a=\xff" + b"x" * size, b"a&" * 300 + b"x" * size):
        with pytest.raises(SentinelError, match="the form cannot be read"):
            read(data)
