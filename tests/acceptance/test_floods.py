"""Thousands of findings at once are a few messages, which tell of each once, though the server is killed meanwhile."""

from __future__ import annotations

import json
import signal

from tests.actions.receiver import Receiver, status
from tests.api.served import wait_for
from tests.passwords import webhook_secret
from tests.process import Forked

BOTNET, BOUND = 2000, 20
EACH = """
playbook: each
title: Whoever is seen
event: page
group_by: ip
window: 1m
when: {count: 1}
actions:
  - notify: {channel: chat}
"""


def test_thousands_of_findings_are_a_few_messages_that_tell_of_each_once(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.process.PLAYBOOKS", EACH)
    with Receiver(status(200)) as receiver:
        chat = {"chat": {"kind": "webhook", "url": receiver.url, "secret": webhook_secret(), "most": f"{BOUND}/2s"}}
        flags = ("--channels", json.dumps(chat), "--allow-private-webhooks", "yes")
        server = Forked(tmp_path, *flags)
        try:
            client = server.client.using(server.first_key)
            for start in range(0, BOTNET, 1000):
                sent = [{"event": "page", "ip": f"10.{n // 250}.{n % 250}.1"} for n in range(start, start + 1000)]
                assert client.post("/v1/events", sent).json["accepted"] == 1000
            wait_for(lambda: len(receiver.requests) >= BOUND)
            server.end(signal.SIGKILL)
            server = Forked(tmp_path, *flags)

            def told():
                """Return what was received, each message once however often it came."""
                return list({one.headers["webhook-id"]: one.json() for one in list(receiver.requests)}.values())

            def numbers():
                return [one["data"].get("findings", 1) for one in told()]

            wait_for(lambda: sum(numbers()) >= BOTNET)
            bundles = [one["data"] for one in told() if one["type"] == "findings.bundled"]
            alone = [one["data"]["id"] for one in told() if one["type"] == "finding.opened"]
            assert sum(numbers()) == BOTNET
            assert len(alone) == len(set(alone)) <= BOUND * (len(bundles) + 1)
            assert all(sum(each["findings"] for each in one["playbooks"]) == one["findings"] for one in bundles)
            assert 1 <= len(bundles) < BOTNET // 100
        finally:
            server.end()
