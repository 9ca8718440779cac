"""Addresses of the console that nobody meant: each is answered as a page that says what is wrong, none by a fault."""

from __future__ import annotations

from urllib.parse import quote

import pytest

ODD = (
    "", "\x00", "\x1b[31m", "\u202e", "\U0001f600", "'; DROP", "%", "9" * 30, "9" * 400, "-1", "a" * 511, "nan",
    "../..", "[", "::1/1", "0/0",
)  # fmt: skip
PLACES = (
    "/people/{}", "/people/find?key={}", "/people?begins={}", "/people?cursor={}", "/people?sort=findings&begins={}",
    "/addresses/{}", "/addresses/find?ip={}", "/explorer?q={}", "/explorer?facet={}", "/explorer?cursor={}",
    "/explorer?user={}", "/explorer?ip={}", "/explorer?event={}", "/explorer?at={}", "/explorer?range=between&from={}",
    "/explorer?range=between&to={}", "/explorer/events/x{}", "/explorer/events/x?at={}", "/explorer/export?q={}",
    "/reports?at={}", "/reports?period={}", "/reports/names?q={}", "/reports/funnel?step={}&step=a&group_by={}",
    "/reports/funnel?step=a&step=b&window={}", "/reports/retention?start={}&back={}&at={}",
)  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_no_question_is_answered_by_a_fault(console, place):
    for odd in ODD:
        said = quote(odd.encode("utf-8", "surrogatepass"), safe="")
        answer = console.reader("viewer").get(place.replace("{}", said))
        assert answer.status in (200, 303, 404, 422), (odd, answer.status)


@pytest.mark.parametrize("zone", ["../../etc/passwd", "%2F%2Fetc", "x" * 3000, "Asia%2FTokyo"])
def test_a_zone_is_one_that_is_known(console, zone):
    reader = console.reader("viewer")
    answer = reader.get("/reports", {"Cookie": f"sentinel={reader.session}; sentinel_zone={zone}"})
    assert answer.status == 200
    assert ("Asia/Tokyo" if "Tokyo" in zone else "days of UTC") in answer.body.decode()
