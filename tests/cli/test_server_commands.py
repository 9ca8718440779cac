"""Commands that talk to a running server: what they ask, what they print, and what they say when it says no."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import structlog
import zstandard

from sentinel.cli import client as asking
from sentinel.cli import importing
from sentinel.cli.client import Client, Refused, Unreachable, connect
from sentinel.cli.importing import Bookmark, Sender
from sentinel.cli.options import scope_of
from sentinel.cli.program import run
from sentinel.core.batch import Batch, Note, Outgoing
from sentinel.core.errors import SentinelError
from sentinel.local import LOCAL, leave
from tests.api.served import wait_for
from tests.api.whole import whole as run_whole


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Run a server in this process, whose log would stand among what a command prints: it is told when it is told."""
    kept = structlog.get_config()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    try:
        with run_whole(tmp_path_factory.mktemp("server")) as whole:
            url = f"http://127.0.0.1:{whole.client.port}"
            leave(whole.server.settings.data, url, whole.server.token)
            whole.url = url
            yield whole
    finally:
        structlog.configure(**kept)


@pytest.fixture
def ask(server, capsys, monkeypatch, tmp_path):
    """Run a command beside the server's data folder and return its code, lines and errors."""
    monkeypatch.setenv("SENTINEL_DATA", str(server.server.settings.data))
    monkeypatch.setenv("SENTINEL_APP", "one")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def command(*words):
        code = run([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out.splitlines(), err

    return command


def as_json(answer):
    code, lines, err = answer
    assert code == 0, err
    return [json.loads(line) for line in lines]


class TestReading:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("change one", "there is nothing to change (give `--name`, `--retention`, `--identifiers` or `--ipv6`)"),
            ("add Foo", "`id`: `Foo` cannot be an app's (lower case, digits and `-`, such as `shop-staging`)"),
            ("change one --retention soon", "`retention`: `soon` is not a duration (write"),
            (
                "change one --identifiers id,E-Mail",
                "`identifiers.1`: `E-Mail` is no identifier (lower case, digits and",
            ),
        ],
    )
    def test_what_cannot_be_is_told_by_what_could(self, ask, words, said):
        code, _, err = ask("apps", *words.split())
        assert code == 2 and err.startswith(f"sentinel: {said}")

    def test_an_account_that_is_to_stay_as_it_is_is_not_said_to_be_changed(self, ask):
        assert ask("accounts", "change", "somebody")[2].startswith(
            "sentinel: there is nothing to change (give `--role`"
        )

    def test_on_a_terminal_columns_have_heads_and_in_a_pipe_they_have_none(self, ask, monkeypatch):
        plain = ask("apps", "list")[1]
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        head, *rows = ask("apps", "list")[1]
        assert head.split() == ["ID", "NAME", "MADE", "RETENTION", "IDENTIFIERS"]
        assert [line.split() for line in rows] == [line.split() for line in plain]


class TestAccounts:
    def test_somebody_is_invited_changed_reset_and_removed_by_name(self, server, ask):
        (made,) = as_json(
            ask("accounts", "add", "Ana@Example.com", "--role", "analyst", "--app", "one", "--format", "json")
        )
        assert (made["name"], made["role"], made["apps"], made["ready"]) == (
            "ana@example.com",
            "analyst",
            ["one"],
            False,
        )
        assert made["link"] == f"{server.url}/welcome#{made['code']}"
        assert server.server.accounts.accept(made["code"], "", "river anvil seven moss")
        assert as_json(ask("accounts", "list", "--format", "json"))[0]["ready"] is True
        code, lines, _ = ask("accounts", "change", "ana@example.com", "--role", "viewer", "--app", "*")
        assert (code, lines) == (0, ["changed ana@example.com: viewer of *"])
        code, lines, _ = ask("accounts", "reset", "ana@example.com")
        assert code == 0
        assert lines[1].startswith(f"{server.url}/welcome#")
        assert as_json(ask("accounts", "list", "--format", "json"))[0]["ready"] is False
        assert ask("accounts", "remove", "ana@example.com")[0] == 0
        assert ask("accounts", "list") == (0, [], "")

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("add", "ana", "--role", "king"), "`role`"),
            (("add", "<b>"), "cannot be a name"),
            (("add", "ana", "--app", "nowhere"), "there is no app `nowhere` (`sentinel apps list`"),
            (("remove", "nobody"), "there is no account `nobody`"),
        ],
    )
    def test_what_cannot_be_is_told(self, ask, words, message):
        code, _, err = ask("accounts", *words)
        assert code == 2
        assert message in err


