"""The explorer's answers over real HTTP: what is asked, what comes back, and how a slip is told."""

from __future__ import annotations

from typing import Any

import pytest

from sentinel.core.explore import INTERVALS
from sentinel.store.explorer import funnel
from tests.api.whole import whole as run_whole

DAY = 86_400
T = 1_763_683_200  # 2025-11-21, midnight in UTC


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server that holds three days of five customers, one of whom does nearly everything."""
    with run_whole(tmp_path_factory.mktemp("explored")) as whole:
        sent = [one for day in range(3) for user in range(1, 6) for one in of_day(T - (2 - day) * DAY, user, day)]
        sent += [event("search", T + 3600.5 + n, 1, {"plan": "pro"}) for n in range(50)]
        answer = whole.using("sdk").post("/v1/events", sent)
        assert answer.json["accepted"] == len(sent), answer.body
        yield whole


def event(name: str, at: float, user: int, properties: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "event": name, "id": f"{name}-{user}-{at}", "timestamp": at, "user": user, "ip": f"203.0.113.{user}",
        "properties": properties or {}, **more,
    }  # fmt: skip


def of_day(start: int, user: int, day: int) -> list[dict[str, Any]]:
    """Everybody signs up on the first day; only the first two search, an hour later; only the first pays."""
    made = []
    if day == 0:
        made.append(event("signup", start + user, user, {"plan": "pro" if user < 3 else "free"}))
    if user < 3:
        made.append(event("search", start + 3600 + user, user, {"amount": user * 10}))
    if user == 1:
        made.append(event("pay", start + 7200 + user, user, {"amount": 99.5}))
    return made


@pytest.fixture
def ask(served):
    """Ask as a reader about the three days; return the answer's JSON."""

    def asked(path: str) -> Any:
        answer = served.using("read").get(f"{path}{'&' if '?' in path else '?'}from={T - 2 * DAY}&to={T + DAY}")
        assert answer.status == 200, answer.body
        return answer.json

    return asked


def test_a_series_fills_empty_buckets_and_stands_beside_the_period_before(ask):
    found = ask("/v1/events/timeseries?interval=day&event=pay")
    assert found["starts"] == ["2025-11-19T00:00:00Z", "2025-11-20T00:00:00Z", "2025-11-21T00:00:00Z"]
    assert found["previous_starts"][0] == "2025-11-16T00:00:00Z"
    assert found["series"] == [
        {"value": None, "rest": False, "points": [1, 1, 1], "previous": [0, 0, 0], "total": 3, "previous_total": 0}
    ]
    assert (found["to"], found["approximate"]) == ("2025-11-22T00:00:00Z", False)


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("what", ["events/timeseries", "retention"])
def test_every_interval_can_be_asked_for_without_a_time(served, what, interval):
    answer = served.using("read").get(f"/v1/{what}?interval={interval}")
    assert (answer.status, answer.json["interval"]) == (200, interval)


def test_days_are_those_of_the_zone(ask):
    found = ask("/v1/events/timeseries?interval=day&zone=Asia/Tokyo&event=signup")
    assert found["starts"][0] == "2025-11-18T15:00:00Z"
    assert found["series"][0]["points"] == [5, 0, 0, 0]


def test_a_series_by_a_property_and_of_one(ask):
    found = ask("/v1/events/timeseries?interval=week&group_by=properties.plan&event=signup")
    assert {one["value"]: one["total"] for one in found["series"]} == {"free": 3, "pro": 2}
    found = ask("/v1/events/timeseries?interval=week&metric=sum&of=properties.amount")
    assert found["series"][0]["total"] == pytest.approx(3 * (10 + 20 + 99.5))


def test_a_condition_of_the_rules_language_says_which_events_are_meant(ask):
    found = ask("/v1/events/timeseries?interval=day&q=properties.amount%20%3E%2015")
    assert found["series"][0]["points"] == [2, 2, 2]


def test_tops_by_events_and_by_users_differ_where_one_user_does_it_all(ask):
    events = ask("/v1/events/top?field=event&by=events")
    assert [(one["value"], one["events"]) for one in events["items"]] == [("search", 56), ("signup", 5), ("pay", 3)]
    assert events["items"][0]["share"] == pytest.approx(56 / 64, abs=1e-6)
    users = ask("/v1/events/top?field=event&by=users")
    assert [(one["value"], one["users"], one["share"]) for one in users["items"]] == [
        ("signup", 5, 1.0), ("search", 2, 0.4), ("pay", 1, 0.2),
    ]  # fmt: skip


