"""Findings in two published schemas, held to what these say: attributes, kinds, enumerations, what is required.

The facts are those of OCSF 1.4.0's class `detection_finding` and of ECS 8.17's fields, as far as they are used.
"""

from __future__ import annotations

import ipaddress
import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core import ecs, moment, ocsf
from sentinel.core.finding import Effect, Finding, guarded
from sentinel.core.record import STATUSES
from sentinel.service.pipeline import as_json

# attribute: (kind, required); a kind in brackets is an array's, a dict an object's
USER = {"uid": ("str", False), "name": ("str", False), "email_addr": ("str", False)}
ANALYTIC = dict.fromkeys(("uid", "name", "version", "type"), ("str", False)) | {"type_id": ("int", True)}
DETECTION = {
    "activity_id": ("int", True), "activity_name": ("str", False), "category_uid": ("int", True),
    "category_name": ("str", False), "class_uid": ("int", True), "class_name": ("str", False),
    "type_uid": ("int", True), "type_name": ("str", False), "time": ("ms", True), "start_time": ("ms", False),
    "end_time": ("ms", False), "severity_id": ("int", True), "severity": ("str", False), "status_id": ("int", False),
    "status": ("str", False), "is_alert": ("bool", False), "action_id": ("int", False), "action": ("str", False),
    "disposition_id": ("int", False), "disposition": ("str", False), "message": ("str", False),
    "unmapped": ("any", False),
    "metadata": ({
        "version": ("str", True), "profiles": (["str"], False), "tenant_uid": ("str", False),
        "event_code": ("str", False),
        "product": ({"name": ("str", False), "vendor_name": ("str", True), "version": ("str", False)}, True),
    }, True),
    "finding_info": ({
        "uid": ("str", True), "title": ("str", True), "desc": ("str", False), "types": (["str"], False),
        "created_time": ("ms", False), "first_seen_time": ("ms", False), "last_seen_time": ("ms", False),
        "analytic": (ANALYTIC, False), "related_events": ([{"uid": ("str", True)}], False),
        "related_events_count": ("int", False), "src_url": ("str", False),
    }, True),
    "evidences": ([{
        "actor": ({"user": (USER, False)}, False), "src_endpoint": ({"ip": ("ip", False)}, False),
        "data": ("any", False),
    }], False),
    "observables": ([{
        "name": ("str", True), "type_id": ("int", True), "type": ("str", False), "value": ("str", False),
    }], False),
}  # fmt: skip
CAPTIONS = {
    "activity": {1: "Create", 2: "Update", 3: "Close"},
    "severity": {0: "Unknown", 1: "Informational", 2: "Low", 3: "Medium", 4: "High", 5: "Critical", 6: "Fatal"},
    "status": {0: "Unknown", 1: "New", 2: "In Progress", 3: "Suppressed", 4: "Resolved"},
    "action": {0: "Unknown", 1: "Allowed", 2: "Denied", 3: "Observed", 4: "Modified"},
    "disposition": {1: "Allowed", 2: "Blocked", 7: "Custom Action", 15: "Detected"},
    "type": {2: "IP Address", 4: "User Name", 5: "Email Address", 12: "Subnet"},
}
ECS = {
    "@timestamp": "date", "ecs.version": "keyword", "message": "match_only_text", "event.kind": "keyword",
    "event.category": "keyword[]", "event.type": "keyword[]", "event.id": "keyword", "event.code": "keyword",
    "event.action": "keyword", "event.severity": "long", "event.module": "keyword", "event.dataset": "keyword",
    "event.provider": "keyword", "event.reason": "keyword", "event.created": "date", "event.start": "date",
    "event.end": "date", "event.url": "keyword", "rule.id": "keyword", "rule.name": "keyword",
    "rule.version": "keyword", "observer.vendor": "keyword", "observer.product": "keyword",
    "observer.type": "keyword", "observer.version": "keyword", "service.name": "keyword", "related.ip": "ip[]",
    "related.user": "keyword[]", "user.id": "keyword", "user.name": "keyword", "user.email": "keyword",
    "source.ip": "ip", "source.address": "keyword",
}  # fmt: skip
KINDS = {"alert", "asset", "enrichment", "event", "metric", "state", "pipeline_error", "signal"}
INTRUSION_TYPES = {"allowed", "denied", "info"}

