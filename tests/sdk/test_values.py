"""The SDK's pure parts: scrubbing, client addresses, settings, answers, deltas read while they arrive."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sentinel.core import proxies
from sentinel.core.address import normalise
from sentinel.core.decision import Decision, Delta, Subject, Verdict
from sentinel.core.decisions import Decisions
from sentinel.core.errors import SentinelError
from sentinel.core.scrub import REDACTED, Scrubber
from sentinel.sdk import clock, deltas, options, respond
from sentinel.sdk.clock import Backoff, Notes, retry_after
from sentinel.sdk.deltas import DeltaReader, EventStream
from sentinel.sdk.options import Options
from tests.core.strategies import DELTAS, IPS, USERS, as_json
from tests.passwords import SPELLINGS, passwords, pieces

scrubber = Scrubber(["nickname"])


def scrubbed(value):
    return scrubber.properties(value)[0]


@pytest.mark.parametrize("name", [
    "password", "PASSWORD", "user_password", "passwordConfirm", "Passwd", "client-secret", "Authorization",
    "api_key", "apiKey", "APIKEY", "x-api-key", "access_token", "accessToken", "token", "csrfmiddlewaretoken",
    "refresh.token", "cookie", "Set-Cookie", "card", "cardNumber", "credit_card", "nickname", "NickName",
])  # fmt: skip
def test_secrets_are_redacted_by_name(name):
    assert scrubbed({name: "x"}) == {name: REDACTED}
    assert scrubbed({"a": {"b": [{name: {"deep": 1}}]}}) == {"a": {"b": [{name: REDACTED}]}}


@pytest.mark.parametrize("name", ["discard", "total_tokens", "cardinality", "postcard", "passenger", "author", "key"])
def test_names_that_only_look_alike_are_not(name):
    assert scrubbed({name: "x"}) == {name: "x"}


CARDS = (
    "4111111111111111", "4111 1111 1111 1111", "5500-0055-5555-5559", "378282246310005", "6011111111111117",
    "3530111333300000", "30569309025904", "6304000000000000",
)  # fmt: skip


@pytest.mark.parametrize("number", CARDS)
def test_card_numbers_are_redacted_wherever_they_stand(number):
    assert scrubbed({"note": number}) == {"note": REDACTED}
    assert scrubbed({"note": f"pay with {number}, thanks"}) == {"note": f"pay with {REDACTED}, thanks"}
    assert scrubbed({"deep": [{"n": number}]}) == {"deep": [{"n": REDACTED}]}
    assert scrubbed({"n": int(number.replace(" ", "").replace("-", ""))}) == {"n": REDACTED}


@pytest.mark.parametrize(
    "text", ["4111111111111112", "1700000000000", "0193e3a1-7b1e-7c3a-8f00-123456789012", "41111111"]
)
def test_other_numbers_are_not(text):
    assert scrubbed({"n": text}) == {"n": text}


def test_values_of_other_types_are_made_plain():
    import datetime
    import decimal

    class Own:
        pass

    made = scrubbed({
        "when": datetime.date(2030, 1, 1), "price": decimal.Decimal("1.50"), "raw": b"1234", "own": Own(),
        "nan": float("nan"), "large": 2**70, "surrogate": "\ud800", "tuple": (1, 2), "truth": True,
    })  # fmt: skip
    assert made == {
        "when": "2030-01-01", "price": "1.50", "raw": "<4 bytes>", "own": "<Own>", "nan": None,
        "large": str(2**70), "surrogate": "?", "tuple": [1, 2], "truth": True,
    }  # fmt: skip


def test_a_large_event_is_cut_to_its_bound():
    made, size, _ = scrubber.properties({"text": "x" * 1_000_000, "list": list(range(100_000))})
    assert len(json.dumps(made)) < 100_000
    assert size <= 33_000


TRUSTED = options.read({"trusted_proxies": "10.0.0.0/8, 2001:db8::/32"}, str, {}).trusted_proxies


def address(peer, xff=(), forwarded=(), **settings):
    return proxies.client_address(peer, forwarded, xff, Options(**settings))


def test_without_declared_proxies_the_peer_is_believed_and_nothing_else():
    assert address("198.51.100.1", ["203.0.113.9"], ["for=203.0.113.9"]) == "198.51.100.1"
    assert address("::ffff:198.51.100.1") == "198.51.100.1"
    assert address(None, ["203.0.113.9"]) is None
    assert address("testclient") is None


@pytest.mark.parametrize(("peer", "lines", "expected"), [
    ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
    ("10.0.0.1", ["192.0.2.66, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
    ("10.0.0.1", ["192.0.2.66", "203.0.113.9", "10.0.0.2"], "203.0.113.9"),
    ("10.0.0.1", ["192.0.2.66, 203.0.113.9:4711, [2001:db8::1]:80"], "203.0.113.9"),
    ("198.51.100.1", ["203.0.113.9"], "198.51.100.1"),
    ("10.0.0.1", [], "10.0.0.1"),
    ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
    ("10.0.0.1", ["203.0.113.9, unknown"], "10.0.0.1"),
    ("10.0.0.1", ["203.0.113.9, <script>"], "10.0.0.1"),
    (None, ["203.0.113.9, 10.0.0.2"], "203.0.113.9"),
    (None, [], None),
])  # fmt: skip
def test_with_declared_networks_it_is_the_rightmost_untrusted(peer, lines, expected):
    assert address(peer, lines, trusted_proxies=TRUSTED) == expected


@pytest.mark.parametrize(("hops", "peer", "lines", "expected"), [
    (1, "10.0.0.1", ["192.0.2.66, 203.0.113.9"], "203.0.113.9"),
    (2, "10.0.0.1", ["192.0.2.66, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
    (2, "10.0.0.1", ["203.0.113.9"], "10.0.0.1"),
    (1, "10.0.0.1", [], "10.0.0.1"),
    (1, "10.0.0.1", ["203.0.113.9, nonsense"], "10.0.0.1"),
    (1, None, ["203.0.113.9"], "203.0.113.9"),
    (1, None, [], None),
])  # fmt: skip
def test_with_a_number_of_hops_it_is_counted_from_the_right(hops, peer, lines, expected):
    assert address(peer, lines, proxy_hops=hops) == expected


@pytest.mark.parametrize("value", [
    "for=203.0.113.9", 'for="203.0.113.9:4711"', "proto=https;FOR=203.0.113.9;by=10.0.0.1",
    'for=192.0.2.66, for="203.0.113.9"', 'for=192.0.2.66;host="a,b;for=192.0.2.1", for=203.0.113.9',
])  # fmt: skip
def test_the_forwarded_header_is_read_as_rfc_7239_writes_it(value):
    assert address("10.0.0.1", [], [value], proxy_hops=1) == "203.0.113.9"


def test_forwarded_addresses_of_version_six_are_read():
    assert address("10.0.0.1", [], ['for="[2001:db8:cafe::17]:4711"'], proxy_hops=1) == "2001:db8:cafe::17"


def test_an_application_can_say_which_header_its_proxies_write():
    both = {"xff": ["203.0.113.9"], "forwarded": ["for=198.51.100.7"], "proxy_hops": 1}
    assert address("10.0.0.1", **both) == "203.0.113.9"
    assert address("10.0.0.1", **both, forwarded_header="forwarded") == "198.51.100.7"
    assert address("10.0.0.1", [], ["for=198.51.100.7"], proxy_hops=1, forwarded_header="x-forwarded-for") == "10.0.0.1"


@given(st.lists(st.text(max_size=20)), st.lists(st.text(max_size=20)), st.integers(0, 3))
def test_no_header_can_raise(xff, forwarded, hops):
    for settings in ({"proxy_hops": hops}, {"trusted_proxies": TRUSTED}):
        found = address("10.0.0.1", xff, forwarded, **settings)
        assert found is not None
        assert normalise(found) == found


def test_a_stranger_cannot_choose_an_address_by_writing_more_on_the_left():
    for left in ("192.0.2.1", "10.0.0.9", "unknown", ",,,", "x" * 9999, "192.0.2.1, " * 200):
        assert address("10.0.0.1", [left, "203.0.113.9"], trusted_proxies=TRUSTED) == "203.0.113.9"
        assert address("10.0.0.1", [f"{left},203.0.113.9"], proxy_hops=1) == "203.0.113.9"


@example('for=192.0.2.1;x="', 'for="[2a00:1450::5]:443"')
@example('for="', "for=203.0.113.9")
@example('for=192.0.2.1;x="\\', 'host="a;for=192.0.2.3";for=203.0.113.9')
@given(
    st.lists(st.sampled_from(['"', "\\", ",", ";", "=", " ", "x", "for=192.0.2.1"])).map("".join),
    st.sampled_from(["for=203.0.113.9", 'for="[2a00:1450::5]:443"', 'host="a,b;for=192.0.2.3";for=203.0.113.9']),
)
def test_nor_by_a_quote_left_open_there(left, proxy):
    expected = "2a00:1450::5" if "2a00" in proxy else "203.0.113.9"
    for lines in ([left, proxy], [f"{left}, {proxy}"], [f'{left}, {proxy}, for="10.0.0.2"']):
        assert address("10.0.0.1", [], lines, trusted_proxies=TRUSTED) == expected
    assert address("10.0.0.1", [], [f"{left},{proxy}"], proxy_hops=1) == expected


def read(environ=None, **given_):
    said = []
    return options.read(given_, said.append, environ or {}), said


def test_settings_come_from_the_call_then_from_the_environment():
    environ = {"SENTINEL_URL": "https://env.example/", "SENTINEL_KEY": "k1", "SENTINEL_TRUSTED_PROXIES": "10.0.0.0/8"}
    found, said = read(environ, key="k2")
    assert (found.url, found.key, len(found.trusted_proxies), said) == ("https://env.example", "k2", 1, [])
    assert read(environ, trusted_proxies=2)[0].proxy_hops == 2


def test_a_setting_that_cannot_be_meant_leaves_the_environments_in_force():
    """Copied from a page, `key="…"` stands beside a SENTINEL_KEY that is right."""
    environ = {"SENTINEL_URL": "https://env.example", "SENTINEL_KEY": "k1"}
    found, said = read(environ, url="https://…", key="…")
    assert (found.url, found.key) == ("https://env.example", "k1")
    assert [line.partition(":")[0] for line in said] == [f"the setting `{one}` is left out" for one in ("url", "key")]


@pytest.mark.parametrize(
    "url", ["ftp://x", "sentinel.example", "https://", "https://u:p@x", "", "https://x:99999", "http://[::1"]
)
def test_an_address_that_is_none_is_left_out_with_a_word(url):
    found, said = read(url=url, key="k")
    assert found.url is None
    assert said


@given(passwords(), st.sampled_from(SPELLINGS))
def test_no_piece_of_a_password_in_an_address_is_told(password, spelling):
    found, said = read(url=spelling.format(scheme="https", password=password), key="k")
    assert not found.connected
    assert not any(piece in line for piece in pieces(password) for line in said)


@pytest.mark.parametrize("key", ["a b", "a\r\nX: y", "schlüssel"])
def test_a_key_that_no_header_carries_is_left_out_and_not_shown(key):
    found, said = read(url="https://x.example", key=key)
    assert found.key is None
    assert not any(key in line for line in said)


@pytest.mark.parametrize(("url", "fine"), [
    ("http://127.0.0.1:8787", True), ("http://localhost:8787", True), ("http://[::1]:8787", True),
    ("https://sentinel.example", True), ("http://sentinel.example", False), ("http://10.0.0.5", False),
    ("http://127.0.0.1.evil.example", False),
])  # fmt: skip
def test_the_key_goes_over_plain_http_to_this_machine_only(url, fine):
    found, said = read(url=url, key="k")
    assert found.connected is fine
    assert bool(said) is not fine
    assert read(url=url, key="k", allow_plain_http=True)[0].connected


class Strange:
    def __iter__(self):
        raise KeyError("on purpose")


@pytest.mark.parametrize(("name", "value"), [
    ("trusted_proxies", "nonsense"), ("trusted_proxies", 99),
    ("trusted_proxies", True), ("flush_interval", "soon"), ("flush_interval", -1),
    ("flush_interval", float("nan")), ("buffer_size", 0), ("forwarded_header", "x-real"), ("pseudonym_key", b"short"),
    ("block_headers", {"a": "b\r\nc"}), ("enforce", "perhaps"), ("snapshot", 7), ("block_status", 200),
    ("block_status", 600), ("snapshot", "list\0"), ("snapshot", "\ud800"), ("redact", Strange()), ("ca_file", "\0"),
    ("exempt", [""]), ("exempt", "verify"), ("timeout", 1e7), ("pseudonym_key", 64),
    ("report_interval", 1e10), ("startup_wait", float("inf")), ("block_headers", {"": "x"}),
    ("block_headers", {"a/b": "x"}), ("block_headers", {"Content-Length": "7"}),
])  # fmt: skip
def test_a_setting_that_cannot_be_meant_is_left_out_with_a_word(name, value):
    found, said = read(url="https://x.example", key="k", **{name: value})
    assert found == Options(url="https://x.example", key="k")
    assert name in said[0]


def test_a_pseudonym_key_is_a_text_or_bytes():
    for given_ in ("a key of sixteen bytes", b"a key of sixteen bytes", bytearray(b"a key of sixteen bytes")):
        found, said = read(url="https://x.example", key="k", pseudonym_key=given_)
        assert (found.pseudonym_key, said) == (b"a key of sixteen bytes", [])


def test_exempt_paths_are_read_with_a_slash_at_their_end_and_without():
    assert read(exempt=["/verify/", "/logout"])[0].exempt == ("/verify", "/logout")
    assert read(exempt="/")[0].exempt == ("/",)


@pytest.mark.parametrize(("text", "on"), [("off", False), ("0", False), ("FALSE", False), ("on", True), ("", True)])
def test_enforcement_is_on_unless_the_environment_says_off(text, on):
    assert read({"SENTINEL_ENFORCE": text}, enforce=True)[0].enforce is on


def test_a_server_that_believes_everybody_is_warned_of():
    assert any(
        "FORWARDED_ALLOW_IPS" in line for line in read({"FORWARDED_ALLOW_IPS": "*"}, url="https://x", key="k")[1]
    )


@pytest.mark.parametrize(("accept", "page"), [
    ("text/html,application/xhtml+xml,*/*;q=0.8", True), ("application/json", False), ("*/*", False), (None, False),
    ("application/json, text/html;q=0.5", False), ("text/html;q=0, application/json", False), ("text/*", True),
    ("application/problem+json,text/html;q=0.9", False), ("text/html;q=x", False), (";;;,,,", False),
])  # fmt: skip
def test_a_page_is_for_who_asks_for_one(accept, page):
    assert respond.wants_page(accept) is page


def test_of_an_accept_header_without_end_the_start_is_read():
    assert respond.wants_page("text/html" + "," * 60_000)
    assert not respond.wants_page("," * 60_000 + "text/html")


def test_an_answer_is_never_cached_and_shows_text_as_text():
    answer = respond.refusal(Verdict("block", "<b>"), "text/html", Options())
    assert b"&lt;b&gt;" in answer.body
    assert dict(answer.headers)["Cache-Control"] == "no-store"
    assert dict(answer.headers)["X-Content-Type-Options"] == "nosniff"
    assert dict(answer.headers)["Content-Length"] == str(len(answer.body))


@given(st.lists(DELTAS, min_size=1, max_size=3), st.integers(1, 60), st.booleans())
def test_a_delta_read_in_pieces_is_the_delta_read_at_once(deltas, size, indented):
    whole = pieces = Decisions(b"salt")
    for delta in deltas:
        text = json.dumps(as_json(delta), indent=1 if indented else None)
        whole = whole.apply(delta)
        reader = DeltaReader(pieces)
        for at in range(0, len(text), size):
            reader.feed(text[at : at + size])
        pieces = reader.finish()
    assert (len(pieces), pieces.revision) == (len(whole), whole.revision)
    for user in USERS:
        for ip in IPS:
            subject = Subject((user,), ip, "phone", login=True)
            assert pieces.match(subject, 5) == whole.match(subject, 5)


def test_the_order_of_a_deltas_fields_does_not_matter():
    base = Decisions().apply(Delta(1, (Decision("a", "block", "user", "id:1"),)))
    text = json.dumps(dict(reversed(as_json(Delta(2, (Decision("b", "block", "user", "id:2"),), reset=True)).items())))
    reader = DeltaReader(base)
    reader.feed(text)
    assert len(reader.finish()) == 1


@given(st.text(alphabet='{}[]",:0123456789ab \\trevisonadm', max_size=60))
def test_what_is_no_delta_raises_one_kind_of_error(text):
    reader = DeltaReader(Decisions())
    try:
        reader.feed(text)
        reader.finish()
    except (ValueError, SentinelError):
        return
    assert json.loads(text)["revision"] >= 0


GOOD = {"id": "d1", "kind": "block", "scope": "user", "value": "id:1"}


@given(st.lists(st.sampled_from([GOOD, None, 4, "d1", [], {}, [GOOD], GOOD | {"kind": "ban"}]), max_size=8))
def test_what_cannot_be_read_is_counted_and_the_rest_is_kept(raw):
    base = Decisions().apply(Delta(1, (Decision("x", "block", "user", "id:2"),)))
    reader = DeltaReader(base)
    reader.feed(json.dumps({"revision": 3, "reset": False, "added": raw, "removed": ["x", 4]}))
    after = reader.finish()
    assert [after.match(Subject((user,)), 5).allowed for user in ("id:1", "id:2")] == [GOOD not in raw, True]
    assert reader.rejected == len(raw) - raw.count(GOOD) + 1


@pytest.mark.parametrize(
    "raw", [None, [], {"revision": "1"}, {"revision": -1}, {"revision": True}, {}, {"revision": 1, "reset": 1}], ids=str
)
def test_what_is_no_delta_is_refused(raw):
    reader = DeltaReader(Decisions())
    with pytest.raises((ValueError, SentinelError)):
        reader.feed(json.dumps(raw))
        reader.finish()


def test_a_delta_without_end_is_given_up():
    reader = DeltaReader(Decisions())
    reader.feed('{"revision": 1, "added": ["')
    with pytest.raises(ValueError, match="characters"):
        for _ in range(100):
            reader.feed("x" * 100_000)


def test_a_value_that_comes_in_single_characters_is_not_read_anew_with_each(monkeypatch):
    """A server that sends little would take much of the application's time."""
    reads, decode = [], deltas._decode
    monkeypatch.setattr(deltas, "_decode", lambda text, at: reads.append(at) or decode(text, at))
    reader = DeltaReader(Decisions())
    for char in json.dumps({"later": "x" * 20_000, "revision": 7}):
        reader.feed(char)
    assert reader.finish().revision == 7
    assert len(reads) < 100


