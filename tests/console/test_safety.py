"""What keeps the console its owners': sessions, throttling, heads of answers, links, and text that stays text."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import threading
from contextlib import closing
from types import SimpleNamespace

import pytest

from sentinel.api.hub import Hub
from sentinel.console import guard, throttle
from sentinel.console.pages import entry
from sentinel.core.duration import HOUR, MINUTE
from sentinel.core.errors import SentinelError
from sentinel.core.proxies import Proxies
from sentinel.edge.wire import Budget
from sentinel.service import accounts as service
from sentinel.service import passwords
from sentinel.service.setup import ADMINISTRATOR
from tests.console.visiting import PASSWORD, Reader, text, visited
from tests.contract.values import make_link

FAR = 1 << 60


def sign_in(reader: Reader, name: str, password: str = PASSWORD, **fields):
    return reader.post("/sign-in", {"name": name, "password": password, **fields})


@pytest.fixture
def alone(tmp_path):
    """A console of one test's own, whose sign-ins nobody else has slowed down."""
    with visited(tmp_path) as found:
        yield found


def database(console) -> list[str]:
    """Return every text that the control tables hold."""
    path = console.server.settings.data / "sentinel.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return [str(row) for name in names for row in connection.execute(f'SELECT * FROM "{name}"')]


def test_a_right_password_signs_in_and_leads_back_where_one_came_from(alone):
    alone.invited("ana", "viewer")
    reader = alone.anybody()
    assert sign_in(reader, "  ANA ", next="/findings?status=new").headers["location"] == "/findings?status=new"
    assert "Overview" in reader.page("/overview")


@pytest.mark.parametrize(("head", "where"), [({}, "location"), ({"HX-Request": "true"}, "hx-redirect")])
def test_signing_in_leads_back_to_an_address_in_any_script(alone, head, where):
    alone.invited("ana", "viewer")
    fields = {"name": "ana", "password": PASSWORD, "next": "/people/Жанна?q=€"}
    answer = alone.anybody().post("/sign-in", fields, headers=head)
    assert answer.headers[where] == "/people/%D0%96%D0%B0%D0%BD%D0%BD%D0%B0?q=%E2%82%AC"


