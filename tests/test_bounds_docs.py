"""What pages say of bounds and of what an event may hold is the code's own."""

from __future__ import annotations

import re
from pathlib import Path

from sentinel.actions import channel
from sentinel.api import hub, program
from sentinel.api.paths import SCHEMAS
from sentinel.console import guard
from sentinel.core import decisions, event, identity
from sentinel.core.duration import DAY, MINUTE
from sentinel.edge import batch, door, turns, wire
from sentinel.engine import crowd, lexer, memory, syntax
from sentinel.loader import content, detectors, schema, shapes, source
from sentinel.service import hand, intake, saved, tenant
from sentinel.store import access, paths
from sentinel.store.explorer import machine
from sentinel.windows import novelty, together
from sentinel.windows.groups import Limits
from tests.api.test_walls import LISTENERS, READERS, RIGHTS

DOCS = Path(__file__).parents[1] / "docs"
OPERATING = (DOCS / "operating.md").read_text()
WATCHING = (DOCS / "watching.md").read_text()
API = (DOCS / "api.md").read_text()
FILES = re.search(r"^A file holds at most .*?\n\n", (DOCS / "playbooks.md").read_text(), re.M | re.S)[0]
PEOPLE = channel.MOST["apprise"]
BOUNDS = {
    "groups of a playbook": (Limits().groups, Limits().per_source),
    "waits of an": (Limits().groups,),
    "values a group is known by": (novelty.VALUES,),
    "users seen in a group's window": (crowd.MOST, crowd.KEPT),
    "familiar places": (memory.PLACES, memory.KNOWN),
    "shared addresses": (memory.KNOWN,),
    "both in Valkey": (together.FAMILIAR_FOR * 1000 // DAY,),
    "findings that gather evidence": (tenant.OPEN_FINDINGS,),
    "messages of an app to a channel of kind": (PEOPLE.most, PEOPLE.per // MINUTE),
    "requests with events that wait": (intake.MOST_WAITING,),
    "open streams": (hub.MOST_SEATS,),
    "questions to the explorer": (machine.AT_ONCE, turns.AT_ONCE, turns.AT_ONCE_OF_APP),
    "properties that are learnt": (paths.MOST,),
    "tails of events, exports": (*hub.AT_ONCE["events"], *hub.AT_ONCE["exports"]),
    "saved searches, keys in use": (saved.MOST, access.MOST_KEYS, hand.MOST_ALLOWED),
    "decisions an SDK holds": (decisions.LIMIT, decisions.ROOM >> 20),
    "unfinished bodies": (wire.MOST_HELD >> 20, door.OF_STRANGERS >> 20, door.PARTS),
    "a body of who has no key": (program.STRANGERS // 1024, guard.FORM // (1024 * 1024)),
}


def table(page: str, head: str) -> dict[str, str]:
    """Return a table's rows by their first cells, found by how its head begins."""
    rows = page.partition(head)[2].partition("\n\n")[0].splitlines()[2:]
    return {cells[1].strip(" `"): " ".join(cells[2:]) for cells in (row.split("|") for row in rows)}


def test_every_bound_is_told_as_it_is():
    rows = table(WATCHING.partition("## What is bounded")[2], "| what |")
    assert Limits().hits == 1000
    assert len(rows) == len(BOUNDS) + 1
    for begins, numbers in BOUNDS.items():
        (row,) = [text for what, text in rows.items() if what.startswith(begins)]
        told = {int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", row)}
        assert told >= set(numbers), begins


def test_the_bounds_of_files_are_told():
    told = {int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", FILES)}
    assert told == {
        source.LARGEST >> 20, lexer.LONGEST, syntax.LONGEST_LIST, content.LARGEST_LIST >> 20, detectors.MOST_STEPS,
        shapes.MOST_ITEMS, detectors.LARGEST_THRESHOLD, schema.PLAYBOOK.keys["tests"].shape.most,
    }  # fmt: skip


def test_every_field_of_an_event_is_told_with_its_bound():
    rows = table(API, "| field |")
    described = SCHEMAS["Event"]["properties"]
    assert set(rows) == set(described)
    assert set(re.findall(r"`(\w+)`", rows["request"])) == set(described["request"]["properties"])
    for name, bound in (
        ("event", event.NAME_LENGTH), ("id", event.ID_LENGTH), ("device", event.DEVICE_LENGTH),
        ("user", identity.LONGEST), ("user", batch.LARGEST_USER // 1024), ("properties", event.PROPERTIES_DEPTH),
        ("properties", batch.LARGEST_PROPERTIES // 1024), ("request", batch.LARGEST_PROPERTIES // 1024),
    ):  # fmt: skip
        assert re.search(rf"\b{bound}\b", rows[name]), name


def scopes(operation: str) -> set[str]:
    """Return which scopes may do it by what is told above the table of operations."""
    method, path = operation.split()
    if path.startswith("/v1/accounts") or operation in ("POST /v1/apps", "POST /v1/backup"):
        return set()  # each said in its own line
    if path.startswith("/v1/searches"):
        return READERS
    if method != "GET" or path in ("/v1/keys", "/v1/apps", "/v1/audit"):
        return {"admin"}
    return LISTENERS if path.startswith(("/v1/decisions", "/v1/blocklist", "/v1/feed")) else READERS


def test_the_scopes_that_are_told_are_those_that_may():
    sending = {"POST /v1/events", "POST /v1/import", "GET /healthz", "GET /readyz"}
    assert {one: rights for one, rights in RIGHTS.items() if one not in sending and rights != scopes(one)} == {}
    assert "read everything of the app except its keys, its settings and the audit" in OPERATING