@pytest.mark.parametrize("begun", ['{"added": [', '{"reset": false, "removed": ['])
def test_little_is_held_of_lists_that_come_before_what_says_what_to_do_with_them(begun):
    reader = DeltaReader(Decisions())
    reader.feed(begun)
    with pytest.raises(ValueError, match="too late"):
        for _ in range(12):
            reader.feed(f'"{"x" * 100_000}",')


def test_nothing_is_kept_of_fields_that_nobody_knows():
    reader = DeltaReader(Decisions())
    reader.feed('{"a": "x", "b": [1], "revision": 1, "reset": false, "now": "never"}')
    assert reader.finish().revision == 1
    assert reader.fields == {"revision": 1, "reset": False, "now": "never"}


@given(st.integers(1, 20), st.sampled_from(["\n", "\r\n"]))
def test_events_of_a_stream_are_split_wherever_the_pieces_end(size, end):
    lines = [
        ": hello",
        "",
        "id: 1",
        "event: delta",
        'data: {"a": "ü"}',
        "",
        "data: x",
        "data:y",
        "",
        "event: other",
        "",
    ]
    raw = end.join([*lines, ""]).encode()
    got, text = [], []

    def dispatch(name):
        got.append((name, "".join(text).split()))
        text.clear()

    stream = EventStream(text.append, dispatch)
    for at in range(0, len(raw), size):
        stream.feed(raw[at : at + size])
    assert got == [("message", []), ("delta", ['{"a":', '"ü"}']), ("message", ["x", "y"]), ("other", [])]


