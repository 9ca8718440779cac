"""Every secret of a server that was used is looked for in all that leaves it: answers, pages, log, exports, backups.

The server is a process of its own, logs all it can, and was used: by attackers, receivers that answer and that fail,
people who sign in, and those who typed a password or a key that is none.
"""

from __future__ import annotations

import io
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
import zstandard

from sentinel.store.embedded.backup import CONTROL, EVENTS
from tests.actions.receiver import Receiver, says, status
from tests.api.served import Client, wait_for
from tests.api.test_walls import QUERIES, RIGHTS, STREAMS
from tests.console.test_walls import RIGHTS as PAGES
from tests.console.visiting import PASSWORD, Reader
from tests.passwords import webhook_secret
from tests.process import Process

MARKER = "marker-of-a-user"  # stands wherever something was searched in vain if it does not
WRONG = "typed-by-mistake-0193"
MARKED = {"GET /v1/events", "GET /v1/events/export", "GET /v1/findings/export", "GET /explorer", "GET /findings"}
SETTINGS = """
log_level = "debug"
metrics_key = "{metrics_key}"
allow_private_webhooks = true
[channels.security]
kind = "webhook"
url = "http://127.0.0.1:{good}/{good_path}"
secret = "{good_secret}"
[channels.tickets]
kind = "webhook"
url = "http://127.0.0.1:{bad}/{bad_path}"
secret = "{bad_secret}"
[network_lists]
tor = "http://127.0.0.1:{bad}/{list_path}"
"""
TICKETS = """
playbook: tickets
title: One failed login
mode: enforce
event: auth
group_by: user
window: 10m
when: {count: 1}
actions:
  - webhook: {channel: tickets}
"""


@dataclass
class Used:
    """The server, its administrator's client and browser, its secrets by what they are, and who was told."""

    process: Process
    admin: Client
    reader: Reader
    secrets: dict[str, str]
    receivers: tuple[Receiver, Receiver]
    folder: Path

    def free_of_secrets(self, what: str, text: str | bytes) -> None:
        """Fail where any secret stands in a text."""
        data = text.encode() if isinstance(text, str) else text
        assert not [name for name, secret in self.secrets.items() if secret.encode() in data], what


@pytest.fixture(scope="module")
def used(tmp_path_factory):
    folder = tmp_path_factory.mktemp("secrets")
    with Receiver(says(status(200))) as good, Receiver(says(status(500, body=b"no"))) as bad:
        own = {"good_path": "path-hunter2", "good_secret": webhook_secret(), "bad_path": "path-swordfish"}
        own |= {"bad_secret": webhook_secret(), "list_path": "path-opensesame", "metrics_key": "opens-all-metrics-0193"}
        (folder / "sentinel.toml").write_text(SETTINGS.format(good=good.port, bad=bad.port, **own))
        (folder / "tickets.yaml").write_text(TICKETS)
        process = Process(folder, "--playbooks", f"{folder / 'all.yaml'},{folder / 'tickets.yaml'}")
        try:
            yield use(process, folder, own, (good, bad))
        finally:
            process.end()


def use(process: Process, folder: Path, own: dict[str, str], receivers: tuple[Receiver, Receiver]) -> Used:
    """Let everybody do something, and gather what is secret."""
    local = process.client.using(process.local["token"])
    first = re.search(r"welcome#(\S+)", (process.data / "first-start.txt").read_text())
    assert first
    secrets = {"the first key": process.first_key, "the local token": process.local["token"], **own}
    secrets |= {f"the bytes of {name}": own[name].removeprefix("whsec_") for name in ("good_secret", "bad_secret")}
    for scope in ("sdk", "ingest", "read", "admin"):
        secrets[f"a key of {scope}"] = local.post("/v1/keys", {"scope": scope}).json["secret"]
    admin = process.client.using(secrets["a key of admin"])
    reader = Reader(process.client)
    choice = {"code": first[1], "name": "ana", "password": PASSWORD, "again": PASSWORD}
    assert reader.post("/welcome", choice).status == 303
    secrets |= {"a link that was used": first[1], "its second half": first[1].partition(".")[2] or first[1]}
    secrets |= {"a password": PASSWORD, "the same in a form": PASSWORD.replace(" ", "+"), "a session": reader.session}
    for what in ("an invitation", "one made anew"):
        secrets[what] = local.post("/v1/accounts", {"name": what.replace(" ", "-")}).json["code"]
    for client in (Client(process.client.port, WRONG), process.client.using(f"sntl_{WRONG}")):
        assert client.get("/v1/events").status == 401
    assert Reader(process.client).post("/sign-in", {"name": "ana", "password": WRONG}).status == 401
    secrets["what was typed"] = WRONG
    event = {"event": "auth", "success": False, "ip": "203.0.113.9", "user": MARKER}
    assert process.client.using(process.first_key).post("/v1/events", [event] * 3).json["accepted"] == 3
    wait_for(lambda: all(any(asked.body for asked in one.requests) for one in receivers))
    wait_for(lambda: [one for one in admin.get("/v1/outbox").json["items"] if one["attempts"]])
    wait_for(lambda: len(admin.get("/v1/events").json["items"]) == 3)
    return Used(process, admin, reader, secrets, receivers, folder)