class TestKeys:
    def test_a_new_key_is_printed_alone_so_that_a_script_can_take_it(self, server, ask):
        code, lines, _ = ask("keys", "create", "read", "--name", "dashboard")
        assert (code, len(lines)) == (0, 1)
        assert server.client.using(lines[0]).get("/v1/findings").status == 200

    def test_a_key_for_a_foreign_client_opens_that_clients_paths_alone(self, server, ask):
        words = ("keys", "create", "sdk", "--protocol", "crowdsec", "--setting", "expand=yes", "--format", "json")
        (made,) = as_json(ask(*words))
        assert (made["protocol"], made["settings"]) == ("crowdsec", {"expand": True})
        answer = server.client.get("/compat/crowdsec/v1/decisions", headers={"X-Api-Key": made["secret"]})
        assert answer.status == 200
        assert server.client.using(made["secret"]).get("/v1/decisions").status == 403

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--protocol", "none"], "`protocol`: `none` is not known"),
            (["--protocol", "crowdsec", "--setting", "expand"], "`--setting`: `expand` is no setting"),
            (["--protocol", "crowdsec", "--setting", "odd=1"], "`settings.odd`: not a setting of keys for `crowdsec`"),
            (["--setting", "a=b"], "`settings`: only keys for a foreign protocol have them"),
        ],
    )
    def test_a_key_for_a_foreign_client_that_cannot_be_is_not_made(self, ask, words, message):
        code, _, err = ask("keys", "create", "sdk", *words)
        assert (code, message in err) == (2, True)

    def test_keys_are_listed_without_secrets_and_revoked_by_id(self, server, ask):
        (made,) = as_json(ask("keys", "create", "sdk", "--format", "json"))
        _, lines, _ = ask("keys", "list")
        assert any(line.startswith(made["id"]) for line in lines)
        assert made["secret"] not in "\n".join(lines)
        assert ask("keys", "revoke", made["id"])[0] == 0
        assert server.client.using(made["secret"]).get("/v1/feed").status == 401

    def test_a_browser_key_names_its_origins(self, ask):
        (made,) = as_json(ask("keys", "create", "browser", "--origin", "https://a.example", "--format", "json"))
        assert made["origins"] == ["https://a.example"]

    def test_what_the_server_refuses_is_one_line_with_its_hint(self, ask):
        code, lines, err = ask("keys", "create", "browser")
        assert (code, lines) == (2, [])
        assert err == (
            "sentinel: `origins`: browser keys have some, other keys have none (such as `https://shop.example`)\n"
        )


class TestApps:
    def test_an_app_is_added_changed_and_used(self, ask):
        assert ask("apps", "add", "shop-2", "--name", "Second")[0] == 0
        assert ask("apps", "change", "shop-2", "--retention", "90d", "--identifiers", "id, anonymous_id")[0] == 0
        assert ask("apps", "change", "shop-2", "--ipv6", "56")[0] == 0
        found = {app["id"]: app for app in as_json(ask("apps", "list", "--format", "json"))}
        assert (found["shop-2"]["name"], found["shop-2"]["retention"]) == ("Second", "90d")
        assert found["shop-2"]["identifiers"] == ["id", "anonymous_id"]
        assert found["shop-2"]["ipv6"] == 56
        (key,) = as_json(ask("keys", "create", "sdk", "--app", "shop-2", "--format", "json"))
        assert key["app"] == "shop-2"

    def test_an_app_that_is_not_there_is_said_so(self, ask):
        said = "sentinel: there is no app `nowhere` (`sentinel apps list` shows them)\n"
        assert ask("keys", "list", "--app", "nowhere")[2] == said