@pytest.mark.parametrize("next", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", "/a\nb"])
def test_signing_in_leads_to_no_other_place(alone, next):
    alone.invited("ana", "viewer")
    assert sign_in(alone.anybody(), "ana", next=next).headers["location"] == "/overview"


def test_a_wrong_password_and_an_unknown_name_are_answered_alike(alone):
    alone.invited("ana", "viewer")
    wrong, unknown = (sign_in(alone.anybody(), name, "not this one") for name in ("ana", "nobody"))
    assert wrong.status == unknown.status == 401
    assert text(wrong) == text(unknown)
    assert "name or the password is wrong" in text(wrong)
    assert "set-cookie" not in wrong.headers


def test_a_link_that_is_not_good_tells_nobody_who_has_an_account(alone):
    ana = alone.invited("ana", "viewer")
    id = alone.server.accounts.session(ana.session).account.id
    answers = [
        alone.anybody().post("/welcome", {"code": code, "name": name, "password": word, "again": word})
        for code in ("guessed", f"{id}.guessed", "none.guessed")
        for name in ("ana", "nobody", "<b>")
        for word in (PASSWORD, "short")
    ]
    assert {answer.status for answer in answers} == {422}
    said = {text(answer).partition("Choose a password")[0] for answer in answers}
    assert len(said) == 1 and "the link is used up, over or not complete" in said.pop()


def test_an_unknown_name_costs_as_many_hashes_as_a_known_one(alone, monkeypatch):
    alone.invited("ana", "viewer")
    invited = alone.server.accounts.invite("bob", "viewer", ("*",), "test").account
    assert not invited.ready
    counted = []
    hasher = passwords._hasher()
    real = type(hasher).verify_and_update
    monkeypatch.setattr(type(hasher), "verify_and_update", lambda *args: counted.append(args[2]) or real(*args))
    for name in ("ana", "nobody", "bob", ""):
        assert sign_in(alone.anybody(), name, "not this one").status == 401
    assert len(counted) == 4
    assert all(hash.startswith("$argon2id$") for hash in counted)


def test_whoever_guesses_is_slowed_down_by_account_known_or_not(alone):
    alone.invited("ana", "viewer")
    for name in ("ana", "nobody"):
        bucket = throttle.Throttle(lambda: 0.0)
        waits = [bucket.ask(f"192.0.2.{n}", name) for n in range(throttle.BY_ACCOUNT[1] + 1)]
        assert waits[:-1] == [None] * throttle.BY_ACCOUNT[1]
        assert waits[-1] is not None and waits[-1] > 0


def test_whoever_guesses_is_slowed_down_by_address_and_a_right_password_costs_nothing():
    bucket = throttle.Throttle(lambda: 0.0)
    for _ in range(100):
        assert bucket.ask("192.0.2.1", "ana") is None
        bucket.forgive("192.0.2.1", "ana")
    waits = [bucket.ask("2001:db8::1" if n % 2 else "2001:db8::2", f"u{n}") for n in range(30)]
    assert waits.count(None) == throttle.BY_ADDRESS[1]  # one house, whichever of its addresses


def test_whoever_guesses_at_an_account_does_not_lock_its_owner_out():
    """From where somebody signed in before; elsewhere they wait, as everybody does, and nobody guesses faster."""
    bucket, most = throttle.Throttle(lambda: 0.0), throttle.BY_ACCOUNT[1]
    assert bucket.ask("198.51.100.7", "ana") is None
    bucket.forgive("198.51.100.7", "ana")
    guesses = [bucket.ask(f"192.0.2.{n}", name) for n in range(100) for name in ("ana", "198.51.100.7 ana")]
    assert guesses[::2].count(None) == most
    for _ in range(50):
        assert bucket.ask("198.51.100.7", "ana") is None
        bucket.forgive("198.51.100.7", "ana")
    assert bucket.ask("198.51.100.8", "ana") is not None
    assert [bucket.ask("198.51.100.7", "ana") for _ in range(most + 1)].count(None) == most


def test_whoever_tries_links_is_slowed_down_too(alone):
    reader, most = alone.anybody(), throttle.BY_ADDRESS[1]
    fields = {"name": "eve", "password": PASSWORD, "again": PASSWORD}
    statuses = [reader.post("/welcome", {"code": f"guess-{n}", **fields}).status for n in range(most + 2)]
    assert statuses[:most] == [422] * most and statuses[-1] == 429


def test_whoever_tries_old_passwords_at_an_open_session_is_slowed_down_too(alone, monkeypatch):
    reader, most = alone.invited("ana", "viewer"), throttle.BY_ACCOUNT[1]
    reader.app = "one"
    monkeypatch.setattr(passwords, "verify", lambda password, kept: (False, None))  # which takes long on purpose
    fields = {"new": "another four words", "again": "another four words"}
    statuses = [reader.post("/account", {"old": f"guess {n}", **fields}).status for n in range(most + 2)]
    assert statuses[:most] == [422] * most and statuses[-1] == 429


def test_whoever_tries_links_and_old_passwords_is_counted_as_whoever_tries_to_sign_in(console):
    """Else nobody is alerted."""

    def wrong():
        figures = console.whole.local.get("/metrics").body.decode()
        return sum(map(float, re.findall(r'^sentinel_sign_ins_total\{outcome="wrong"\} (\S+)', figures, re.MULTILINE)))

    before, reader = wrong(), console.invited("counted", "viewer")
    word = dict.fromkeys(("password", "new", "again"), "new-password-of-mine")
    assert console.anybody().post("/welcome", {"code": "no-link", "name": "counted", **word}).status == 422
    assert reader.post("/account?app=one", {"old": "not it", **word}).status == 422
    assert wrong() == before + 2


def test_only_so_many_wait_for_a_password_to_be_looked_at():
    """Each takes a tenth of a second of a processor: who comes when many wait is told to come back."""
    over, looked = 5, threading.Event()

    def tried(door, number):
        request = SimpleNamespace(scope={"headers": []}, client=SimpleNamespace(host=f"192.0.2.{number}"))
        return asyncio.create_task(door.try_it(request, f"u{number}", lambda: None if looked.wait(60) else "late"))

    async def all_at_once():
        here = SimpleNamespace(proxies=Proxies(), tried=lambda outcome: None)
        door = entry.Door(here, None, throttle.Throttle(lambda: 0.0))
        tasks = [tried(door, number) for number in range(entry.HASHING + entry.WAITING + over)]
        async with asyncio.timeout(10):
            while sum(task.done() for task in tasks) < over:
                await asyncio.sleep(0)
        looked.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    answers = asyncio.run(all_at_once())
    refused = [answer for answer in answers if answer is not None]
    assert [(one.code, one.retry_after) for one in refused] == [("unavailable", 5)] * over


def test_the_page_says_when_to_try_again_and_remembers_a_bounded_number_of_names(alone):
    reader = alone.anybody()
    tries = (sign_in(reader, f"guess{n % 3}", "not this one") for n in range(2 * throttle.BY_ADDRESS[1]))
    refused = next(answer for answer in tries if answer.status == 429)
    assert "too many tries" in text(refused)
    bucket = throttle.Throttle(lambda: 0.0)
    for n in range(25_000):
        bucket.ask(f"198.{n >> 8}.{n & 255}.1", f"name{n}")
        bucket.forgive(f"198.{n >> 8}.{n & 255}.1", f"name{n}")
    kept = bucket._accounts._kept, bucket._addresses._kept, bucket._familiar._kept
    assert {len(one) for one in kept} == {20_000}


def test_tokens_passwords_and_codes_are_kept_as_hashes_only(alone):
    reader = alone.invited("ana", "admin")
    invitation = alone.server.accounts.invite("bob", "viewer", ("*",), "test")
    kept = "\n".join(database(alone))
    for secret in (reader.session, PASSWORD, invitation.code, invitation.code.partition(".")[2]):
        assert secret not in kept
    assert "$argon2id$" in kept


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(alone):
    alone.invited("ana", "viewer")
    cookie = sign_in(alone.anybody(), "ana").headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and "path=/" in cookie
    assert "secure" not in cookie and "domain" not in cookie


def test_behind_https_the_cookie_is_sent_over_https_alone(tmp_path):
    with visited(tmp_path, public_url="https://sentinel.example") as console:
        console.invited("ana", "viewer")
        answer = console.anybody().post(
            "/sign-in", {"name": "ana", "password": PASSWORD}, headers={"Origin": "https://sentinel.example"}
        )
        assert answer.headers["set-cookie"].startswith("__Host-sentinel=")
        assert "; Secure" in answer.headers["set-cookie"]
        assert answer.headers["strict-transport-security"].startswith("max-age=")


def test_signing_in_makes_a_new_session_and_ends_the_one_that_was_brought(alone):
    alone.invited("ana", "viewer")
    reader = alone.anybody()
    sign_in(reader, "ana")
    first = reader.session
    sign_in(reader, "ana")
    assert reader.session != first
    assert Reader(reader.client, first).get("/overview").status == 303


def test_a_one_time_link_ends_the_session_that_was_brought(alone):
    """Whoever planted that session in a browser does not share the one that begins there."""
    planted = alone.invited("eve", "viewer").session
    reader = Reader(alone.whole.client, planted)
    invitation = alone.server.accounts.invite("ana", "viewer", ("*",), "test")
    welcome = reader.post("/welcome", {"code": invitation.code, "password": PASSWORD, "again": PASSWORD})
    assert welcome.headers["location"] == "/overview"
    assert reader.session not in ("", planted) and reader.get("/overview").status == 200
    assert Reader(reader.client, planted).get("/overview").status == 303


def test_signing_out_ends_the_session_on_the_server(alone):
    reader = alone.invited("ana", "viewer")
    token, reader.app = reader.session, "one"
    assert reader.post("/sign-out").headers["location"] == "/sign-in"
    assert Reader(reader.client, token).get("/overview").status == 303


def test_a_session_ends_without_use_and_in_any_case():
    """Told by the store with a clock of the test's own, below."""
    assert service.IDLE == 2 * HOUR
    assert service.LONGEST == 12 * HOUR


def test_a_session_that_is_only_polled_does_not_live_on(alone):
    now = [10 * HOUR]
    kept = service.Accounts(alone.store, lambda: now[0])
    token = kept.accept(kept.invite("ana", "viewer", ("*",), "test").code, "", PASSWORD)
    for _ in range(7):
        now[0] += 20 * MINUTE
        assert (kept.session(token, busy=False) is not None) is (now[0] < 12 * HOUR)
    now[0] = 10 * HOUR
    token = kept.accept(kept.reset(kept.session(token).account.id, "test").code, "", PASSWORD)
    for _ in range(35):
        now[0] += 20 * MINUTE
        assert kept.session(token) is not None
    now[0] += 20 * MINUTE
    assert kept.session(token) is None  # twelve hours, however busy
    assert alone.store.accounts.expire(now[0], service.IDLE) >= 1


def test_a_page_that_looks_again_by_itself_does_not_use_the_session(console, monkeypatch):
    accounts, reader, asked = console.server.accounts, console.reader(), []
    session = accounts.session

    def noted(token, *, busy=True):
        asked.append(busy)
        return session(token, busy=busy)

    monkeypatch.setattr(accounts, "session", noted)
    for headers in ({}, {"Sentinel-Poll": "1"}):
        assert reader.get("/overview", headers=headers).status == 200
    assert asked == [True, False]


@pytest.mark.parametrize("how", ["reset", "remove", "password"])
def test_what_ends_an_accounts_sessions_ends_them_at_once(alone, how):
    reader, accounts = alone.invited("ana", "viewer"), alone.server.accounts
    other = alone.anybody()
    sign_in(other, "ana")
    id = accounts.session(reader.session).account.id
    if how == "reset":
        accounts.reset(id, "test")
    elif how == "remove":
        alone.store.accounts.remove(id, "test", 1)
    else:
        new = {"old": PASSWORD, "new": "another four words", "again": "another four words"}
        reader.app = "one"
        assert reader.done("/account", new) == "/account?app=one&done=password-changed"
        assert reader.get("/overview").status == 200
    assert other.get("/overview").status == 303
    if how != "password":
        assert reader.get("/overview").status == 303


@pytest.mark.parametrize("path", ["/explorer/export", "/findings/export?format=ocsf"])
def test_a_file_goes_on_as_long_as_whoever_asked_for_it_may_see_the_app(alone, monkeypatch, path):
    """Read slowly, it would be read for hours after that."""
    reader, seated, seat = alone.invited("ana", "viewer"), [], Hub.seat
    reader.app = "one"
    monkeypatch.setattr(Hub, "seat", lambda hub, *given: seated.append(given[-1]) or seat(hub, *given))
    assert reader.get(path).status == 200
    (alive,) = seated
    assert alive()
    account = alone.server.accounts.session(reader.session).account
    alone.server.accounts.change(account.id, None, ("two",), "test")
    assert not alive()
    alone.server.accounts.change(account.id, None, ("one",), "test")
    assert alive()
    alone.store.accounts.remove(account.id, "test", 1)
    assert not alive()


@pytest.mark.parametrize("what", ["signs in", "changes the password"])
def test_whoever_is_reset_while_their_password_is_looked_at_stays_outside(alone, monkeypatch, what):
    """That takes so long that whoever asks all the time was always let in once more."""
    reader, accounts, verify = alone.invited("ana", "viewer"), alone.server.accounts, passwords.verify
    id, links = accounts.session(reader.session).account.id, []

    def reset_meanwhile(password, kept):
        looked = verify(password, kept)
        links.append(accounts.reset(id, "test"))
        return looked

    with monkeypatch.context() as patched:
        patched.setattr(passwords, "verify", reset_meanwhile)
        if what == "signs in":
            reader.session = ""
            answer = sign_in(reader, "ana")
        else:
            new = dict.fromkeys(("new", "again"), "another four words")
            reader.app = "one"
            answer = reader.post("/account", {"old": PASSWORD, **new})
    assert (answer.status, len(links)) == (401 if what == "signs in" else 422, 1)
    assert reader.get("/overview").status == 303
    for password in (PASSWORD, "another four words"):
        assert sign_in(alone.anybody(), "ana", password).status == 401
    owner = alone.anybody()
    owner.done("/welcome", {"code": links[0].code, **dict.fromkeys(("password", "again"), PASSWORD)})
    assert owner.get("/overview").status == 200


def test_a_role_that_is_taken_away_is_gone_at_the_next_request(alone):
    reader = alone.invited("ana", "admin", ("one",))
    assert reader.get("/settings/keys").status == 200
    alone.server.accounts.change(alone.server.accounts.session(reader.session).account.id, "viewer", ("one",), "test")
    assert reader.get("/settings/keys").status == 403


def test_the_first_administrators_link_works_once_and_makes_an_administrator_of_all(alone):
    code = make_link(alone.store, ADMINISTRATOR, FAR, 1)
    fields = {"code": code, "name": "Ana@Example.com", "password": PASSWORD, "again": PASSWORD}
    reader = alone.anybody()
    assert reader.post("/welcome", fields).headers["location"] == "/overview"
    account = alone.server.accounts.session(reader.session).account
    assert (account.name, account.role, account.server) == ("ana@example.com", "admin", True)
    again = alone.anybody().post("/welcome", {**fields, "name": "eve"})
    assert again.status == 422
    assert "used up, over or not complete" in text(again)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"password": "short", "again": "short"}, "shorter than 12 characters"),
        ({"password": "ana ana ana ana", "again": "ana ana ana ana"}, "too easily guessed"),
        ({"password": "x" * 300, "again": "x" * 300}, "longer than 256 characters"),
        ({"again": "other"}, "not the same password"),
        ({"name": " "}, "none was chosen"),
        ({"name": "a b"}, "cannot be a name"),
        ({"name": "<script>"}, "cannot be a name"),
        ({"code": ""}, "`Code of the link`: missing"),
    ],
)
def test_what_is_wrong_with_a_welcome_is_told_and_the_link_stays_good(alone, fields, words):
    code = make_link(alone.store, ADMINISTRATOR, FAR, 1)
    good = {"code": code, "name": "ana", "password": PASSWORD, "again": PASSWORD}
    answer = alone.anybody().post("/welcome", {**good, **fields})
    assert answer.status == 422
    assert words in text(answer)
    assert PASSWORD not in answer.body.decode()
    assert alone.anybody().post("/welcome", good).status == 303


