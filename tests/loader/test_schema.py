"""The JSON Schema says what the reader says, as far as JSON Schema can: it is made from the same description."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sentinel.content import folder
from sentinel.loader.assembly import assemble
from sentinel.loader.schema import json_schema
from sentinel.loader.source import open_page, read_documents
from sentinel.loader.words import as_json
from tests.loader.samples import PLAYBOOK, RULE

FILES = sorted([*folder("playbooks").rglob("*.yaml"), *folder("rules").glob("*.yaml")])
BOTH = jsonschema.Draft202012Validator(json_schema())


def documents(text: str) -> list[Any]:
    """Return a text's documents as a YAML 1.2 editor sees them: plain numbers are numbers."""
    return [as_json(document.root) for document in read_documents(open_page("f.yaml", text.encode()))]


@pytest.mark.parametrize("kind", ["rule", "playbook", None])
def test_it_is_a_schema_of_the_draft_it_names(kind: str | None) -> None:
    schema = json_schema(kind)
    assert schema["$schema"].endswith("2020-12/schema")
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_shipped_file_is_valid(path: Path) -> None:
    for document in documents(path.read_text()):
        kind = "playbook" if "playbook" in document else "rule"
        own = jsonschema.Draft202012Validator(json_schema(kind))
        assert not [*own.iter_errors(document), *BOTH.iter_errors(document)]


def test_a_file_that_uses_every_key_is_valid() -> None:
    for document in documents(RULE + "---\n" + PLAYBOOK):
        assert not list(BOTH.iter_errors(document))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("group_by: [ip, request.host]", "groupby: ip"),
        ("group_by: [ip, request.host]", "group_by: geo.contry"),
        ("playbook: stuffing", "playbook: Stuffing!"),
        ("window: 10m", "window: 10 minutes"),
        ("window: 10m\n", ""),
        ('rule: login-failed\nwhere: >-\n  user != "id:probe"\n  and not in_list(ip, "office")\n', ""),
        ("mode: enforce", "mode: on"),
        ("{gt: 12}", "{gt: 12, gte: 12}"),
        ("{gt: 12}", "0"),
        ("distinct: {user: 10}", "distinct: {user.labels: 10}"),
        ("distinct: {user: 10}", "unique: {user: 10}"),
        ("gte: 0.9", "about: 0.9"),
        ("- block_ip: {for: [15m, 1h, forever], unless_shared_by: 5}", "- block_ip: {for: soon}"),
        ("- label_ip: {name: stuffing}", "- label_ip: {name: stuffing}\n    notify: {channel: security}"),
        ("- label_ip: {name: stuffing}", "- emit: {name: stuffing}"),
        ("- block_users: all", "- block_users: some"),
        ("- block_users: all", "- block_users: {}"),
        ("claimed: true", "claimed: yes"),
        ("guard: {max: 50, per: 1h}", "guard: {max: 0, per: 1h}"),
        ("reason: office address, ", ""),
        ("until: 2030-01-31", "until: tomorrow"),
        ("accept_lockout: false", "accept_lockout: no"),
        ("verdict: block", "verdict: blocked"),
        ("at: 45s", "at: soon"),
        ("success: false, ip: 203.0.113.9", "sucess: false, ip: 203.0.113.9"),
        ("repeat: 10", "repeat: ten"),
    ],
)
def test_what_the_reader_refuses_the_schema_refuses(old: str, new: str) -> None:
    assert PLAYBOOK.count(old) == 1
    (document,) = documents(PLAYBOOK.replace(old, new))
    assert not BOTH.is_valid(document)


@pytest.mark.parametrize("id", ["123", "0", "007", "2026", "1e3", "true", "a1"])
def test_an_id_that_other_readers_take_for_a_number_is_valid_as_it_is_to_the_reader(id: str) -> None:
    for text, name in ((RULE, "login-failed"), (PLAYBOOK, "stuffing")):
        renamed = text.replace(f": {name}\n", f": {id}\n", 1)
        (document,) = documents(renamed)
        assert BOTH.is_valid(document)
        assert BOTH.is_valid(document | {next(iter(document)): int(id)}) if id.isdecimal() else True
    assert list(assemble({"r.yaml": RULE.replace("login-failed", id).encode()}).rules) == [id]
    assert not BOTH.is_valid(document | {"playbook": -1}) and not BOTH.is_valid(document | {"playbook": 1.5})


def test_every_key_of_both_kinds_is_described() -> None:
    """An editor shows these lines beside what it completes."""
    for kind in ("rule", "playbook"):
        for name, key in json_schema(kind)["properties"].items():
            assert key.get("description"), f"{kind}.{name}"
