"""All steps together: what they add, what they leave alone, and that no event is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentinel import content
from sentinel.core.event import Event
from sentinel.engine.fields import FIELDS, compile_field
from sentinel.enrich.enricher import Enricher, build
from tests.enrich.making import database, event

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/145.0.0.0 Safari/537.36"
)
PIXEL = "Mozilla/5.0 (Linux; Android 16; Pixel 10) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/145.0.0.0 Mobile"


@pytest.fixture(scope="module")
def enricher(tmp_path_factory: pytest.TempPathFactory) -> Enricher:
    geo = content.folder("geo")
    lists = {}
    for kind in ("hosting", "tor"):
        lists[kind] = [tmp_path_factory.mktemp("lists") / kind]
        lists[kind][0].write_text("198.51.100.0/24\n")
    return build([geo / "demo-city.mmdb", geo / "demo-asn.mmdb"], lists)


def labels(kind: str, target: str) -> tuple[str, ...]:
    known = {
        ("user", "id:42"): ("vip", "beta"), ("ip", "198.51.100.23"): ("scanner",),
        ("ip", "2001:db8::1"): ("one",), ("ip", "2001:db8::/64"): ("net", "one"),
    }  # fmt: skip
    return known.get((kind, target), ())


def test_every_field_that_enrichment_promises_is_filled(enricher: Enricher) -> None:
    found = event(ip="198.51.100.23", user="42", request={"user_agent": PIXEL})
    enricher.enrich(found, labels)
    promised = [name for name in FIELDS if name.partition(".")[0] in ("geo", "network", "agent", "device")]
    values = {name: compile_field(name)(found) for name in (*promised, "user.labels", "ip.labels")}
    assert [name for name, value in values.items() if value is None] == []
    assert values["geo.country"] == "IS"
    assert values["network.kind"] == "tor"
    assert values["user.labels"] == ("beta", "vip")
    assert values["ip.labels"] == ("scanner",)


def test_an_event_of_which_nothing_is_known_stays_as_it_is(enricher: Enricher) -> None:
    found = event()
    enricher.enrich(found, labels)
    assert (found.geo, found.network, found.agent, found.device) == ({}, {}, {}, None)
    assert (found.user_labels, found.ip_labels) == ((), ())


def test_what_an_event_carries_is_left_alone(enricher: Enricher) -> None:
    found = event(ip="198.51.100.23", device="phone-1", request={"user_agent": CHROME})
    found.geo, found.network, found.agent = {"country": "XX"}, {"private": True}, {"bot": True}
    found.ip_labels = ("given",)
    enricher.enrich(found, labels)
    assert found.geo == {"country": "XX"}
    assert (found.network, found.agent, found.device) == ({"private": True}, {"bot": True}, "phone-1")
    assert found.ip_labels == ("given", "scanner")


def test_enriching_twice_is_enriching_once(enricher: Enricher) -> None:
    once, twice = (event(ip="198.51.100.23", user="42", request={"user_agent": CHROME}) for _ in range(2))
    for found, times in ((once, 1), (twice, 2)):
        for _ in range(times):
            enricher.enrich(found, labels)
    assert vars(once) == vars(twice)


def test_an_ipv6_address_has_the_labels_of_its_network_too(enricher: Enricher) -> None:
    found = event(ip="2001:db8::1")
    enricher.enrich(found, labels)
    assert found.ip_labels == ("net", "one")


def test_the_same_browser_is_the_same_device_and_another_is_another(enricher: Enricher) -> None:
    found = [
        event(ip=ip, request={"user_agent": ua})
        for ip, ua in (("192.0.2.1", CHROME), ("192.0.2.2", CHROME), ("192.0.2.1", PIXEL))
    ]
    for one in found:
        enricher.enrich(one)
    assert found[0].device == found[1].device != found[2].device


def test_a_step_that_fails_is_counted_and_the_others_go_on() -> None:
    def fail(found: Event) -> None:
        raise RuntimeError("no such luck")

    def mark(found: Event) -> None:
        found.device = "seen"

    enricher = Enricher(steps={"geo": fail, "device": mark})
    found = event()
    enricher.enrich(found)
    enricher.enrich(found)
    assert found.device == "seen"
    assert enricher.failed == {"geo": 2}
    assert enricher.problems() == ["geo: 2 events without it, last RuntimeError: no such luck"]


def test_look_ups_that_fail_in_one_database_are_counted_with_the_step(tmp_path: Path) -> None:
    path = database(tmp_path / "city.mmdb", {"192.0.2.0/24": {"country": "France"}})
    enricher = build([path])
    found = event(ip="192.0.2.1")
    enricher.enrich(found)
    assert (found.geo, enricher.failed) == ({}, {"geo": 1})
    assert "1 look-ups failed" in enricher.problems()[0]


def test_labels_that_cannot_be_had_do_not_cost_the_event() -> None:
    def fail(kind: str, target: str) -> tuple[str, ...]:
        raise LookupError(target)

    enricher = Enricher()
    found = event(ip="192.0.2.1", user="42")
    enricher.enrich(found, fail)
    assert found.network == {"private": False, "kind": "public"}
    assert enricher.failed == {"labels": 1}


def test_without_any_database_events_go_on_without_a_place() -> None:
    found = event(ip="192.0.2.1")
    Enricher().enrich(found)
    assert found.geo == {}


def test_problems_of_databases_and_lists_are_shown_together(tmp_path: Path) -> None:
    enricher = build([tmp_path / "a.mmdb"], {"tor": [tmp_path / "b"]})
    first, second = enricher.problems()
    assert first.startswith("geo database `") and second.startswith("list of tor networks `")


def test_refresh_takes_over_what_changed_of_either(tmp_path: Path) -> None:
    enricher = build([tmp_path / "a.mmdb"], {"tor": [tmp_path / "b"]})
    assert not enricher.refresh()
    database(tmp_path / "a.mmdb", {"192.0.2.0/24": {"country": {"iso_code": "FR"}}})
    (tmp_path / "b").write_text("192.0.2.1\n")
    assert enricher.refresh()
    found = event(ip="192.0.2.1")
    enricher.enrich(found)
    assert (found.geo, found.network["kind"]) == ({"country": "FR"}, "tor")
