"""The explorer's pages: what a search shows and carries on, what is refused where, and what another app never sees."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from sentinel.store.explorer import funnel
from sentinel.store.rows import hash_of
from tests.api.served import wait_for
from tests.console.visiting import text


@pytest.fixture(scope="module", autouse=True)
def events(console):
    """Two users' events in one app, and a secret of another app."""
    whole = console.whole
    for number in range(3):
        for user, ip, plan in (("ana", "198.51.100.1", "free"), ("ben", "198.51.100.2", 'pro"x')):
            event = {"event": f"act{number}", "user": user, "ip": ip, "properties": {"plan": plan, "n": number}}
            assert whole.using("sdk").post("/v1/events", event).json["accepted"] == 1
    assert whole.using("sdk", "two").post("/v1/events", {"event": "other-secret", "user": "spy"}).json["accepted"] == 1
    wait_for(lambda: "6 events" in text(console.reader().page("/explorer")))


def where(**query):
    return "/explorer?" + urlencode(query)


def links(page, beginning="/explorer?"):
    return [unescape(found) for found in re.findall(r'href="([^"]*)"', page) if found.startswith(beginning)]


def said(link):
    return {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}


def test_a_search_shows_its_events_and_nothing_of_another_app(console):
    page = console.reader().page(where(q='properties.plan == "free"'))
    assert "3 events" in text(page)
    assert "id:ana" in text(page) and "id:ben" not in text(page)
    assert "other-secret" not in console.reader().page("/explorer")
    words = console.reader().get("/explorer/words").body.decode()
    assert '"properties.plan"' in words and "act1" in words and "cidr" in words
    assert "other-secret" not in words


def test_a_mistake_is_shown_in_its_place_with_what_to_write(console):
    answer = console.reader().get(where(q='evnt == "a"'))
    assert answer.status == 422
    page = unescape(answer.body.decode())
    assert "`evnt` is not a field (did you mean `event`?)" in text(answer)
    assert '>evnt == "a"\n^^^^</pre>' in page and "`" not in page and "q:1:1" not in page
    assert 'value="evnt == ' in page


def test_clicking_a_value_asks_for_it_alone_and_clicking_it_away_for_the_others(console):
    page = console.reader().page(where(q='event != "act0"', facet="properties.plan"))
    facets = page[page.index('class="facets"') :]
    only, without = [said(link)["q"] for link in links(facets) if "pro%5C%22x" in link]
    assert only == 'event != "act0" and properties.plan == "pro\\"x"'
    assert "2 events" in text(console.reader().page(where(q=only)))
    others = text(console.reader().page(where(q=without)))
    assert "2 events" in others and "id:ana" in others and "id:ben" not in others


def test_values_are_counted_by_events_or_by_users(console):
    by_events, by_users = (console.reader().page(where(by=by, facet="properties.plan")) for by in ("events", "users"))
    assert re.search(r'free</bdi></a>\s*<span class="row"><span class="number">3<', by_events)
    assert re.search(r'free</bdi></a>\s*<span class="row"><span class="number">1<', by_users)


def test_older_pages_stay_where_they_are_while_events_come_in(console):
    one = {"event": "many", "user": "many", "ip": "198.51.100.9"}
    lot = [{**one, "properties": {"at": number}} for number in range(60)]
    assert console.whole.using("sdk").post("/v1/events", lot).json["accepted"] == 60
    query = {"q": 'event == "many"', "range": "1h"}
    wait_for(lambda: "60 events" in text(console.reader().page(where(**query))))
    first = console.reader().page(where(**query))
    older = next(link for link in links(first) if "cursor=" in link)
    assert console.whole.using("sdk").post("/v1/events", {**one, "properties": {"at": "late"}}).json["accepted"] == 1
    second = console.reader().page(older)
    events = [re.findall(r"/explorer/events/([^?]+)\?", page) for page in (first, second)]
    assert len(set(events[0]) | set(events[1])) == 60
    assert "60 events" in text(second)


def test_two_moments_are_taken_as_utc_and_what_is_no_period_is_refused(console):
    reader = console.reader()
    page = reader.page(where(range="between", **{"from": "2001-01-01T00:00", "to": "2001-01-02"}))
    assert "2001-01-01 00:00 to 2001-01-02 00:00" in text(page)
    assert "No events in this period" in text(page)
    backwards = reader.get(where(range="between", **{"from": "2001-01-02", "to": "2001-01-01"}))
    assert backwards.status == 422 and "does not lie before" in text(backwards)
    assert reader.get(where(range="between", **{"from": "soon"})).status == 422
    assert reader.get(where(at="9" * 17)).status == 200
    assert reader.get(where(range="nonsense")).status == 200