class TestDecisions:
    def test_one_is_made_listed_and_lifted(self, server, ask):
        (made,) = as_json(ask("decisions", "add", "block", "198.51.100.50", "--why", "abuse", "--format", "json"))
        assert (made["scope"], made["reason"], made["by"]) == ("ip", "abuse", "local administrator")
        assert [one["id"] for one in as_json(ask("decisions", "list", "--value", "198.51.100.50", "--format", "json"))]
        assert ask("decisions", "lift", made["id"], "--why", "a mistake")[0] == 0
        assert ask("decisions", "list", "--value", "198.51.100.50")[1] == []
        (over,) = as_json(ask("decisions", "list", "--all", "--value", "198.51.100.50", "--format", "json"))
        assert (over["lifted_why"], over["in_force"]) == ("a mistake", False)

    def test_deliveries_are_listed_and_tried_again(self, server, ask):
        store = server.server.store
        rows = tuple(Outgoing(f"cli-{n}", "notify", "nowhere", {}) for n in range(2))
        with store.unit() as unit:
            unit.commit([Batch("one", 1, outbox=rows)])
        server.server.courier.hurry()
        given_up = wait_for(lambda: found if len(found := store.outbox.list("one", dead=True).items) == 2 else None)
        assert as_json(ask("deliveries", "list", "--bundle", given_up[0].id, "--format", "json")) == []
        listed = as_json(ask("deliveries", "list", "--dead", "--format", "json"))
        assert {one["error"] for one in listed} == {"there is no channel `nowhere`"}
        assert ask("deliveries", "retry", given_up[0].id) == (0, [], "")
        assert wait_for(lambda: len(store.outbox.list("one", dead=True).items) == 2)
        assert ask("deliveries", "retry", "--all") == (0, ["2 tried again"], "")
        assert ask("deliveries", "retry")[0] == ask("deliveries", "retry", "7", "--all")[0] == 2

    def test_the_audit_is_asked_who_what_on_whom_and_when(self, server, ask):
        (made,) = as_json(ask("decisions", "add", "block", "198.51.100.52", "--why", "abuse", "--format", "json"))
        mine = ("--by", made["by"], "--action", "decision", "--target", "ip 198.51.100.52")
        (line,) = as_json(ask("audit", *mine, "--from", "1h", "--format", "json"))
        assert (line["action"], line["reason"], line["app"]) == ("decision.add", "abuse", "one")
        row = [line["at"], "local administrator", "decision.add", "ip 198.51.100.52", "abuse"]
        assert ask("audit", *mine) == (0, ["  ".join(row)], "")
        for other in (("--to", "1h"), ("--by", "account:nobody"), ("--action", "decision.lift"), ("--target", "ip")):
            assert ask("audit", *mine, *other) == (0, [], "")
        server.server.store.audit.write(None, Note("ana", "apps.change", "one"), 1)
        assert {one["app"] for one in as_json(ask("audit", "--server", "--format", "json"))} == {None}

    def test_all_of_a_playbook_are_lifted_at_once(self, ask):
        done = ask("decisions", "lift", "--playbook", "nobody", "--why", "a mistake")
        assert done == (0, ["0 decisions lifted"], "")
        for wrong in ((), ("some", "--playbook", "p"), ("some", "--by", "hand"), ("--kind", "block")):
            code, _, said = ask("decisions", "lift", *wrong)
            hint = "give a decision's id, or `--playbook ID`, or `--by WHO`"
            assert (code, said) == (2, f"sentinel: lift what? ({hint})\n")

    def test_all_that_somebody_decided_by_hand_are_lifted_at_once(self, ask):
        assert ask("decisions", "add", "challenge", "198.51.100.51", "--why", "abuse")[0] == 0
        mine = ("--by", "local administrator")
        (made,) = as_json(ask("decisions", "list", *mine, "--value", "198.51.100.51", "--format", "json"))
        assert made["kind"] == "challenge"
        assert ask("decisions", "lift", *mine, "--kind", "allow") == (0, ["0 decisions lifted"], "")
        assert ask("decisions", "lift", *mine, "--kind", "challenge") == (0, ["1 decision lifted"], "")
        assert ask("decisions", "list", "--value", "198.51.100.51")[1] == []

    @pytest.mark.parametrize(
        ("value", "scope"),
        [("42", "user"), ("id:42", "user"), ("email:a@b.example", "user"), ("203.0.113.9", "ip"), ("::1", "ip"),
         ("203.0.113.0/24", "network"), ("2001:db8::/64", "network"), ("2001:db8::1", "ip"), ("203.0.113", "ip"),
         ("username:a:b", "user")],
    )  # fmt: skip
    def test_the_scope_is_what_the_target_looks_like(self, value, scope):
        assert scope_of(value) == scope

    def test_a_list_is_as_long_as_was_asked_for_over_several_pages(self, ask, monkeypatch):
        for n in range(4):
            ask("decisions", "add", "block", "id:paged", "--why", str(n))
        assert len(ask("decisions", "list", "--value", "id:paged", "--limit", "3")[1]) == 3

    def test_what_others_wrote_cannot_steer_the_terminal(self, server, ask):
        server.using("sdk").post("/v1/events", {"event": "x", "user": "\x1b[2Jroot", "ip": "203.0.113.99"})
        _, lines, _ = ask("events", "--ip", "203.0.113.99")
        assert "\x1b" not in lines[0] and "\\x1b[2Jroot" in lines[0]

    def test_json_is_json_whatever_others_wrote(self, server, ask):
        odd = "\x7f\x9b\u202ejane"
        server.using("sdk").post("/v1/events", {"event": "x", "user": odd, "ip": "203.0.113.98"})
        (event,) = as_json(ask("events", "--ip", "203.0.113.98", "--format", "json"))
        assert odd in json.dumps(event, ensure_ascii=False).replace("\\u007f", "\x7f")
        (made,) = as_json(ask("decisions", "add", "block", "id:odd\x9b", "--why", "abuse", "--format", "json"))
        (listed,) = as_json(ask("decisions", "list", "--value", "id:odd\x9b", "--format", "json"))
        assert (made["value"], listed["value"]) == ("id:odd\x9b", "id:odd\x9b")

    def test_of_a_private_address_it_is_warned_and_done_all_the_same(self, server, ask):
        code, lines, err = ask("decisions", "add", "block", "10.1.2.3", "--why", "abuse")
        assert (code, len(lines)) == (0, 1)
        assert err == "sentinel: `10.1.2.3` is private or local: many may share it, and no playbook would act on it\n"


class TestAllow:
    def test_one_is_added_listed_and_taken_back(self, ask):
        (made,) = as_json(ask("allow", "add", "203.0.113.61", "--why", "load test", "--for", "7d", "--format", "json"))
        assert (made["scope"], made["value"], made["reason"]) == ("ip", "203.0.113.61", "load test")
        assert ask("allow", "add", "id:9", "--why", "our bot")[1][0].endswith("  user id:9 until taken back")
        assert {one["value"] for one in as_json(ask("allow", "list", "--format", "json"))} == {"203.0.113.61", "id:9"}
        assert as_json(ask("allow", "list", "--value", "203.0.113.61", "--format", "json")) == [made]
        assert ask("allow", "remove", made["id"])[0] == 0
        assert [one["value"] for one in as_json(ask("allow", "list", "--format", "json"))] == ["id:9"]
        assert ask("allow", "remove", made["id"])[2].startswith("sentinel: there is no allowance")


@pytest.mark.parametrize("id", ["a b", "a?b", "ä#"])
@pytest.mark.parametrize(
    ("command", "what"),
    [
        (("allow", "remove"), "allowance"), (("keys", "revoke"), "key in use"), (("decisions", "lift"), "decision"),
        (("apps", "change", "--name", "x"), "app"),
    ],
)  # fmt: skip
def test_an_id_is_asked_for_as_it_is_whatever_stands_in_it(ask, command, what, id):
    code, _, err = ask(*command, id)
    assert code and err.startswith(f"sentinel: there is no {what} `{id}` (")