def ids(used: Used) -> dict[str, str]:
    """Return an id for each kind of thing that has one in an address."""
    newest = {one: used.admin.get(f"/v1/{one}").json["items"][0]["id"] for one in ("events", "findings", "decisions")}
    keys = {"users": f"id:{MARKER}", "people": f"id:{MARKER}", "ips": "203.0.113.9", "addresses": "203.0.113.9"}
    return {**newest, **keys, "playbooks": "three-failures", "of": "three-failures", "reports": "day"}


def filled(path: str, known: dict[str, str]) -> str:
    return re.sub(r"(\w+)/\{[\w:]+\}", lambda found: f"{found[1]}/{known.get(found[1], 'none')}", path)


def test_no_answer_holds_one(used):
    known, marked = ids(used), set()
    gets = [one for one in RIGHTS if one.startswith("GET ") and one not in STREAMS]
    for key in ("a key of read", "a key of admin", "the local token"):
        for operation in gets:
            path = filled(operation.split(" ")[1], known) + QUERIES.get(operation, "").replace("marker", MARKER)
            answer = used.process.client.using(used.secrets[key]).get(path)
            used.free_of_secrets(f"{operation} with {key}", answer.body + repr(answer.headers).encode())
            marked |= {operation} if MARKER.encode() in answer.body else set()
    assert marked >= {one for one in MARKED if "/v1/" in one}


def test_no_page_holds_one(used):
    known, marked = ids(used), set()
    for route in PAGES:
        method, path = route.split(" ")
        if method == "GET" and path != "/explorer/tail":
            body = used.reader.get(filled(path, known)).body
            used.free_of_secrets(route, body)
            marked |= {route} if MARKER.encode() in body else set()
    assert marked >= {one for one in MARKED if "/v1/" not in one}
    assert used.reader.get("/settings/keys").status == used.reader.get("/settings/accounts").status == 200


@pytest.mark.parametrize("form", ["ndjson", "csv", "parquet"])
def test_no_export_of_events_holds_one(used, form, tmp_path):
    answer = used.admin.get(f"/v1/events/export?format={form}")
    assert answer.status == 200
    shown = answer.body
    if form == "parquet":  # which packs
        (tmp_path / "events.parquet").write_bytes(answer.body)
        shown = repr(duckdb.read_parquet(str(tmp_path / "events.parquet")).fetchall()).encode()
    assert MARKER.encode() in shown
    used.free_of_secrets(form, answer.body + shown)


@pytest.mark.parametrize("form", ["ocsf", "ecs"])
def test_no_export_of_findings_holds_one(used, form):
    answer = used.admin.get(f"/v1/findings/export?format={form}")
    assert b"203.0.113.9" in answer.body
    used.free_of_secrets(form, answer.body)


def test_no_receiver_is_told_one_but_its_own_address(used):
    for receiver in used.receivers:
        told = [request for request in receiver.requests if request.line.startswith("POST ")]
        assert told
        for request in told:
            assert request.headers["webhook-signature"] and request.json()["type"] == "finding.opened"
            used.free_of_secrets("a delivery", request.body + repr(request.headers).encode())


def test_no_backup_holds_one_and_nothing_of_the_data_folder_but_two_files_does(used):
    target = used.folder / "backup"
    target.mkdir(mode=0o700)
    local = used.process.client.using(used.secrets["the local token"])
    assert local.post("/v1/backup", {"folder": str(target)}).status == 200
    shown = list(read(target))
    assert any(MARKER in one for one in shown) and any("$argon2id$" in one for one in shown)
    used.free_of_secrets("the backup", "\n".join(shown))
    for file in (*target.iterdir(), *used.process.data.iterdir()):
        if file.is_file() and file.name not in ("server.json", "first-start.txt"):  # which are there to hold them
            used.free_of_secrets(file.name, file.read_bytes())


def read(backup: Path) -> Iterator[str]:
    """Give every row of every table of a backup, unpacked."""
    with closing(sqlite3.connect(backup / CONTROL)) as control:
        for (name,) in control.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in control.execute(f'SELECT * FROM "{name}"'):
                yield " ".join(unpacked(value) if isinstance(value, bytes) else str(value) for value in row)
    with duckdb.connect(str(backup / EVENTS), read_only=True) as events:
        for (name,) in events.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            yield from map(repr, events.execute(f'SELECT * FROM "{name}"').fetchall())


def unpacked(data: bytes) -> str:
    """Return the text of bytes, out of their packing where they are packed."""
    try:
        with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)) as stream:
            return stream.read().decode("utf-8", "replace")
    except zstandard.ZstdError:
        return data.decode("utf-8", "replace")


def test_no_line_of_the_log_holds_one(used):
    """Runs last: by now everything was asked for."""
    said = used.process.said()
    assert "list from `127.0.0.1`" in said, "what failed is told"
    used.free_of_secrets("the log", said)