@pytest.mark.parametrize(("format", "begins"), [("ndjson", b'{"'), ("csv", b'"timestamp"'), ("parquet", b"PAR1")])
def test_a_search_is_exported_whole(console, format, begins):
    query = urlencode({"format": format, "q": 'user == "id:ana"'})
    answer = console.reader("viewer").get(f"/explorer/export?{query}")
    assert answer.status == 200 and answer.body.startswith(begins)
    assert answer.headers["content-disposition"] == f'attachment; filename="events.{format}"'
    assert b"id:ben" not in answer.body and b"other-secret" not in answer.body


def test_an_event_is_shown_whole_with_what_is_made_of_it(console):
    page = console.reader().page(where(q='user == "id:ben" and event == "act2"'))
    page = console.reader().page(links(page, "/explorer/events/")[0])
    assert 'pro\\"x' in unescape(page)
    assert "What is made of it" in text(page)
    assert console.reader().get("/explorer/events/unknown").status == 404


def test_a_nested_value_is_shown_as_json_and_leads_to_the_events_that_have_it(console):
    cart = {"total": 14, "gift": True, "lines": [{"sku": "A1"}], "tags": ["new", 'v"ip']}
    for user in ("una", "uma"):
        event = {"event": "cart.changed", "user": user, "properties": {"cart": cart | {"by": user}, "odd key": 1}}
        assert console.whole.using("sdk", "two").post("/v1/events", event).json["accepted"] == 1
    wait_for(lambda: "2 events" in text(console.reader().page(where(app="two", event="cart.changed"))))
    page = console.reader().page(where(app="two", event="cart.changed", q="properties.cart.total > 1", by="users"))
    assert 'cart.total 14 , cart.gift True , cart.lines [{"sku": "A1"}] , cart.tags ["new", "v\\"ip"] +2' in text(page)
    asked = {"q": 'properties.cart.total > 1 and properties.cart.by == "una"', "event": "cart.changed", "by": "users"}
    assert asked | {"app": "two"} in [said(link) for link in links(page)]
    assert "1 event " in text(console.reader().page(where(app="two", **asked)))
    whole = console.reader().page(links(page, "/explorer/events/")[0])
    assert '"odd key": 1 }' in text(whole)
    assert not [link for link in links(whole) if "odd+key" in link or "sku" in link]
    tagged = next(link for link in links(whole) if "properties.cart.tags" in link and "ip" in said(link)["q"])
    assert said(tagged)["q"] == '"v\\"ip" in properties.cart.tags'
    assert "2 events" in text(console.reader().page(tagged))


def test_a_field_that_holds_further_ones_leads_to_them(console):
    event = {"event": "ship", "user": "una", "properties": {"ship": {"to": {"country": "DE"}, "by": "air"}}}
    assert console.whole.using("sdk", "two").post("/v1/events", event).json["accepted"] == 1
    wait_for(lambda: "1 event " in text(console.reader().page(where(app="two", event="ship"))))
    page = console.reader().page(where(app="two", event="ship", facet="properties.ship"))
    assert "No event here has a value in it, but in what lies inside:" in text(page)
    inner = [said(link)["facet"] for link in links(page) if "facet" in said(link)]
    assert {"properties.ship.by", "properties.ship.to"} <= set(inner)
    assert "No event here has a value in it." in text(
        console.reader().page(where(app="two", event="ship", facet="properties.x"))
    )


def test_an_event_says_which_of_its_properties_are_of_another_type_than_came_first(console):
    for id, odd in (("first", 5), ("odd", "<b>five</b>")):
        event = {"event": "odd", "id": f"{id}-of-odd", "properties": {"oddly.named": odd, "even": "x"}}
        assert console.whole.using("sdk").post("/v1/events", event).json["accepted"] == 1
    reader = console.reader()
    wait_for(lambda: "Of another type than came first" in text(reader.get("/explorer/events/odd-of-odd")))
    said = text(reader.page("/explorer/events/odd-of-odd"))
    assert '"oddly.named" first came as number' in said and "even first" not in said
    assert "another type" not in text(reader.page("/explorer/events/first-of-odd"))