class TestLabels:
    def test_one_is_put_on_listed_and_taken_off(self, ask):
        assert ask("labels", "put", "203.0.113.60", "office", "--for", "7d")[0] == 0
        assert ask("labels", "put", "77", "vip")[1] == ["user id:77: vip until taken off"]
        (listed,) = as_json(ask("labels", "list", "--target", "203.0.113.60", "--format", "json"))
        assert (listed["kind"], listed["name"], listed["by"]) == ("ip", "office", "local administrator")
        assert len(ask("labels", "list", "--name", "vip")[1]) == 1
        assert ask("labels", "take", "77", "vip")[0] == 0
        assert ask("labels", "take", "77", "vip")[2].startswith("sentinel: there is no label `vip`")


class TestEvents:
    def test_they_are_searched_newest_first(self, server, ask):
        for n in range(3):
            server.using("sdk").post("/v1/events", {"event": "searched", "id": f"s{n}", "user": f"u{n}"})
        assert [re.split(r"\s+", line)[-1] for line in ask("events", "--event", "searched")[1]] == ["s2", "s1", "s0"]
        assert len(ask("events", "--event", "searched", "--limit", "2")[1]) == 2
        assert len(ask("events", "--event", "searched", "--user", "id:u1")[1]) == 1
        assert ask("events", "--event", "searched", "--to", "2020-01-01")[1] == []
        assert len(ask("events", "--q", 'event == "searched" and user in ["id:u0", "id:u2"]')[1]) == 2

    def test_a_mistake_in_a_condition_is_shown_where_it_is(self, ask):
        code, _, err = ask("events", "--q", 'evnt == "x"')
        assert code == 2
        first, *rest = err.splitlines()
        assert first.endswith("q:1:1: `evnt` is not a field")
        assert rest[:3] == ['    evnt == "x"', "    ^^^^", "    hint: did you mean `event`?"]

    def test_where_nobody_says_yes_nothing_is_deleted(self, ask, monkeypatch):
        monkeypatch.setattr("sys.stdin", io.StringIO(""))
        code, _, err = ask("users", "delete", "nobody-9")
        assert (code, err.splitlines()[-1]) == (2, "sentinel: nothing was deleted (`--yes` does not ask)")

    def test_a_person_is_deleted(self, ask, server):
        server.using("sdk").post("/v1/events", [{"event": "x", "id": f"gone{n}", "user": "gone-7"} for n in range(3)])
        code, lines, _ = ask("users", "delete", "gone-7", "--why", "asked for it", "--yes")
        assert code == 0
        assert lines[0].endswith("3 events deleted")
        assert ask("events", "--user", "gone-7")[1] == []

    def test_they_are_followed_as_they_come_until_the_server_ends_it(self, server, ask, monkeypatch):
        told = [
            {"timestamp": "2026-11-20T21:30:00Z", "event": "x", "user": None, "ip": None, "success": None, "id": id}
            for id in "12"
        ]
        monkeypatch.setattr(Client, "events", lambda self, path, query: iter(told))
        code, _, err = ask("events", "--follow", "--from", "2026-11-20T21:30:00Z")
        assert (code, err.partition(" (")[0]) == (2, "sentinel: `--follow` tells events as they come")
        lines = [f"2026-11-20T21:30:00Z  x  -  -  -  {id}" for id in "12"]
        assert ask("events", "--follow")[1] == lines
        assert ask("events", "--follow", "--limit", "1")[1] == lines[:1]


@contextmanager
def answering(status):
    """Give the address of what answers one request, with `status` and an empty page."""

    def answer():
        connection, _ = sock.accept()
        with connection:
            connection.recv(1 << 16)
            connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())

    with socket.create_server(("127.0.0.1", 0)) as sock:
        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        thread.join(10)


