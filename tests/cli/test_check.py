"""`sentinel check`, `schema` and `functions`: what reaches which stream, and the exit code."""

from __future__ import annotations

import json

import jsonschema
import pytest

from sentinel.cli.program import run
from sentinel.engine.functions import FUNCTIONS, signature

RIGHT = "playbook: p\nevent: a\ngroup_by: ip\nwindow: 10m\nwhen: {count: 5}\n"
WRONG = RIGHT.replace("group_by", "groupby") + "actions: [{notify: {channel: pager}}]\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SENTINEL_CHANNELS", raising=False)
    return tmp_path


def test_without_a_path_the_shipped_files_are_checked(here, capsys):
    assert run(["check"]) == 0
    out, err = capsys.readouterr()
    assert out.endswith("playbooks: no mistakes\n") and err == ""


def test_what_is_right_is_one_line(here, capsys):
    (here / "p.yaml").write_text(RIGHT)
    assert run(["check", "p.yaml"]) == 0
    assert capsys.readouterr().out == "0 rules, 1 playbook: no mistakes\n"


@pytest.mark.parametrize("text", ["", "# to be written\n"])
def test_where_there_is_nothing_to_check_that_is_said(here, capsys, text):
    (here / "p.yaml").write_text(text)
    assert run(["check", "p.yaml"]) == 2
    assert capsys.readouterr().err.startswith("sentinel: there is no rule and no playbook to check (")
    assert run(["check", "p.yaml", "--format", "json"]) == 0