def test_an_event_says_which_of_its_identifiers_stand_for_no_user(console):
    event = {"event": "nobody", "id": "of-nobody", "user": {"uid": "<nil>", "username": "null"}}
    assert console.whole.using("sdk").post("/v1/events", event).json["accepted"] == 1
    wait_for(lambda: console.reader().get("/explorer/events/of-nobody").status == 200)
    said = text(console.reader().page("/explorer/events/of-nobody"))
    assert "uid:<nil> names nobody" in said
    assert said.count("names nobody") == 1


def test_a_search_is_kept_found_again_and_removed_by_its_owner_alone(console):
    one, other, admin = console.invited("keeper", "analyst"), console.reader("analyst"), console.reader()
    one.app = "one"
    one.done("/explorer/searches", {"name": "<b>plans</b>", "q": 'properties.plan == "free"', "event": "act1"})
    page = other.page("/explorer")
    assert "&lt;b&gt;plans" in page and "<b>plans" not in page
    link = next(link for link in links(page) if said(link).get("event") == "act1")
    assert "1 event " in text(other.page(link))
    (kept,) = console.store.searches.list("one")
    assert other.post(f"/explorer/searches/{kept.id}/remove").status == 403
    assert console.store.searches.list("two") == []
    assert other.post(f"/explorer/searches/{kept.id}/rename", {"name": "theirs"}).status == 403
    one.done(f"/explorer/searches/{kept.id}/rename", {"name": "plans & names"})
    (kept,) = console.store.searches.list("one")
    assert (kept.name, kept.q, kept.filters) == ("plans & names", 'properties.plan == "free"', {"event": "act1"})
    assert one.post(f"/explorer/searches/{kept.id}/rename", {"name": " "}).status == 422
    assert one.post("/explorer/searches/nothing/rename", {"name": "x"}).status == 404
    assert one.post("/explorer/searches", {"name": "bad", "q": "evnt"}).status == 422
    admin.done(f"/explorer/searches/{kept.id}/remove")
    assert console.store.searches.list("one") == []


def test_what_can_be_made_of_a_search_is_a_step_from_its_box_and_not_behind_its_events(console):
    page = console.reader("analyst").page(where())
    box, made = page.index('id="f-q"'), page.index("Make this a playbook")
    events = page.index("<tbody>", page.index('id="h-events"'))
    assert box < made < events and page.index('href="#h-top"') < events < page.index('id="h-top"')
    assert "Make this a" not in console.reader("viewer").page(where())


BETWEEN = {"range": "between", "from": "2026-11-01T00:00:00", "to": "2099-01-01T00:00:00"}


@pytest.mark.parametrize("when", [BETWEEN, {"range": "1h", "at": "1795210200000000"}])
def test_keeping_a_search_and_making_a_rule_of_it_lead_back_to_the_same_period(console, when):
    reader, asked = console.reader("analyst"), {"q": 'event == "act1"', **when}
    where = reader.done("/explorer/searches", {"name": "a period", **asked})
    assert {name: value for name, value in said(where).items() if name in when} == when
    assert reader.get(where).status == 200
    page = reader.page("/explorer/rule?" + urlencode({"title": "x", **asked}))
    back = said(next(link for link in links(page) if "q=" in link and "/explorer?" in link))
    assert {name: value for name, value in back.items() if name in when} == when
    menu = next(link for link in links(reader.page(where)) if said(link).get("q") == asked["q"])
    assert {name: said(menu).get(name) for name in when} == {**when, **({"at": None} if "at" in when else {})}
    (kept,) = console.store.searches.list("one")
    reader.done(f"/explorer/searches/{kept.id}/remove")


def test_a_search_becomes_the_text_of_a_rule(console):
    asked = {"title": "Free plans & more", "q": 'properties.plan == "free"'}
    analyst = console.reader("analyst")
    shown = unescape(analyst.page("/explorer/rule?" + urlencode(asked)))
    assert "rule: free-plans-more\n" in shown and 'where: "properties.plan == \\"free\\""' in shown
    about = analyst.get("/explorer/rule?" + urlencode({"title": "x", "q": "", "user": "ana"}))
    assert about.status == 422 and "not about one user" in text(about)


