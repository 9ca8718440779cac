"""Over PostgreSQL: the server killed, and the database stopped as by a power cut, while events come in.

SENTINEL_TEST_KILLS says how often, five times if nothing does.
"""

from __future__ import annotations

import random
import signal
import subprocess
import time

import pytest

from tests import postgres
from tests.acceptance.test_kills import ALL_SENT, KILLS, PLAYBOOKS, Sender, assert_settled, everything
from tests.api.served import wait_for
from tests.process import ENTRY, Forked


class Patient(Sender):
    """A sender that notes what it is told while nothing can be written."""

    def __init__(self, server, chance):
        self.refused = []
        super().__init__(server, chance)

    def deliver(self, batch):
        try:
            answer = self.client.post("/v1/events", batch)
        except OSError:
            self.up.clear()
            return False
        if answer.status == 503:
            self.refused.append(answer.headers.get("retry-after"))
            time.sleep(0.05)
        elif answer.status != 200 or answer.json["rejected"]:
            self.errors.append(answer.body)
        return answer.status == 200


@pytest.fixture
def database():
    server = postgres.Server()
    yield server
    server.end()


@pytest.fixture
def start(tmp_path, monkeypatch, database):
    monkeypatch.setattr("tests.process.PLAYBOOKS", PLAYBOOKS)
    started = []

    def run():
        started.append(Forked(tmp_path, "--database", database.url("postgres")))
        return started[-1]

    yield run
    for process in started:
        process.end(signal.SIGKILL)


def test_a_server_killed_while_it_writes_loses_nothing_and_doubles_nothing(start):
    chance = random.Random(11)
    server = start()
    sender = Patient(server, chance)
    sender.start()
    for _ in range(KILLS):
        least = len(sender.sent) + chance.randrange(40, 200)
        wait_for(lambda least=least: len(sender.sent) >= least)
        server.end(signal.SIGKILL)
        server = start()
        sender.use(server)
    wait_for(lambda: len(sender.sent) >= 1200, ALL_SENT)
    assert_settled(server, sender)


def test_a_database_that_stops_is_waited_for_and_nothing_is_lost_or_doubled(start, database):
    """Meanwhile ingest says 503 and when to come again; afterwards it goes on by itself."""
    chance = random.Random(12)
    server = start()
    sender = Patient(server, chance)
    sender.start()
    for _ in range(KILLS):
        least = len(sender.sent) + chance.randrange(40, 200)
        wait_for(lambda least=least: len(sender.sent) >= least)
        database.stop()
        before = len(sender.refused)
        wait_for(lambda before=before: len(sender.refused) > before)
        database.start()
    wait_for(lambda: len(sender.sent) >= 1200, ALL_SENT)
    assert all(seconds is not None and int(seconds) >= 1 for seconds in sender.refused)
    assert_settled(server, sender)


def test_a_second_server_is_refused_while_windows_are_in_memory(start, database, tmp_path):
    start()
    flags = ["--data", tmp_path / "other", "--port", "0", "--database", database.url("postgres")]
    ran = subprocess.run([*ENTRY, "serve", *flags], capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert ran.returncode == 2
    assert "in use by another server" in ran.stderr


def test_a_server_stops_in_order_while_its_database_is_away(start, database):
    server = start()
    assert server.client.using(server.first_key).post("/v1/events", [{"event": "x", "user": "1"}]).status == 200
    database.stop()
    assert server.end() == 0
    assert "Traceback" not in (server.data.parent / "errors").read_text()
    database.start()
    server = start()
    assert len(everything(server, "events")) == 1
