"""Requests have names: in their answers and in the log, given by the sender or made, never harmful."""

from __future__ import annotations

import json
import logging
import sys
from io import StringIO

import pytest
import structlog

from sentinel import logs
from tests.api.whole import whole as run_whole


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with run_whole(tmp_path_factory.mktemp("named")) as whole:
        yield whole


@pytest.mark.parametrize("path", ["/healthz", "/v1/decisions", "/v1/feed", "/nowhere", "/sign-in", "/compat/x"])
def test_every_answer_has_the_name_its_sender_gave(server, path):
    answer = server.using("read").get(path, headers={"X-Request-Id": "edge-7:a/b+c="})
    assert answer.headers["x-request-id"] == "edge-7:a/b+c="


def test_answers_to_events_and_refusals_have_names_of_their_own(server):
    names = {server.using("sdk").post("/v1/events", {"event": "x"}).headers["x-request-id"] for _ in range(3)}
    names.add(server.client.post("/v1/events", raw=b"{").headers["x-request-id"])
    assert len(names) == 4 and all(len(name) == 16 for name in names)


@pytest.mark.parametrize("name", ["", "two words", "x" * 65, "a\tb", "<b>", "a,b"])
def test_a_name_that_could_harm_a_log_is_replaced(server, name):
    answer = server.client.get("/healthz", headers={"X-Request-Id": name})
    assert answer.headers["x-request-id"] != name


@pytest.fixture
def logged(monkeypatch):
    """Let the log be JSON that a test reads."""
    kept, text = structlog.get_config(), StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(sys, "stderr", text)
    logs.configure("json", "info")
    yield lambda: [json.loads(line) for line in text.getvalue().splitlines()]
    structlog.configure(**kept)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_fault_is_logged_with_the_name_of_its_request(server, logged, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(server.server.store.decisions, "list", broken)
    answer = server.using("read").get("/v1/decisions", headers={"X-Request-Id": "seen-by-user"})
    assert answer.status == 500
    (line,) = [line for line in logged() if line["event"] == "fault"]
    assert line["request"] == "seen-by-user"


def test_what_no_request_led_to_has_no_name(server, logged):
    server.server.fault("somewhere", ZeroDivisionError())
    assert [line.get("request") for line in logged()] == [None]