class TestReach:
    def test_by_address_and_key_it_reaches_a_server_anywhere(self, server, ask, monkeypatch):
        monkeypatch.delenv("SENTINEL_APP")
        key = server.secrets["two", "admin"]
        found = as_json(ask("keys", "list", "--url", server.url, "--key", key, "--format", "json"))
        assert {one["app"] for one in found} == {"two"}
        monkeypatch.setenv("SENTINEL_URL", server.url)
        monkeypatch.setenv("SENTINEL_KEY", key)
        assert as_json(ask("keys", "list", "--format", "json")) == found

    def test_an_applications_key_in_the_shell_is_said_to_be_in_the_way(self, ask, server, monkeypatch):
        (key,) = ask("keys", "create", "sdk")[1]
        monkeypatch.setenv("SENTINEL_KEY", key)
        monkeypatch.setenv("SENTINEL_URL", server.url)
        code, _, err = ask("decisions", "add", "block", "203.0.113.9", "--why", "x")
        assert code == 2
        assert "a key of scope `sdk` may not do this" in err
        assert "beside the server's data folder, unset SENTINEL_KEY and SENTINEL_URL" in err

    @pytest.mark.parametrize(
        ("words", "text"),
        [
            (["--data", "/nowhere"], "no server is running with the data folder `/nowhere`"),
            (
                ["--url", "http://127.0.0.1:1", "--key", "x"],
                "no server answers at `http://127.0.0.1:1`: Connection refused",
            ),
            (["--url", "http://127.0.0.1:1"], "no key (give `--key`, or set SENTINEL_KEY)"),
            (["--url", "ftp://x", "--key", "x"], "`ftp://x` is not a web address"),
            (["--url", "http://127.0.0.1:no", "--key", "x"], "`http://127.0.0.1:no` is not a web address"),
            (["--url", "http://x:pa/ss@127.0.0.1:1", "--key", "x"], "the URL is not a web address"),
            (["--url", "http://a b", "--key", "x"], "`http://a b` is not a web address"),
            (
                ["--url", "http://127.0.0.1:1", "--key", "sec\nret"],
                "`--key`: there is a character in it that no key has",
            ),
            (["--url", "http://127.0.0.1:1", "--key", "clé"], "`--key`: there is a character in it that no key has"),
            (["--app", "a b"], "`--app`: there is a character in it that no app has"),
        ],
    )
    def test_where_there_is_no_server_it_says_so_in_one_line(self, ask, words, text):
        code, lines, err = ask("keys", "list", *words)
        assert (code, lines) == (2, [])
        assert err.startswith(f"sentinel: {text}") and err.count("\n") == 1

    @pytest.mark.parametrize(
        "words", ["keys list", "keys revoke 1", "events --follow", "backtest {playbook} --since 1d", "decisions list"]
    )
    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            ("301 Moved\r\nLocation: https://x:y@there/?k=1", "sends on to `https://there` (give the server's own"),
            ("308 Moved", "sends on to another address (give the server's own address)"),
            ("204 No Content", "is no Sentinel server (is the address right?)"),
            ("200 OK", "is no Sentinel server (is the address right?)"),
            ("502 Bad Gateway", "the server answers 502"),
        ],
    )
    def test_what_another_server_answers_is_never_taken_for_done(self, ask, tmp_path, words, answer, said):
        playbook = tmp_path / "p.yaml"
        playbook.write_text("playbook: p\nevent: a\ngroup_by: ip\nwindow: 1m\nwhen: {count: 2}\n")
        with answering(answer) as url:
            code, _, err = ask(*words.format(playbook=playbook).split(), "--url", url, "--key", "x")
        assert code == 2 and said in err and err.count("\n") == 1

    def test_a_wrong_key_is_the_servers_word(self, server, ask):
        _, _, err = ask("events", "--url", server.url, "--key", "wrong")
        assert err.startswith("sentinel: the key is not known or was revoked")

    def test_a_local_file_that_is_damaged_is_said_so(self, ask, tmp_path):
        (tmp_path / LOCAL).write_text("{")
        assert "is damaged (restart the server)" in ask("keys", "list", "--data", tmp_path)[2]


DAY = [{"event": "x", "id": f"import-{n}", "timestamp": 1_700_000_000 + n, "user": str(n)} for n in range(10)]