def test_waits_double_with_jitter_to_a_limit_and_start_anew():
    backoff = Backoff(1.0, 8.0)
    waits = [backoff.next() for _ in range(6)]
    for wait, longest in zip(waits, (1, 2, 4, 8, 8, 8), strict=True):
        assert longest / 2 <= wait <= longest
    backoff.reset()
    assert backoff.next() <= 1


def test_a_warning_is_said_once_and_what_comes_and_goes_ever_less_often(monkeypatch, caplog):
    """A server that is there each other second must not fill the application's disk."""
    now = 0.0
    monkeypatch.setattr(clock, "time", SimpleNamespace(monotonic=lambda: now))
    notes = Notes()
    for now in map(float, range(24 * 3600)):  # noqa: B007  `time` above reads it
        notes.warn("feed", "away")
        notes.warn("feed", "away")
        notes.forget("feed")
    assert len(caplog.records) < 40
    caplog.clear()
    now += 3600
    notes.warn("feed", "away")
    assert len(caplog.records) == 1


@pytest.mark.parametrize(("text", "expected"), [
    ("7", 7.0), ("999999999999", 300.0), (None, 1.5), ("soon", 1.5), ("-3", 1.5),
    ("Wed, 21 Oct 2015 07:28:00 GMT", 0.5), ("0", 0.5), ("1", 1.0),
    ("Fri, 31 Dec 2999 23:59:59 GMT", 300.0),
])  # fmt: skip
def test_a_server_may_say_how_long_to_wait(text, expected):
    assert retry_after(text, 1.5) == expected


def test_a_wait_that_was_shorter_anyway_is_not_made_longer():
    assert retry_after("0", 0.02) == 0.02