def test_a_search_becomes_a_playbook_whose_threshold_few_reach(console):
    for user, times in (("low", 1), ("middle", 2), ("high", 5)):
        console.whole.fail("198.51.100.77", user=user, times=times, app="two", properties={"made": "fits"})
    wait_for(lambda: "8 events" in text(console.reader().page(where(app="two", q='properties.made == "fits"'))))
    asked = {"q": 'properties.made == "fits"', "title": "Made: of a search", "group": "user", "count": "event"}
    analyst = console.reader("analyst")
    page = analyst.page("/explorer/playbook?" + urlencode({**asked, "window": "10m", "range": "24h", "app": "two"}))
    said = text(page)
    assert "each of 3 groups came within a window: half of them to 2 at most, the highest to 5" in said
    assert "≥ 6 all 0" in said and "user id:high 5" in said
    made = next(link for link in links(page, "/playbooks/new?") if "count%3A+6" in link)
    draft = unescape(re.search(r"<textarea[^>]*data-draft>(.*?)</textarea>", analyst.page(made), re.S)[1])
    assert draft.startswith('playbook: made-of-a-search\ntitle: "Made: of a search"\nmode: monitor\nwhere: ')
    assert draft.endswith("group_by: user\nwindow: 10m\nwhen: {count: 6}\n")
    fresh = {"do": "suggest", "since": "1d", "text": draft, "file": "", "mark": ""}
    again = text(analyst.post("/playbooks/edit?app=two", fresh))
    assert "≥ 6 all 0" in again and "Now ≥ 6, which 0 groups would reach." in again


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"q": ""}, "a playbook needs a condition or an event's name"),
        ({"user": "una"}, "a playbook is not about one user or address (leave the field out)"),
        ({"title": "Three failures"}, "`What it finds`: there is a playbook `three-failures` already (choose another)"),
        ({"title": " "}, "`What it finds`: missing (fill it in)"),
        ({"group": "geo.city"}, "`Of each`: `geo.city` is none of"),
    ],
)
def test_a_search_of_which_no_playbook_can_be_made_is_refused_beside_its_form(console, more, words):
    asked = {"q": "not success", "title": "Made", "group": "ip", "count": "event", "window": "10m"}
    answer = console.reader("analyst").get("/explorer/playbook?" + urlencode({**asked, **more}))
    assert (answer.status, words in text(answer)) == (422, True), text(answer)


def test_a_report_says_where_its_bars_hold_more_than_its_period(console):
    asked = {"period": "period", "from": "2026-01-01", "to": "2026-01-09"}
    wider = "in whole days: the outer ones hold more than this period"
    page = console.reader().page("/reports?" + urlencode(asked))
    assert wider not in text(page)
    assert wider in text(console.reader().page("/reports?" + urlencode(asked | {"to": "2026-01-09T12:00"})))


def test_a_report_between_two_moments_leads_to_those_around_it(console):
    reader = console.reader()
    page = reader.page("/reports?period=period&from=2026-01-01&to=2099-01-01T00:00")
    assert "2026-01-01 00:00 to 2099-01-01 00:00" in text(page) and "act1" in text(page)
    assert 'value="2026-01-01T00:00:00"' in page
    earlier = next(link for link in links(page, "/reports?") if "from=" in link)
    assert said(earlier)["to"] == "2026-01-01T00:00:00Z" and "1970-01-01" in said(earlier)["from"]
    assert "act1" not in text(reader.page(earlier))
    assert "act1" in text(reader.page("/reports?period=period"))  # the last week
    assert reader.get("/reports?period=period&from=2026-01-02&to=2026-01-01").status == 422


def over_time(reader, **query):
    asked = {"q": 'event in ["act0", "act1", "act2"]', "range": "1h"} | query
    page = reader.page("/reports/series?" + urlencode(asked))
    charts = [json.loads(unescape(found)) for found in re.findall(r"data-chart='([^']*)'", page)]
    return text(page), dict(charts[0]["series"]) if charts else {}


def in_all(lines):
    """Return the sum of each line: the hour that is asked for may be of two months."""
    return {name: sum(point or 0 for point in points) for name, points in lines.items()}