texts = st.text(max_size=20)
effects = st.builds(
    Effect,
    kind=st.sampled_from(["block_ip", "block_user", "redirect_user", "challenge_user", "label_ip", "notify", "emit"]),
    held=st.sampled_from([None, "monitor", "guard"]),
)
findings = st.builds(
    Finding,
    id=st.text("0123456789abcdef", min_size=32, max_size=32),
    playbook=st.sampled_from(["brute-force", "scraping"]),
    version=st.just("abc"),
    severity=st.sampled_from(["info", "low", "medium", "high", "critical"]),
    mode=st.sampled_from(["monitor", "enforce"]),
    key=texts,
    group=st.dictionaries(st.sampled_from(["ip", "user", "properties.x"]), st.sampled_from(["1.2.3.4", "10.0.0.0/24"])),
    at=st.integers(0, 4_000_000_000_000_000),
    event_id=texts,
    tally=st.dictionaries(st.sampled_from(["count", "distinct.user"]), st.integers(0, 99)),
    threshold=st.dictionaries(st.sampled_from(["count", "distinct.user"]), st.just(">= 3")),
    title=texts,
    user=st.none() | st.sampled_from(["id:42", "email:a@example.com", "username:jo", "odd"]),
    ip=st.none() | st.sampled_from(["192.0.2.1", "2001:db8::1"]),
    historical=st.booleans(),
    effects=st.lists(effects, max_size=3).map(tuple),
    acted=st.booleans(),
    events=st.lists(texts, max_size=3).map(tuple),
)


def told(finding, **more):
    return {"app": "shop", **as_json(finding), **more}


def holds(value, kind, place):
    """Say what is wrong with a value, an element at a time; nothing where it is as the schema has it."""
    if isinstance(kind, dict):
        assert isinstance(value, dict), place
        assert set(value) <= set(kind), (place, set(value) - set(kind))
        assert {name for name, (_, required) in kind.items() if required} <= set(value), place
        for name, one in value.items():
            holds(one, kind[name][0], f"{place}.{name}")
    elif isinstance(kind, list):
        assert isinstance(value, list), place
        for one in value:
            holds(one, kind[0], place)
    elif kind == "ip":
        ipaddress.ip_address(value)
    elif kind != "any":
        assert type(value) is {"str": str, "int": int, "ms": int, "bool": bool}[kind], (place, value)
        assert kind != "ms" or 0 <= value < 10**13, place


@given(findings, st.sampled_from(STATUSES))
def test_a_finding_is_a_detection_finding_of_ocsf(finding, status):
    document = ocsf.detection(told(finding, url="https://sentinel.example/1"), status)
    holds(document, DETECTION, "detection_finding")
    assert (document["class_uid"], document["category_uid"]) == (2004, 2)
    assert document["type_uid"] == 200400 + document["activity_id"]
    for name in ("severity", "status", "action", "disposition"):
        number = document[f"{name}_id"]
        assert number == 99 or document[name] == CAPTIONS[name][number]
    assert document["activity_name"] == CAPTIONS["activity"][document["activity_id"]]
    for one in document["observables"]:
        assert one["type"] == CAPTIONS["type"][one["type_id"]]
    for one in document["evidences"]:
        assert {"actor", "src_endpoint", "data"} & set(one)  # at least one of the constraint's
        assert "actor" not in one or one["actor"]["user"]["name"]  # an actor is somebody
    assert document["finding_info"]["first_seen_time"] == finding.at // 1000
    json.dumps(document, allow_nan=False)


def flat(document, prefix=""):
    for name, value in document.items():
        if isinstance(value, dict) and not f"{prefix}{name}".startswith("sentinel"):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def fits(value, kind):
    if kind.endswith("[]"):
        return isinstance(value, list) and all(fits(one, kind[:-2]) for one in value)
    if kind == "date":
        return datetime.fromisoformat(value).tzinfo is not None
    if kind == "ip":
        return bool(ipaddress.ip_address(value))
    return type(value) is (int if kind == "long" else str)