class TestImport:
    def write(self, path, events):
        path.write_text("".join(json.dumps(event) + "\n" for event in events))
        return path

    def fresh(self, name):
        return [{**event, "id": f"{name}-{event['id']}", "event": name} for event in DAY]

    @pytest.mark.parametrize("there", ["", "day.ndjson"])
    def test_a_file_that_is_not_there_is_said_before_a_server_is_looked_for(self, capsys, monkeypatch, tmp_path, there):
        """No server runs here; neither would anything be sent before the second file is missed."""
        monkeypatch.setenv("SENTINEL_DATA", str(tmp_path / "none"))
        monkeypatch.chdir(tmp_path)
        self.write(tmp_path / "day.ndjson", DAY)
        assert run(["import", *filter(None, [there]), "missing.ndjson"]) == 2
        assert capsys.readouterr().err == "sentinel: there is no file `missing.ndjson`\n"

    def test_a_pipe_is_not_opened_before_it_is_read(self, server, ask, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        text = "".join(json.dumps(event) + "\n" for event in self.fresh("piped"))
        writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=(text,))
        writer.start()
        assert ask("import", tmp_path / "pipe")[1] == ["10 events imported, 0 known already, 0 refused"]
        writer.join()

    @pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
    def test_a_file_is_taken_whole_and_marked_as_past(self, server, ask, tmp_path, pack):
        name = f"packed.{pack.__module__}"
        file = self.write(tmp_path / "day.ndjson", self.fresh(name))
        file.write_bytes(pack(file.read_bytes()))
        assert ask("import", file)[:2] == (0, ["10 events imported, 0 known already, 0 refused"])
        found = server.using("read").get(f"/v1/events?event={name}").json["items"]
        assert (len(found), {one["historical"] for one in found}) == (10, {True})

    def test_a_second_run_counts_nothing_twice(self, ask, tmp_path):
        file = self.write(tmp_path / "day.ndjson", self.fresh("twice"))
        ask("import", file)
        assert ask("import", file)[1] == ["0 events imported, 10 known already, 0 refused"]

    def test_events_without_ids_get_the_same_ones_in_each_run(self, ask, tmp_path):
        events = [{"event": "without", "timestamp": 1_700_000_000 + n} for n in range(4)]
        file = self.write(tmp_path / "day.ndjson", events)
        ask("import", file)
        assert ask("import", file)[1] == ["0 events imported, 4 known already, 0 refused"]

    def test_csv_columns_are_mapped_as_for_a_backtest(self, server, ask, tmp_path):
        (tmp_path / "day.data").write_text("who,when\n77,2023-11-14T22:13:20Z\n")
        words = ["--map", "who=user.id", "--map", "when=timestamp", "--event", "mapped", "--input", "csv"]
        assert ask("import", tmp_path / "day.data", *words)[0] == 0
        (found,) = server.using("read").get("/v1/events?event=mapped").json["items"]
        assert (found["user"], found["timestamp"]) == ("id:77", "2023-11-14T22:13:20Z")

    def test_lines_that_are_none_are_told_and_the_others_taken(self, ask, tmp_path):
        file = self.write(tmp_path / "day.ndjson", self.fresh("bad"))
        file.write_text(file.read_text() + '{"event": "x", "ip": "no", "timestamp": 1}\nnot json\n')
        code, lines, err = ask("import", file)
        assert (code, lines) == (1, ["10 events imported, 0 known already, 2 refused"])
        assert f"{file}:11: `ip`: `no` is not an address" in err and f"{file}:12:" in err
        code, lines, _ = ask("import", file, "--format", "json")
        told = {"imported": 0, "known": 10, "refused": 2, "left_out": 0}
        assert (code, [json.loads(line) for line in lines]) == (1, [told])

    def test_what_an_export_added_is_left_to_the_server_to_find_again(self, server, ask, tmp_path):
        event = {
            "event": "exported",
            "id": "e",
            "timestamp": 1_700_000_000,
            "geo": {"country": "XX"},
            "trust": "server",
        }
        ask("import", self.write(tmp_path / "day.ndjson", [event]))
        (found,) = server.using("read").get("/v1/events?event=exported").json["items"]
        assert found["geo"] == {}

    def test_with_enforce_they_may_act(self, server, ask, tmp_path):
        fail = {"event": "auth", "success": False, "timestamp": time.time(), "ip": "203.0.113.44"}
        fails = [{**fail, "user": str(n)} for n in range(3)]
        ask("import", self.write(tmp_path / "a.ndjson", fails))
        assert server.using("admin").get("/v1/decisions?value=203.0.113.44").json["items"] == []
        fails = [{**event, "ip": "203.0.113.45"} for event in fails]
        ask("import", self.write(tmp_path / "b.ndjson", fails), "--enforce")
        assert len(server.using("admin").get("/v1/decisions?value=203.0.113.45").json["items"]) == 1

    def test_one_that_was_broken_off_goes_on_where_it_was(self, server, ask, tmp_path, monkeypatch):
        monkeypatch.setattr(importing, "LOT", 3)
        monkeypatch.setattr(importing, "PATIENCE", 0)
        file = self.write(tmp_path / "day.ndjson", self.fresh("broken"))
        send, sent = Client.send, []

        def breaking(self, method, path, data, headers):
            if len(sent) == 2:
                raise Unreachable("no server answers")
            sent.append(data)
            return send(self, method, path, data, headers)

        with monkeypatch.context() as patch:
            patch.setattr(Client, "send", breaking)
            assert ask("import", file)[2] == "sentinel: no server answers\n"
        assert ask("import", file)[1] == ["4 events imported, 6 known already, 0 refused"]
        assert not list(tmp_path.rglob("imports/*"))

    @pytest.fixture
    def stored(self, monkeypatch):
        """Stand in for a server that takes two events a request, none called `huge`, and none where it has no room."""
        found = SimpleNamespace(ids=set(), room=100, sent=0)

        def send(client, method, path, data, headers):
            raws = json.loads(gzip.decompress(data))
            if len(raws) > 2 or "huge" in [raw["event"] for raw in raws]:
                raise Refused(413, "too many", None, None)
            if len(found.ids) >= found.room:
                raise Refused(401, "revoked", None, None)
            new = {raw["id"] for raw in raws} - found.ids
            found.ids |= new
            found.sent += len(raws)
            return {"accepted": len(new), "duplicates": len(raws) - len(new), "rejected": []}

        monkeypatch.setattr(Client, "send", send)
        return found

    def test_what_is_too_much_for_one_request_goes_in_several(self, ask, tmp_path, stored):
        file = self.write(tmp_path / "day.ndjson", [*DAY[:4], {**DAY[4], "event": "huge"}, *DAY[5:]])
        code, lines, err = ask("import", file)
        assert (code, lines) == (1, ["9 events imported, 0 known already, 1 refused"])
        assert err == f"sentinel: {file}: event import-4: too many\n"

    def test_one_that_was_broken_off_is_begun_anew_where_the_server_was(self, ask, tmp_path, monkeypatch, stored):
        monkeypatch.setattr(importing, "LOT", 2)
        file = self.write(tmp_path / "day.ndjson", DAY)
        stored.room = 6
        assert ask("import", file)[2] == "sentinel: revoked\n"
        stored.ids.clear()
        stored.room = 100
        assert ask("import", file)[:2] == (0, ["10 events imported, 0 known already, 0 refused"])
        assert stored.ids == {event["id"] for event in DAY}

    @pytest.mark.parametrize(
        ("words", "sent"),
        [
            ("--map a=", 6), ("--map a=properties.a", 10), ("--map a= --event y", 10), ("--map a= --enforce", 10),
            ("--map a= --key z --url {url}", 10), ("--map a= --app two", 10),
        ],
    )  # fmt: skip
    def test_one_that_was_broken_off_goes_on_only_to_the_same_end(
        self, server, ask, tmp_path, monkeypatch, stored, words, sent
    ):
        """What was sent to another app, or read in another way, is not what this run is for."""
        monkeypatch.setattr(importing, "LOT", 2)
        file = tmp_path / "day.csv"
        file.write_text("id,event,timestamp,a\n" + "".join(f"{n},x,{1_700_000_000 + n},\n" for n in range(10)))
        stored.room = 6
        assert ask("import", file, "--map", "a=")[0] == 2
        stored.room, stored.sent = 100, 0
        assert ask("import", file, *words.format(url=server.url).split())[1] == [
            "4 events imported, 6 known already, 0 refused"
        ]
        assert stored.sent == sent

    @pytest.mark.parametrize("form", ["ndjson", "csv"])
    def test_what_a_server_exported_goes_in_as_its_senders_sent_it(self, server, ask, tmp_path, form):
        """An attacker's browser ties no names together by the way of an export, either."""
        login = {
            "event": "auth", "success": True, "user": {"email": f"{form}@x.example", "id": form}, "ip": "203.0.113.9",
            "device": "d", "request": {"path": "/", "user_agent": "curl/8"}, "properties": {"form": form, "n": 1.5},
        }  # fmt: skip
        told = {"event": "sentinel.identify", "user": {"id": form}, "properties": {"form": form}}
        claim = {"event": "identify", "user": {"id": f"v-{form}", "email": f"a-{form}@x.example"}, "id": form[0] * 64}
        server.using("sdk").post("/v1/events", [login, told])
        origin = {"Origin": "https://shop.example"}
        server.using("browser").post("/v1/events", {**claim, "properties": {"form": form}}, headers=origin)
        asked = f"q=properties.form%20==%20%22{form}%22"
        file = tmp_path / f"exported.{form}"
        file.write_bytes(server.using("read").get(f"/v1/events/export?format={form}&{asked}").body)
        assert ask("import", file, "--app", "two")[1:] == (["3 events imported, 0 known already, 0 refused"], "")

        def seen(app):
            found = server.using("read", app).get(f"/v1/events?{asked}").json["items"]
            return [{name: one[name] for name in one.keys() - {"received", "historical", "position"}} for one in found]

        assert seen("two") == seen("one")
        assert {one["trust"] for one in seen("two")} == {"server", "browser"}
        linked = [
            server.using("read", "two").get(f"/v1/users/id:{id}").json["identifiers"] for id in (form, f"v-{form}")
        ]
        assert [len(one) for one in linked] == [2, 1]

    def test_what_playbooks_made_is_left_to_those_of_the_server(self, ask, tmp_path, stored):
        shown = {"event": "x", "timestamp": "2026-01-01T00:00:00Z", "received": None, "identifiers": {}}
        rows = [shown | {"id": trust, "trust": trust} for trust in ("server", "playbook", "browser")]
        told = "2 events imported, 0 known already, 0 refused, 1 that playbooks made left out"
        assert ask("import", self.write(tmp_path / "day.ndjson", rows))[:2] == (0, [told])
        assert stored.ids == {"server", "browser"}

    @pytest.mark.parametrize("home", ["a file", "none"])
    def test_without_a_place_for_bookmarks_a_file_is_taken_all_the_same(self, ask, tmp_path, monkeypatch, home):
        file = self.write(tmp_path / "day.ndjson", self.fresh(home))
        if home == "none":
            monkeypatch.setattr(Path, "home", raising_no_home)
        else:
            monkeypatch.setenv("HOME", str(file))
        assert ask("import", file)[:2] == (0, ["10 events imported, 0 known already, 0 refused"])

    def test_a_file_that_was_changed_is_begun_anew(self, tmp_path):
        file = tmp_path / "day.ndjson"
        file.write_text("a")
        mark = Bookmark.of(str(file), "http://x", None)
        file.write_text("ab")
        assert Bookmark.of(str(file), "http://x", None)._path != mark._path
        assert Bookmark.of("-", "http://x", None).read() == 0

    @pytest.mark.parametrize("map", ["who", "=user"])
    def test_a_map_that_maps_nothing_is_refused(self, ask, tmp_path, map):
        (tmp_path / "day.csv").write_text("who\n1\n")
        assert f"`--map {map}` maps nothing" in ask("import", tmp_path / "day.csv", "--map", map)[2]

    def test_a_format_that_is_none_is_refused(self, ask, tmp_path):
        assert "'xml' is not one of 'auto', 'ndjson', 'csv'" in ask("import", "x", "--input", "xml")[2]

    def test_no_progress_is_shown_but_on_a_terminal(self, ask, tmp_path):
        file = self.write(tmp_path / "day.ndjson", self.fresh("bar"))
        assert ask("import", file)[2] == ""