def test_a_figure_is_shown_over_time_beside_the_period_before_and_for_each_value(console):
    reader = console.reader("viewer")
    assert sum(over_time(reader)[1]["This period"][-61:]) == 6
    users = over_time(reader, metric="users", interval="month", previous="1")
    assert in_all(users[1]) == {"This period": 2, "The period before": 0} and "The period before 0" in users[0]
    groups = over_time(reader, group_by="properties.plan", metric="sum", of="properties.n", interval="month")
    assert in_all(groups[1]) == {"free": 3, 'pro"x': 3} and 'properties.plan In all free 3 pro"x 3' in groups[0]
    before = over_time(reader, group_by="properties.plan", previous="1", interval="month")
    assert "In all Before Change free 3 0 none before" in before[0]
    long_ago = {"range": "between", "from": "2001-01-01", "to": "2001-01-02"}
    assert "No events in this period" in over_time(reader, **long_ago)[0]


def test_a_figure_leads_to_the_events_that_it_counts(console):
    """Those of whole days, in the reader's zone; a name leads to its events of the same period."""
    reader = console.reader()
    long_ago = [{"event": "aged", "timestamp": (datetime.now(UTC) - timedelta(days=ago)).isoformat()} for ago in (2, 5)]
    assert console.whole.using("admin").post("/v1/import", long_ago).json["accepted"] == 2
    wait_for(lambda: "aged 0" in text(reader.page("/reports/names")))
    (leads,) = [found for found in links(reader.page("/reports/names")) if said(found).get("event") == "aged"]
    assert "2 events" in text(reader.page(leads))
    tokyo = {"Cookie": f"sentinel={reader.session}; sentinel_zone=Asia/Tokyo"}
    for asked in ({"group_by": "event"}, {"q": 'event == "aged"'}):
        page = reader.get("/reports/series?" + urlencode(asked), tokyo).body.decode()
        (leads,) = [found for found in links(page) if '"aged"' in said(found).get("q", "")]
        assert said(leads)["from"].endswith("T15:00:00Z") and "2 events" in text(reader.page(leads))


def test_days_of_the_explorers_bars_are_the_readers(console):
    reader = console.reader()
    for zone, hour in (("UTC", 0), ("Asia/Tokyo", 15)):
        answer = reader.get(where(range="7d"), {"Cookie": f"sentinel={reader.session}; sentinel_zone={zone}"})
        (chart,) = re.findall(r"data-chart='([^']*)'", answer.body.decode())
        assert {at // 3600 % 24 for at in json.loads(unescape(chart))["x"]} == {hour}


def test_more_values_of_a_field_are_shown_on_demand(console):
    reader = console.reader()
    names = [{"event": f"several{number}"} for number in range(9)]
    assert console.whole.using("sdk").post("/v1/events", names).json["accepted"] == 9
    wait_for(lambda: "9 events" in text(reader.page(where(q='startswith(event, "several")'))))
    page = reader.page(where(q='startswith(event, "several")'))
    (more,) = [found for found in links(page) if said(found).get("facet") == "event"]
    assert len(re.findall(r'title="Only several', page)) == 6
    page = reader.page(more)
    assert len(re.findall(r'title="Only several', page)) == 9 and ">More<" not in page


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"q": "evnt"}, "did you mean `event`?"),
        ({"metric": "sum"}, "no property is named (write it in its box, such as `properties.total`)"),
        ({"group_by": "no such"}, "`A line for each`: `no such`"),
        ({"interval": "minute", "range": "90d"}, "minute"),
    ],
)
def test_what_is_wrong_with_a_figure_is_told_on_its_page(console, query, words):
    answer = console.reader().get("/reports/series?" + urlencode(query))
    assert answer.status == 422
    assert words in text(answer) and "A line for each" in text(answer)


def test_what_is_wrong_with_another_field_is_told_beside_the_search(console):
    answer = console.reader().get(where(q='properties.plan == "free"', facet="plan"))
    assert answer.status == 422
    said = text(answer)
    assert "3 events" in said and "id:ana" in said and "`plan` is not a field" in said
    assert 'value="plan"' in answer.body.decode()


def test_whoever_asked_for_what_cannot_be_meant_can_begin_anew(console):
    answer = console.reader().get(where(range="between", **{"from": "x"}))
    assert answer.status == 422 and "Begin anew" in text(answer)
    assert console.reader().get(links(answer.body.decode(), "/explorer?app=one")[0]).status == 200
    assert "Begin anew" not in text(console.reader().get("/findings/none"))