def test_a_change_is_measured_against_the_period_before(served):
    found = served.using("read").get(f"/v1/events/top?field=event&event=pay&from={T - DAY}&to={T + DAY}").json
    (pay,) = found["items"]
    assert (pay["events"], pay["previous"], pay["change"]) == (2, {"events": 1, "users": None}, 1.0)


def test_event_names_come_with_the_share_of_all_users_first_and_last_time(ask):
    found = ask("/v1/events/names")
    assert [one["event"] for one in found["items"]] == ["signup", "search", "pay"]
    assert found["items"][2] == {
        "event": "pay", "events": 3, "users": 1, "share": 0.2, "first": "2025-11-19T02:00:01Z",
        "last": "2025-11-21T02:00:01Z",
    }  # fmt: skip


def test_a_funnel_says_how_many_come_so_far_and_how_long_it_takes(ask):
    found = ask("/v1/funnel?step=signup&step=search&step=pay&window=1d&group_by=properties.plan")
    everybody, *by_plan = found["ways"]
    assert everybody["steps"] == [
        {"event": "signup", "users": 5, "share": 1, "share_of_last": 1, "median_s": None, "median_since_last_s": None},
        {
            "event": "search",
            "users": 2,
            "share": 0.4,
            "share_of_last": 0.4,
            "median_s": 3600,
            "median_since_last_s": 3600,
        },
        {"event": "pay", "users": 1, "share": 0.2, "share_of_last": 0.5, "median_s": 7200, "median_since_last_s": 3600},
    ]
    assert {way["value"]: [step["users"] for step in way["steps"]] for way in by_plan} == {
        "free": [3, 0, 0], "pro": [2, 2, 1],
    }  # fmt: skip


def test_a_funnel_over_more_than_a_week_says_whether_it_is_estimated(served, monkeypatch):
    """From one in eight users, where enough of them come through, unless `exact` asks for all."""
    asked = f"/v1/funnel?step=signup&step=search&from={T - 20 * DAY}&to={T + DAY}"

    def told(more: str = "") -> tuple[bool, list[int]]:
        found = served.using("read").get(asked + more).json
        return found["approximate"], [step["users"] for step in found["ways"][0]["steps"]]

    assert told() == (False, [5, 2])
    monkeypatch.setattr(funnel, "ENOUGH", 0)
    approximate, users = told()
    assert approximate and not any(count % 8 for count in users)
    assert told("&exact=true") == (False, [5, 2])


def test_retention_says_who_came_back(ask):
    found = ask("/v1/retention?interval=day&start=signup&back=search")
    assert found["cohorts"][0] == {"at": "2025-11-19T00:00:00Z", "users": 5, "back": [2, 2, 2], "shares": [0.4] * 3}
    assert [one["users"] for one in found["cohorts"]] == [5, 0, 0]


@pytest.mark.parametrize(
    ("path", "since", "to", "events"),
    [
        (f"hour?at={T + 3600}", "2025-11-21T01:00:00Z", "2025-11-21T02:00:00Z", 52),
        (f"day?at={T + 5}", "2025-11-21T00:00:00Z", "2025-11-22T00:00:00Z", 53),
        (f"week?at={T}", "2025-11-17T00:00:00Z", "2025-11-24T00:00:00Z", 64),
        (f"month?at={T}", "2025-11-01T00:00:00Z", "2025-12-01T00:00:00Z", 64),
        (f"day?at={T + 5}&zone=America/New_York", "2025-11-20T05:00:00Z", "2025-11-21T05:00:00Z", 53),
        (f"period?from={T - DAY}&to={T}", "2025-11-20T00:00:00Z", "2025-11-21T00:00:00Z", 3),
        ("month?at=0", "1970-01-01T00:00:00Z", "1970-02-01T00:00:00Z", 0),
    ],
)
def test_a_report_is_of_whole_hours_days_weeks_and_months(served, path, since, to, events):
    found = served.using("read").get(f"/v1/reports/{path}").json
    assert (found["since"], found["to"], found["events"]["now"]) == (since, to, events)
    assert [top["field"] for top in found["tops"]] == ["user", "ip", "geo.country", "request.route"]
    assert found["names"]["total"]["events"] == events
    assert sum(found["series"]["series"][0]["points"]) >= events


def test_a_report_counts_findings_and_decisions(served):
    served.fail("198.51.100.7", user="reported")
    found = served.using("read").get("/v1/reports/hour").json
    counts = {one["name"]: one["now"] for one in found["findings"]}
    assert counts["three-failures"] >= 1
    assert {one["name"] for one in found["decisions"]} == {"block"}