def test_the_link_of_one_account_is_no_other_accounts(alone):
    accounts = alone.server.accounts
    ana, bob = (accounts.invite(name, "viewer", ("*",), "test") for name in ("ana", "bob"))
    mixed = f"{ana.account.id}.{bob.code.partition('.')[2]}"
    with pytest.raises(SentinelError, match="used up, over or not complete"):
        accounts.accept(mixed, "", PASSWORD)
    newer = accounts.reset(ana.account.id, "test")
    with pytest.raises(SentinelError):
        accounts.accept(ana.code, "", PASSWORD)
    assert accounts.accept(newer.code, "", PASSWORD)


def test_the_last_administrator_of_the_server_stays(alone):
    reader = alone.invited("ana", "admin")
    id = alone.server.accounts.session(reader.session).account.id
    for act in (
        lambda: alone.store.accounts.remove(id, "test", 1),
        lambda: alone.server.accounts.change(id, "viewer", ("*",), "test"),
        lambda: alone.server.accounts.change(id, "admin", ("one",), "test"),
    ):
        with pytest.raises(SentinelError, match="nobody would be left"):
            act()
    assert alone.server.accounts.session(reader.session).account.server


def test_every_answer_says_what_browsers_may_not_do(console):
    reader = console.reader()
    for answer in (reader.get("/overview"), reader.get("/nothing"), reader.get("/findings/nothing"), reader.post("/x")):
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self';" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"