def test_a_funnel_that_was_estimated_is_marked(console, monkeypatch):
    user = next(name for name in map(str, range(1, 1000)) if hash_of(f"id:{name}") < 2**61)  # one of those looked at
    for step in ("begin", "end"):
        assert console.whole.using("sdk", "two").post("/v1/events", {"event": step, "user": user}).json["accepted"] == 1
    asked = "/reports/funnel?step=begin&step=end&app=two&range="
    assert "Event Users Of" in text(console.reader().page(asked + "30d"))
    monkeypatch.setattr(funnel, "ENOUGH", 0)
    assert "Event Users≈ Of" in text(console.reader().page(asked + "30d"))
    assert "Event Users Of" in text(console.reader().page(asked + "7d"))


def test_a_report_a_list_of_names_a_funnel_and_retention_say_what_happened(console):
    reader = console.reader()
    said = text(reader.page("/reports?period=hour"))
    assert "act1" in said and "The hour is not over: the one before is counted whole." in said
    assert "is not over" not in text(reader.page("/reports?period=day&at=2026-01-05T00:00:00Z"))
    names = text(reader.page("/reports/names?range=1h&" + urlencode({"q": 'event == "act1"'})))
    assert "act1 2" in names and "act2" not in names
    funnel = text(reader.page("/reports/funnel?step=act0&step=act1&step=&step=act2&window=1h&group_by=properties.plan"))
    assert "All users 100.0 % get through" in funnel and 'properties.plan pro"x' in funnel
    assert "Name two to six events" in text(reader.page("/reports/funnel?step=act0"))
    assert reader.get("/reports/funnel?step=a&step=b&window=never").status == 422
    assert reader.get("/reports/names?q=evnt").status == 422
    assert "100 %" in text(reader.page("/reports/retention?start=act0"))
    assert reader.get("/reports?at=soon").status == 422


def test_what_is_wrong_with_a_question_of_a_report_is_told_beside_its_form(console):
    for path, words, kept in (
        ("/reports/retention?range=90d&start=act0", "of one day each are more than 62 (ask for a shorter time", "act0"),
        ("/reports/funnel?step=act0&step=act1&group_by=nothing", "`Each value of`: `nothing`", "act1"),
        ("/reports/series?group_by=nothing&q=success", "`A line for each`: `nothing`", "success"),
    ):
        answer = console.reader().get(path)
        assert answer.status == 422 and words in text(answer), path
        assert f'value="{kept}"' in answer.body.decode() and ">Show</button>" in answer.body.decode(), path


def test_each_cohort_is_named_by_its_day_and_has_a_cell_for_each_later_one(console):
    days = [(datetime.now(UTC) - timedelta(days=ago)).isoformat() for ago in (4, 3, 2)]
    past = [{"event": "back", "user": f"u{number}", "timestamp": day} for number, day in enumerate(days)]
    assert console.whole.using("admin").post("/v1/import", past).json["accepted"] == 3
    wait_for(lambda: "back 3" in text(console.reader().page("/reports/names?range=7d")))
    page = console.reader().page("/reports/retention?start=back&range=7d")
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    assert len(rows) == 4 and len({len(re.findall(r"<t[hd]", row)) for row in rows}) == 1
    assert [re.findall(r"<time[^>]*>([^<]*)</time>", row) for row in rows[1:]] == [[day[:10]] for day in days]
    assert "The last share of each line is of a day that is not over" in text(page)
    long_ago = {"event": "back", "user": "u0", "timestamp": (datetime.now(UTC) - timedelta(days=27)).isoformat()}
    assert console.whole.using("admin").post("/v1/import", long_ago).json["accepted"] == 1
    wait_for(lambda: "+27" in text(console.reader().page("/reports/retention?start=back&range=30d")))


@pytest.mark.parametrize("metric", ["sum", "avg"])
@pytest.mark.parametrize("more", [{}, {"previous": "1"}, {"group_by": "event"}])
def test_a_sum_past_every_number_is_no_point_of_a_chart(console, metric, more):
    huge = [{"event": f"huge{number % 2}", "properties": {"huge": 1.7e308}} for number in range(4)]
    assert console.whole.using("sdk").post("/v1/events", huge).json["accepted"] == 4
    wait_for(lambda: "huge1" in text(console.reader().page("/reports/names?range=1h")))
    page = console.reader().page("/reports/series?" + urlencode({"metric": metric, "of": "properties.huge", **more}))
    for chart in re.findall(r"data-chart='([^']*)'", page):
        json.loads(unescape(chart), parse_constant=pytest.fail)
    assert "–" in text(page)