def test_users_are_listed_by_their_last_event_page_by_page(served, ask):
    admin, found, cursor = served.using("read"), [], ""
    while cursor is not None:
        path = f"/v1/users?limit=2&begins=id:&from={T - 2 * DAY}&to={T + DAY}{cursor and '&cursor=' + cursor}"
        page = admin.get(path).json
        found += [(one["key"], one["events"]) for one in page["items"]]
        cursor = page["cursor"]
    assert found[:2] == [("id:1", 57), ("id:2", 4)]
    assert sorted(found[2:]) == [("id:3", 1), ("id:4", 1), ("id:5", 1)]
    assert ask("/v1/users?sort=events&limit=1")["items"][0]["key"] == "id:1"
    assert ask("/v1/users?begins=email:")["items"] == []


def test_a_users_page_says_what_they_did_newest_first(ask):
    found = ask("/v1/users/id:2")
    assert (found["key"], found["events"], found["first"]) == ("id:2", 4, "2025-11-19T00:00:02Z")
    assert [(one["value"], one["events"]) for one in found["names"]] == [("search", 3), ("signup", 1)]
    assert [one["value"] for one in found["ips"]] == ["203.0.113.2"]
    assert [one["title"] for one in found["timeline"]] == ["search", "search", "search", "signup"]


def test_an_addresss_page_has_its_users_findings_and_decisions(served):
    served.fail("198.51.100.9", user="a-guesser")
    found = served.using("read").get("/v1/ips/198.51.100.9").json
    assert [one["value"] for one in found["users"]] == ["id:a-guesser"]
    assert {one["kind"] for one in found["timeline"]} == {"event", "finding", "decision"}
    assert [one["value"] for one in found["decisions"]] == ["198.51.100.9"]
    assert "three-failures" in {one["playbook"] for one in found["findings"]}
    network = served.using("read").get("/v1/ips/198.51.100.8/30").json
    assert (network["ip"], network["events"] >= 3) == ("198.51.100.8/30", True)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/v1/events/timeseries?interval=fortnight", "`interval`"),
        ("/v1/events/timeseries?interval=minute&from=7d", "`interval`: 10,"),
        ("/v1/events/timeseries?metric=sum", "`of`: missing"),
        ("/v1/events/timeseries?top=99", "`top`"),
        ("/v1/events/timeseries?zone=Nowhere", "`zone`: `Nowhere` is not a time zone"),
        ("/v1/events/timeseries?group_by=geo.contry", "`group_by`: `geo.contry` is not a field"),
        ("/v1/events/timeseries?from=2025-11-21&to=2025-11-20", "`from`: it does not lie before `to`"),
        ("/v1/events?from=2025-11-21&to=2025-11-21", "`from`: it does not lie before `to`"),
        ("/v1/events/export?from=2025-11-21&to=2025-11-20", "`from`: it does not lie before `to`"),
        ("/v1/users/id:1?from=2025-11-21&to=2025-11-20", "`from`: it does not lie before `to`"),
        ("/v1/events/timeseries?from=1970-01-01&interval=day", "`interval`: "),
        ("/v1/events/timeseries?colour=red", "`colour`"),
        ("/v1/events/top", "`field`"),
        ("/v1/events/top?field=user.labels", "`field`: `user.labels` cannot be grouped by"),
        ("/v1/funnel?step=a", "`step`"),
        ("/v1/funnel?step=a&step=b&window=1", "`window`: `1` is not a duration"),
        ("/v1/funnel?step=a&step=b&window=0s", "`window`: `0s` is over at once"),
        ("/v1/retention?interval=hour&from=30d", "`interval`: 7"),
        ("/v1/reports/year", "`period`"),
        ("/v1/reports/day?from=2025-11-21", "`from`: a report on a day is of a moment"),
        ("/v1/reports/period?from=2025-11-21", "`to`: missing"),
        ("/v1/users?cursor=nonsense", "`cursor`: `nonsense` was not given by this list"),
        ("/v1/ips/nobody", "`ip`: `nobody` is not an address"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_name(served, path, place):
    answer = served.using("read").get(path)
    assert (answer.status, answer.error["code"]) == (422, "invalid"), answer.body
    assert answer.error["message"].startswith(place), answer.body


def test_what_is_too_long_is_not_said_to_be_endless_where_it_cannot_be(served):
    """A window that is `forever` is refused, so no hint may send anybody there; a decision may last so."""
    read, admin = served.using("read"), served.using("admin")
    assert read.get("/v1/funnel?step=a&step=b&window=4000d").error["hint"] == "write at most `3650d`"
    body = {"kind": "block", "scope": "ip", "value": "203.0.113.9", "reason": "abuse", "for": "4000d"}
    assert admin.ask("POST", "/v1/decisions", body).error["hint"] == "write at most `3650d`, or `forever`"