def test_what_is_no_page_runs_nothing_either(console):
    """A file, and what is answered to who asked for no page: nothing in them is run, framed or guessed at."""
    reader = console.reader()
    (style,) = re.findall(r'href="(/static/console\.[0-9a-f]{12}\.css)"', reader.page("/overview"))
    elsewhere = reader.post("/theme", headers={"Origin": "https://evil.example"})
    for answer in (reader.get(style), reader.get("/static/nothing.js"), elsewhere, reader.get("/explorer/words")):
        assert not answer.headers["content-type"].startswith("text/html")
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"


def test_a_form_that_is_too_large_is_refused_by_a_page_that_says_so(console):
    reader = console.reader()
    for head in ({}, {"HX-Request": "true"}):
        answer = reader.post("/playbooks/edit", {"text": "x" * (8 << 20)}, headers=head)
        assert (answer.status, answer.headers["content-type"]) == (413, "text/html; charset=utf-8")
        assert "the form is larger than 4 MiB" in text(answer) and "events" not in text(answer)
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert console.whole.local.ask("POST", "/v1/playbooks/check", raw=b"x" * (9 << 20)).error["code"] == "too_large"


@pytest.mark.parametrize("path", ["/sign-in", "/welcome", "/theme", "/decisions/new", "/playbooks/check"])
def test_little_of_a_form_is_read_of_whoever_is_not_signed_in(console, path):
    """What is read is taken apart before anybody asks who sent it: four megabytes keep a processor busy for long."""
    stranger, guessed = console.anybody(), console.anybody()
    guessed.session = guessed.csrf = "guessed"
    for reader in (stranger, guessed):
        answer = reader.post(path, {"name": "x" * (guard.STRANGERS + 1)})
        assert answer.status == 413 and "the form is larger than 16 KiB" in text(answer)
    assert stranger.post(path, {"name": "x" * (guard.STRANGERS - 100)}).status != 413
    assert console.reader().post(path, {"name": "x" * (guard.STRANGERS * 4)}).status != 413


