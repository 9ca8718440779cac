"""Findings as files in published schemas: every one of the app's and nobody else's, filtered as they are listed."""

from __future__ import annotations

import json

import pytest


def lines(answer):
    assert (answer.status, answer.headers["content-type"]) == (200, "application/x-ndjson")
    return [json.loads(line) for line in answer.body.splitlines()]


def test_each_finding_is_a_line_with_what_became_of_it(whole):
    whole.fail("203.0.113.201", "ocsf-user")
    finding = whole.using("read").get("/v1/findings?ip=203.0.113.201&playbook=three-failures").json["items"][0]
    whole.using("admin").ask("PATCH", f"/v1/findings/{finding['id']}", {"status": "false-positive"})
    query = "ip=203.0.113.201&playbook=three-failures"
    (one,) = lines(whole.using("read").get(f"/v1/findings/export?format=ocsf&{query}"))
    assert (one["class_uid"], one["finding_info"]["uid"], one["status"]) == (2004, finding["id"], "Suppressed")
    assert one["metadata"]["tenant_uid"] == "one"
    (one,) = lines(whole.using("read").get(f"/v1/findings/export?format=ecs&{query}"))
    assert (one["event"]["id"], one["event"]["type"]) == (finding["id"], ["denied"])


def test_every_page_of_findings_is_exported(whole, monkeypatch):
    monkeypatch.setattr("sentinel.api.findings._LOT", 2)
    for last in range(5):
        whole.fail(f"203.0.113.{210 + last}", "paged")
    found = lines(whole.using("read").get("/v1/findings/export?format=ecs&playbook=three-failures"))
    listed = whole.using("read").get("/v1/findings?playbook=three-failures&limit=1000").json["items"]
    assert [one["event"]["id"] for one in found] == [one["id"] for one in listed]
    assert len(found) >= 5


def test_another_apps_findings_are_not_among_them(whole):
    whole.fail("203.0.113.230", app="two")
    found = lines(whole.using("read").get("/v1/findings/export?format=ecs&ip=203.0.113.230"))
    assert found == []


@pytest.mark.parametrize(("query", "status"), [("format=xml", 422), ("", 422), ("format=ecs&odd=1", 422)])
def test_what_cannot_be_meant_is_refused(whole, query, status):
    assert whole.using("read").get(f"/v1/findings/export?{query}").status == status


@pytest.mark.parametrize("scope", ["sdk", "ingest", "browser"])
def test_only_readers_may(whole, scope):
    assert whole.using(scope).get("/v1/findings/export?format=ecs").status == 403