@given(findings, st.sampled_from(STATUSES))
def test_a_finding_is_an_alert_of_the_elastic_schema(finding, status):
    document = ecs.alert(told(finding), status)
    fields = dict(flat(document))
    own = fields.pop("sentinel")
    assert own["finding"]["status"] == status
    for name, value in fields.items():
        assert fits(value, ECS[name]), (name, value)
    assert fields["event.kind"] in KINDS
    assert fields["event.category"] == ["intrusion_detection"]
    assert set(fields["event.type"]) <= INTRUSION_TYPES
    assert {"@timestamp", "ecs.version", "message"} <= set(fields)
    json.dumps(document, allow_nan=False)


@given(findings)
def test_that_a_guard_holds_is_no_second_finding(finding):
    """A SIEM would count the same finding twice, and nothing would say that its playbook acts no more."""
    one = told(finding)
    tripped = guarded(one)
    detection, alert = ocsf.detection(tripped), ecs.alert(tripped)
    holds(detection, DETECTION, "detection_finding")
    assert all(fits(value, ECS[name]) for name, value in flat(alert) if name != "sentinel")
    assert detection["finding_info"]["uid"] == alert["event"]["id"] == f"{finding.id}-guard"
    assert detection["unmapped"]["guard"] == alert["sentinel"]["finding"]["guard"] == finding.id
    assert detection["metadata"]["event_code"] == alert["event"]["code"] == alert["event"]["action"] == "guard.tripped"
    assert detection["severity_id"] >= 3 and alert["event"]["severity"] >= 47
    assert (detection["action"], alert["event"]["type"]) == ("Observed", ["info"])
    assert "held back by its guard" in detection["message"] and "held back by its guard" in alert["message"]
    assert "guard" not in ocsf.detection(one)["unmapped"] and "guard" not in ecs.alert(one)["sentinel"]["finding"]


def finding(**more):
    usual = {
        "id": "f" * 32, "playbook": "p", "version": "v", "severity": "high", "mode": "enforce", "key": "k",
        "group": {"ip": "192.0.2.1"}, "at": 1_767_571_200_000_000, "event_id": "e", "tally": {"count": 3},
        "threshold": {"count": ">= 3"}, "title": "Three", "user": "email:a@example.com", "ip": "192.0.2.1",
    }  # fmt: skip
    return Finding(**usual | more)


@pytest.mark.parametrize(
    ("effects", "acted", "action", "type"),
    [
        ((Effect("block_ip"),), True, "Denied", "denied"),
        ((Effect("block_ip", held="monitor"),), False, "Observed", "info"),
        ((Effect("challenge_user"),), True, "Modified", "info"),
        ((Effect("notify"),), False, "Observed", "info"),
    ],
)
def test_what_was_done_is_said_in_the_schemas_words(effects, acted, action, type):
    one = told(finding(effects=effects, acted=acted))
    assert (ocsf.detection(one)["action"], ecs.alert(one)["event"]["type"]) == (action, [type])


@pytest.mark.parametrize(
    ("status", "activity", "name"),
    [
        ("new", 1, "New"),
        ("confirmed", 2, "In Progress"),
        ("false-positive", 3, "Suppressed"),
        ("closed", 3, "Resolved"),
    ],
)
def test_what_became_of_a_finding_is_its_status(status, activity, name):
    document = ocsf.detection(told(finding()), status)
    assert (document["activity_id"], document["status"], document["is_alert"]) == (activity, name, status == "new")


def test_who_it_is_about_can_be_searched_for():
    assert [(one["type"], one["value"]) for one in ocsf.detection(told(finding()))["observables"]] == [
        ("User Name", "a@example.com"), ("Email Address", "a@example.com"), ("IP Address", "192.0.2.1")
    ]  # fmt: skip
    document = ecs.alert(told(finding()))
    assert document["user"] == {"email": "a@example.com"}
    assert document["related"] == {"ip": ["192.0.2.1"], "user": ["a@example.com"]}


def test_times_are_those_of_the_finding_and_of_what_it_rests_on():
    at = 1_767_571_200_000_000
    more = {"opened": moment.to_text(at + 5_000_000), "last": moment.to_text(at + 9_000_000), "evidence": 7}
    document = ocsf.detection(told(finding(), **more))
    assert (document["time"], document["end_time"]) == (at // 1000 + 5000, at // 1000 + 9000)
    assert document["finding_info"]["related_events_count"] == 7