def raising_no_home():
    raise RuntimeError("Could not determine home directory.")


class Patient:
    """A client whose answers are scripted."""

    key = "a"

    def __init__(self, *answers):
        self.answers = list(answers)

    def send(self, method, path, data, headers):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class TestPatience:
    def refused(self, status, after=None):
        return Refused(status, "no", None, after)

    def test_it_waits_as_long_as_the_server_asks(self):
        waited = []
        client = Patient(self.refused(429, 7), self.refused(503, 2), self.refused(503), {"accepted": 1})
        assert Sender(lambda: client, False, waited.append).send([]) == {"accepted": 1}
        assert waited == [7, 2, 1]

    def test_it_waits_where_a_proxy_says_that_the_server_is_away(self):
        client = Patient(self.refused(502), self.refused(504), {"accepted": 1})
        assert Sender(lambda: client, False, lambda seconds: None).send([]) == {"accepted": 1}

    def test_it_waits_longer_each_time_for_a_server_that_is_away_and_gives_up_in_the_end(self):
        waited = []
        client = Patient(*[Unreachable("away")] * 100)
        with pytest.raises(Unreachable):
            Sender(lambda: client, False, waited.append).send([])
        assert waited[:5] == [1, 2, 4, 8, 15]
        assert importing.PATIENCE <= sum(waited) < importing.PATIENCE + 16

    def test_it_gives_up_on_one_that_is_too_busy_for_as_long(self):
        client, waited = Patient(*[self.refused(503, 100)] * 100), []
        with pytest.raises(Refused):
            Sender(lambda: client, False, waited.append).send([])
        assert sum(waited) == importing.PATIENCE

    @pytest.mark.parametrize("status", [400, 401, 403, 413])
    def test_what_is_refused_for_good_is_not_tried_again(self, status):
        client = Patient(self.refused(status))
        with pytest.raises(Refused):
            Sender(lambda: client, False).send([])

    def test_it_goes_on_with_the_server_that_was_started_anew_beside_it(self):
        """Whoever may read its folder has another key then; who gave a key has that one alone."""
        before, after = Patient(self.refused(401)), Patient({"accepted": 1})
        after.key = "b"
        meant = iter([before, after])
        assert Sender(lambda: next(meant), False).send([]) == {"accepted": 1}