@pytest.mark.parametrize("path", ["/explorer", "/sign-in", "/v1/findings", "/metrics", "/nowhere"])
def test_nothing_is_read_of_a_body_that_asks_for_a_page(console, path):
    """Whatever it is long, it is no form: read to its end, a stranger's filled the server's memory."""
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(1 << 40)}
    for method in ("GET", "HEAD"):
        answer = console.anybody().client.ask(method, path, raw=b"name=x", headers=kind | {"Accept": "text/html"})
        assert answer.status in (200, 303, 401, 404)


def test_what_strangers_leave_unfinished_keeps_nobody_who_is_signed_in_from_their_forms(console, monkeypatch):
    """An attack is when people stop enforcement, or lift what it brought about."""
    reader = console.reader()
    monkeypatch.setattr(console.whole.server.front.ingest.door, "strangers", Budget(0))
    assert console.anybody().post("/sign-in", {"name": "x"}).status == 503
    assert reader.post("/decisions/new", {}).status != 503


def test_a_text_is_given_back_to_whoever_is_no_more_signed_in_up_to_a_length(console):
    gone = console.anybody()
    gone.session = gone.csrf = "over"
    answer = gone.post("/playbooks/edit", {"text": "long " * 20_000})
    assert answer.status == 401 and "long " * 20_000 in answer.body.decode()
    assert gone.post("/playbooks/edit", {"text": "x" * (guard.LEFT + 1)}).status == 413