def test_rules_from_elsewhere_are_counted_apart(here, capsys):
    (here / "rules").mkdir()
    (here / "rules" / "r.yaml").write_text("rule: r\nevent: a\n")
    (here / "p.yaml").write_text(RIGHT.replace("event: a", "rule: r"))
    assert run(["check", "p.yaml"]) == 0
    assert capsys.readouterr().out == "0 rules, 1 playbook, with 1 rule from elsewhere: no mistakes\n"
    assert run(["check", "p.yaml", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"rules": 0, "playbooks": 1, "mistakes": [], "notes": []}


SECRETS = """
playbook: p
event: a
where: properties.card_country != geo.country or properties.gift.card_number == "x" or properties.cards > 1
group_by: properties.session_id
window: 10m
when: {count: 5, distinct: {request.params.api_key: 2, properties.session: 2}}
"""
SEQUENCE = """
playbook: q
group_by: user
window: 10m
sequence: [{event: a, where: properties.otp == 1}, {event: b, count: 2, distinct: {properties.token: 2}}]
"""


def test_what_asks_for_a_secret_that_no_sdk_sends_is_no_mistake_but_told(here, capsys):
    """Its tests may all pass, and on a server it finds nobody; with `!=` it finds everybody."""
    (here / "p.yaml").write_text(f"rule: r\nwhere: properties.cookie == 1\n---{SECRETS}---{SEQUENCE}")
    assert run(["check", "p.yaml"]) == 0
    first, *notes = capsys.readouterr().out.splitlines()
    assert first == "1 rule, 2 playbooks: no mistakes"
    said = "an SDK sends `<redacted>` in its place, one text for everybody"
    assert notes[0] == f"p.yaml:1:1: note: `properties.cookie`: {said}"
    assert set(notes[1::2]) == {"    hint: call it otherwise, and send a keyed hash of it"}
    assert [line.split("`")[1] for line in notes[::2]] == [
        "properties.cookie", "properties.card_country", "properties.gift.card_number", "properties.session_id",
        "request.params.api_key", "properties.otp", "properties.token",
    ]  # fmt: skip
    assert run(["check", "p.yaml", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)["notes"]
    assert len(told) == 7 and (told[0]["line"], told[0]["field"]) == (1, "properties.cookie")


MEANT = """
playbook: names
event: [auth or signup, "auth, signup", Order placed, payment.*]
where: user == "*@example.com" or request.path in ["/admin*", "/x", "*"] or "*.php*" in request.path or event == "a.*"
group_by: ip
window: 10m
when: {count: 5, ratio: {where: 'startswith(request.path, "/api/*")', gte: 0.5}}
"""


def test_names_that_are_one_text_and_stars_in_texts_are_noted(here, capsys):
    """All of it is written well, and would never find anybody: nothing is called `auth, signup`."""
    (here / "p.yaml").write_text(f"rule: r\nevent: a|b\n---{MEANT}")
    assert run(["check", "p.yaml"]) == 0
    first, *notes = capsys.readouterr().out.splitlines()
    assert first == "1 rule, 1 playbook: no mistakes"
    assert notes[:2] == [
        "p.yaml:1:1: note: `a|b`: this is the name of one event", "    hint: several are a list: `[a, b]`",
    ]  # fmt: skip
    assert dict(zip((one.split("`")[1] for one in notes[2::2]), notes[3::2], strict=True)) == {
        "*.php*": '    hint: write `contains(request.path, ".php")`',
        "*@example.com": '    hint: write `endswith(user, "@example.com")`',
        "/admin*": '    hint: write `startswith(request.path, "/admin")`',
        "/api/*": '    hint: write `startswith(request.path, "/api/")`',
        "a.*": "    hint: the key `event: a.*` takes such names",
        "auth or signup": "    hint: several are a list: `[auth, signup]`",
        "auth, signup": "    hint: several are a list: `[auth, signup]`",
    }


def test_the_beginning_of_a_user_without_its_kind_is_noted(here, capsys):
    """`user == "svc"` means `id:svc`; of a function it does not, and the rule matched nothing, in silence."""
    asked = [
        'startswith(user, "svc-")', 'lower(user) == "ana"', '"ben" != lower(user)', 'lower(user) in ["cy", "id:dan"]',
        'startswith(user, "id:svc-")', 'startswith(user, "use")', 'user in ["eve", "fay"]', 'contains(user, "gil")',
        'startswith(user.id, "hal")', 'lower(user.email) == "ivo"',
    ]  # fmt: skip
    (here / "r.yaml").write_text(f"rule: r\nwhere: '{' or '.join(asked)}'\n")
    assert run(["check", "r.yaml"]) == 0
    _, *notes = capsys.readouterr().out.splitlines()
    assert [one.split("`")[1] for one in notes[::2]] == ["ana", "ben", "cy", "svc-"]
    said = "r.yaml:1:1: note: `svc-`: a user begins with its kind, such as `id:`"
    assert notes[-2:] == [said, '    hint: write "id:svc-"']


def test_a_search_of_the_whole_app_for_more_than_is_remembered_is_noted(here, capsys):
    new = "first_seen: {{field: {}, history: 30d, after: 5}}\n"
    found = ["group_by: []\n" + new.format(field) for field in ("properties.client", "agent.os", "event")]
    found.append("group_by: user\n" + new.format("geo.country"))
    documents = [f"playbook: p{number}\nevent: [a, b]\n{one}" for number, one in enumerate(found)]
    (here / "p.yaml").write_text("---\n".join(documents))
    assert run(["check", "p.yaml"]) == 0
    _, *notes = capsys.readouterr().out.splitlines()
    said = "of the whole app 64 values are remembered, and one that was forgotten is new again"
    hint = "`group_by: properties.client`, `when: {count: 1}` and a long `cooldown`"
    assert notes == [f"p.yaml:1:1: note: `properties.client`: {said}", f"    hint: {hint}"]


def test_all_mistakes_go_to_standard_error_with_their_place_first(here, capsys):
    (here / "p.yaml").write_text(WRONG)
    assert run(["check", "p.yaml"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "p.yaml:3:1: unknown key `groupby`\n"
        "    groupby: ip\n"
        "    ^^^^^^^\n"
        "    hint: did you mean `group_by`?\n"
        "\n"
        "p.yaml:6:30: there is no channel `pager`\n"
        "    actions: [{notify: {channel: pager}}]\n"
        "                                 ^^^^^\n"
        "    hint: known are `log`, `security`; the settings' `channels` and `--channel` name others\n"
        "\n"
        "2 mistakes\n"
    )


def test_editors_get_the_mistakes_as_json(here, capsys):
    (here / "p.yaml").write_text(WRONG)
    assert run(["check", "p.yaml", "--format", "json"]) == 1
    out, err = capsys.readouterr()
    first, second = json.loads(out)["mistakes"]
    assert first == {
        "file": "p.yaml", "line": 3, "column": 1, "width": 7,
        "message": "unknown key `groupby`", "hint": "did you mean `group_by`?",
    }  # fmt: skip
    assert second["line"] == 6
    assert err == ""
    (here / "p.yaml").write_text(RIGHT)
    assert run(["check", "p.yaml", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"rules": 0, "playbooks": 1, "mistakes": [], "notes": []}


def test_a_channel_exists_by_the_settings_or_by_the_option(here, capsys, monkeypatch):
    (here / "p.yaml").write_text(RIGHT + "actions: [{notify: {channel: pager}}]\n")
    assert run(["check", "p.yaml"]) == 1
    assert run(["check", "p.yaml", "--channel", "pager"]) == 0
    monkeypatch.setenv("SENTINEL_CHANNELS", '{"pager": {"kind": "log"}}')
    assert run(["check", "p.yaml"]) == 0


def test_rules_may_lie_elsewhere(here):
    (here / "p.yaml").write_text(RIGHT.replace("event: a", "rule: mine"))
    (here / "mine.yaml").write_text("rule: mine\nevent: a\n")
    assert run(["check", "p.yaml"]) == 1
    assert run(["check", "p.yaml", "--rules", "mine.yaml"]) == 0


def test_a_path_that_is_not_there_is_code_2(here, capsys):
    assert run(["check", "nowhere"]) == 2
    assert capsys.readouterr().err == "sentinel: there is no file or folder `nowhere`\n"


def test_what_a_file_says_cannot_steer_the_terminal(here, capsys):
    (here / "p.yaml").write_bytes("\N{RIGHT-TO-LEFT OVERRIDE}: \x85x\N{ZERO WIDTH SPACE}: \x1b[2J\n".encode())
    (here / "q.yaml").write_bytes(RIGHT.encode() + "\N{RIGHT-TO-LEFT OVERRIDE}x: 1\n".encode())
    assert run(["check", "."]) == 1
    assert all(char.isprintable() or char == "\n" for char in capsys.readouterr().err)


@pytest.mark.parametrize("arguments", [["schema"], ["schema", "--kind", "rule"], ["schema", "--kind", "playbook"]])
def test_the_schema_is_json_schema(arguments, capsys):
    assert run(arguments) == 0
    schema = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(schema)
    right = {"rule": "a", "event": "b"} if "rule" in arguments else _right()
    assert jsonschema.Draft202012Validator(schema).is_valid(right)
    assert not jsonschema.Draft202012Validator(schema).is_valid(right | {"mood": "good"})


def _right():
    return {"playbook": "p", "event": "a", "group_by": "ip", "window": "10m", "when": {"count": 5}}


def test_every_function_is_listed_with_signature_meaning_and_example(capsys):
    assert run(["functions"]) == 0
    shown = capsys.readouterr().out
    for name, function in FUNCTIONS.items():
        assert f"\n{name}(" in "\n" + shown
        assert function.doc in shown and function.example in shown


def test_functions_as_json(capsys):
    assert run(["functions", "--format", "json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == list(FUNCTIONS)


def test_on_a_terminal_functions_are_a_table(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert run(["functions"]) == 0
    shown = capsys.readouterr().out
    assert "┃" in shown
    assert 'contains(request.path, "/admin")' in shown


def test_on_a_narrow_terminal_nothing_of_a_function_is_left_out(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert run(["functions"]) == 0
    assert capsys.readouterr().out.count("…") == sum(signature(name).count("…") for name in FUNCTIONS)
