"""Who is told to come back, of more of them than are remembered."""

from __future__ import annotations

import pytest

from sentinel.edge.errors import ApiError
from sentinel.edge.limits import Buckets


def test_whoever_goes_on_sending_is_not_forgotten_for_the_many_who_come_after():
    buckets = Buckets(rate=1, size=10, most=2)
    buckets.spend("flood", 5, now=0)
    buckets.spend("other", 1, now=0)
    buckets.spend("flood", 5, now=0)
    buckets.spend("new", 1, now=0)
    assert "other" not in buckets
    with pytest.raises(ApiError, match="too many events"):
        buckets.ask("flood", now=0)