def test_files_are_named_after_what_is_in_them_and_kept_for_ever(console):
    page = console.anybody().page("/sign-in")
    (style,) = re.findall(r'href="(/static/console\.[0-9a-f]{12}\.css)"', page)
    answer = console.anybody().get(style)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    packed = console.anybody().get(style, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip" and len(packed.body) < len(answer.body)
    for wrong in ("/static/console.css", "/static/../app.py", "/static/%2e%2e/app.py", "/static/"):
        assert console.anybody().get(wrong).status == 404


def test_pages_hold_nothing_inline_and_name_no_other_host(console):
    reader = console.reader()
    for path in ("/overview", "/findings", "/decisions", "/decisions/new", "/decisions/allowed/list", "/settings",
                 "/settings/keys", "/settings/accounts", "/settings/apps", "/settings/audit", "/account"):  # fmt: skip
        page = reader.page(path)
        assert not re.search(r"<[^>]+\s(style|on\w+)=", page), path
        assert not re.search(r"<script(?![^>]+src=)", page), path
        assert "<style" not in page
        assert re.findall(r'(?:src|href|action)="(?!/|#)[^"]', page) == []


def test_a_change_among_several_apps_must_say_which(console):
    reader = Reader(console.whole.client, console.reader().session)
    answer = reader.post("/decisions/new", {"scope": "user", "kind": "block", "value": "x", "reason": "x", "for": "1d"})
    assert answer.status == 422
    assert "`app`: missing" in text(answer)


def test_what_people_do_is_audited(alone):
    reader = alone.invited("ana", "admin")
    reader.app = "one"
    reader.done("/decisions/new", {"scope": "user", "kind": "block", "value": "7", "reason": "spam", "for": "1d"})
    assert "decision.add" in reader.page("/settings/audit")
    reader.post("/sign-out")
    said = [(line.action, line.actor) for line in alone.store.audit.list(None).items]
    assert said[:2] == [("session.end", "account:ana"), ("session.begin", "account:ana")]
    assert {("account.put", "test"), ("account.password", "account:ana")} <= set(said)