class TestDoctor:
    def test_a_server_that_runs_well_is_good(self, server, ask, monkeypatch):
        monkeypatch.setenv("SENTINEL_PLAYBOOKS", str(server.server.settings.playbooks[0]))
        code, lines, _ = ask("doctor")
        assert code == 0, lines
        assert "good  3 playbooks, 1 of them enforce" in lines
        assert "good  the running server says ok" in lines
        assert any(line.startswith("note  no geo databases") for line in lines)

    @pytest.mark.parametrize(
        ("variable", "value", "text"),
        [
            ("SENTINEL_PORT", "x", "bad   `SENTINEL_PORT`: `x` is not a whole number"),
            ("SENTINEL_PLAYBOOKS", "/nowhere", "bad   there is no file or folder `/nowhere`"),
            (
                "SENTINEL_CHANNELS",
                '{"ops": {"kind": "pigeon"}}',
                "bad   channel `ops`: `pigeon` is not a kind of channel",
            ),
            ("SENTINEL_GEO", "/nowhere.mmdb", "bad   geo database `/nowhere.mmdb`: there is no such file"),
            (
                "SENTINEL_NETWORK_LISTS",
                '{"tor": "/nowhere.txt"}',
                "bad   list of tor networks `/nowhere.txt`: there is no such file",
            ),
            ("SENTINEL_NETWORK_LISTS", '{"tro": "/x"}', "bad   network lists: `tro` is not a kind (one of tor, vpn"),
            ("SENTINEL_DATA", "/proc/sentinel", "bad   the data folder `/proc/sentinel` cannot be written"),
        ],
    )
    def test_what_a_server_would_trip_over_is_named_and_the_code_is_1(self, ask, monkeypatch, variable, value, text):
        if value == "/proc/sentinel":
            monkeypatch.setattr("os.access", lambda path, mode: False)
        monkeypatch.setenv(variable, value)
        code, lines, _ = ask("doctor")
        assert code == 1
        assert any(line.startswith(text) for line in lines), lines

    def test_lists_are_counted_and_what_is_still_to_be_downloaded_is_noted(self, ask, monkeypatch, tmp_path):
        (tmp_path / "hosting.txt").write_text("192.0.2.0/24\n")
        named = {"hosting": str(tmp_path / "hosting.txt"), "tor": "https://lists.example/secret-path"}
        monkeypatch.setenv("SENTINEL_NETWORK_LISTS", json.dumps(named))
        monkeypatch.setattr("sentinel.cli.doctor.refused", lambda settings, url: None)  # its host can be reached
        lines = ask("doctor", "--data", tmp_path / "new")[1]
        assert "good  1 list of networks" in lines
        assert "note  the list from `lists.example` was not downloaded yet" in lines

    def test_a_port_that_is_taken_is_named(self, server, ask, monkeypatch, tmp_path):
        monkeypatch.setenv("SENTINEL_PORT", str(server.client.port))
        monkeypatch.setenv("SENTINEL_DATA", str(tmp_path / "other"))
        assert any("cannot be listened at: Address already in use" in line for line in ask("doctor")[1])

    def test_a_folder_others_may_look_into_is_named(self, ask, tmp_path):
        (tmp_path / "open").mkdir(mode=0o755)
        assert any("others may look into" in line for line in ask("doctor", "--data", tmp_path / "open")[1])


def test_a_stream_gives_events_as_they_come(server):
    client = Client(server.url, server.secrets["one", "read"])
    events = client.events("/v1/events/tail", {"event": "streamed"})
    timer = threading.Timer(0.3, lambda: server.using("sdk").post("/v1/events", {"event": "streamed", "user": 1}))
    timer.start()
    assert next(events)["user"] == "id:1"
    events.close()
    timer.join()
    with pytest.raises(SentinelError, match="not known"):
        next(Client(server.url, "wrong").events("/v1/events/tail"))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://sentinel.example:8787", "sentinel: the key goes unencrypted to `sentinel.example` (use `https://`)\n"),
        ("https://sentinel.example", ""),
        ("http://127.0.0.1:8787", ""),
        ("http://[::1]:8787", ""),
        ("http://LocalHost", ""),
    ],
)
def test_a_key_that_would_go_unencrypted_is_warned_of(capsys, url, said):
    """It may be an administrator's; once is enough, for an import connects again and again."""
    asking._warn_of.cache_clear()
    for _ in range(2):
        connect(url, "x" * 54, None, None)
    assert capsys.readouterr().err == said
