"""Moesif's own clients, unmodified, send what happens to Sentinel and refuse whom it blocks."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.served import Client, wait_for
from tests.compat import clients
from tests.compat.test_moesif import Site

APPS = Path(__file__).parent / "moesif_apps"
PATIENCE = 60
EXPRESS = ("moesif-nodejs@3.11.0", "express@4.21.2")
SERVERS = {
    "moesif-nodejs": (clients.npm, EXPRESS, "shop.js"),
    "moesifwsgi": (clients.pypi, ("moesifwsgi==1.10.5",), "wsgi.py"),
    "moesifdjango": (clients.pypi, ("moesifdjango==2.3.13", "django==4.2.26"), "django_site.py"),
    "moesifasgi": (clients.pypi, ("moesifasgi==1.1.8",), "asgi.py"),
}


@contextlib.contextmanager
def running(script, folder, **more):
    """Run one of the apps while the block runs, and give its process and the port it says."""
    command = [clients.node() if script.endswith(".js") else sys.executable, str(APPS / script)]
    with (folder / "heard").open("w") as heard:
        process = subprocess.Popen(
            command, env=clients.environment(Path(more.pop("packages")), more), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=heard, text=True,
        )  # fmt: skip
        try:
            line = process.stdout.readline().strip()
            assert line.isdigit(), (folder / "heard").read_text()
            yield process, int(line)
        finally:
            process.terminate()
            try:
                process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


@pytest.fixture(params=SERVERS)
def shop(request, whole, tmp_path):
    """An app behind one of the clients: what it answers, and its app at Sentinel."""
    install, packages, script = SERVERS[request.param]
    folder = install(*packages)
    site = Site(whole, request.node.originalname[5:45].strip("_").replace("_", "-") + f"-{request.param}")
    with running(script, tmp_path, packages=folder, SENTINEL_KEY=site.keys["sdk"], SENTINEL_URL=site.base) as (_, port):
        yield Shop(site, Client(port))


class Shop:
    def __init__(self, site, client):
        self.site, self.client = site, client

    def ask(self, user, company=None, path="/orders"):
        headers = {"X-User": user} | ({"X-Company": company} if company else {})
        return self.client.get(path, headers=headers)

    def until(self, status, user, company=None):
        """Ask until the answer is as it should become, and return it; each try also brings the client to send."""
        found = []

        def asked():
            found.append(self.ask(user, company))
            return found[-1].status == status

        wait_for(asked, PATIENCE)
        return found[-1]

    def evidence(self):
        return [one for one in self.site.events() if one["event"] == "sentinel.enforced"]


def test_a_blocked_user_is_refused_by_the_client_and_let_in_again(shop):
    assert [shop.ask(user).status for user in ("alice", "mallory")] == [200, 200]
    decision = shop.site.block("id:mallory")
    refused = shop.until(403, "mallory")
    assert json.loads(refused.body) == {
        "error": "blocked", "message": "this request was refused", "reference": decision,
    }  # fmt: skip
    assert shop.ask("alice").status == 200
    wait_for(lambda: shop.evidence(), PATIENCE)
    event = shop.evidence()[0]
    assert (event["user"], event["properties"]["decision"], event["request"]["status"]) == ("id:mallory", decision, 403)
    assert event["request"]["path"] == "/orders"
    shop.site.lift(decision)
    assert json.loads(shop.until(200, "mallory").body) == {"ok": True}


def test_two_who_are_blocked_are_told_their_own_references(shop):
    decisions = {user: shop.site.block(f"id:{user}") for user in ("mallory", "trudy")}
    for user, decision in decisions.items():
        assert json.loads(shop.until(403, user).body)["reference"] == decision


def test_a_blocked_company_is_refused_by_the_client(shop):
    shop.site.block("company:acme")
    shop.until(403, "alice", "acme")
    assert (shop.ask("alice", "other").status, shop.ask("alice").status) == (200, 200)
    wait_for(lambda: shop.evidence(), PATIENCE)


def test_what_the_client_sends_is_understood(shop):
    assert shop.ask("alice", "acme").status == 200
    assert shop.ask("alice", path="/profile").status == 200
    named = {}

    def all_there():
        named.update({(one["event"], one["user"]): one for one in shop.site.events()})
        return {("api.call", "id:alice"), ("identify", "id:alice"), ("identify", "id:carol")} <= set(named)

    wait_for(all_there, PATIENCE)
    call = next(one for one in shop.site.events() if one["request"].get("path") == "/orders")
    assert call["identifiers"] == {"id": "alice", "company": "acme"}
    assert call["properties"]["metadata"] == {"so_me_str_ing": "I am a string"}
    assert (call["request"]["status"], call["ip"]) == (200, "127.0.0.1")
    assert named["identify", "id:alice"]["properties"]["metadata"] == {"first_name": "Alice"}
    assert named["company.updated", None]["identifiers"] == {"company": "acme"}


def test_an_action_of_moesif_nodejs_keeps_its_name(whole, tmp_path):
    folder = clients.npm(*EXPRESS)
    site = Site(whole, "node-action")
    given = {"packages": folder, "SENTINEL_KEY": site.keys["sdk"], "SENTINEL_URL": site.base}
    with running("shop.js", tmp_path, **given) as (_, port):
        assert Client(port).get("/profile").status == 200
        (event,) = [one for one in site.events() if one["event"] == "Clicked Sign Up"]
    assert (event["user"], event["ip"]) == ("id:alice", "203.0.113.9")
    assert event["properties"]["metadata"] == {"button_label": "Go"}


@pytest.mark.parametrize("batches", ["no", "yes"])
def test_the_browsers_script_tracks_and_its_visitor_becomes_a_user(whole, tmp_path, batches):
    folder = clients.npm("moesif-browser-js@1.8.13", "jsdom@22.1.0")
    site = Site(whole, f"browser-{batches}")
    given = {
        "packages": folder, "SENTINEL_KEY": site.keys["browser"], "SENTINEL_HOST": site.base.removeprefix("http://"),
        "SENTINEL_PAGE": "http://127.0.0.1:8080/signup?utm_source=news", "SENTINEL_BATCHES": batches,
    }  # fmt: skip

    def named(name):
        return [one for one in site.events() if one["event"] == name]

    with running("page.js", tmp_path, **given) as (process, _):

        def step(name, wanted):
            process.stdin.write(f"{name}\n")
            process.stdin.flush()
            wait_for(lambda: [one for one in named(wanted) if one["user"]] or named(wanted), PATIENCE)
            return named(wanted)[-1]

        visit = step("visit", "Anonymous Visit")
        anonymous = visit["user"]
        assert anonymous.startswith("anonymous_id:")
        assert visit["trust"] == "browser"
        process.stdin.write("identify\n")
        process.stdin.flush()
        wait_for(lambda: [one for one in named("identify") if one["user"] == "id:alice"], PATIENCE)
        assert step("company", "company.updated")["properties"]["company_domain"] == "acme.test"
        click = step("click", "Clicked Sign Up")
    assert click["user"] == "id:alice"
    assert click["properties"]["metadata"] == {"button_label": "Get Started"}
    person = whole.client.using(site.admin).get("/v1/users/id:alice").json
    assert sorted(person["identifiers"]) == sorted([anonymous, "id:alice"])
