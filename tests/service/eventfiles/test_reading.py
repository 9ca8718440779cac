"""Event files: what is an event, what is not and how that is told, and which files are none at all."""

import gzip
import json
from contextlib import closing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.errors import EventError, InputError
from sentinel.core.event import Event, read, read_typed
from sentinel.service.eventfiles.reading import HOPELESS, REASONS, SHOWN, Account, Options, Typed, derived_id, events
from sentinel.service.eventfiles.streams import LONGEST, Stream

AT = "2026-11-20T21:30:00Z"


def event(id="e1", **fields):
    return {"id": id, "event": "auth", "timestamp": AT} | fields


def text(*rows):
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)


@pytest.fixture
def reading(tmp_path):
    """Write a file, read it, and return its events and the account."""

    def run(content, name="events.ndjson", strict=False, event_name=None, **options):
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        account = Account(strict=strict)
        with closing(Stream(str(file))) as stream:
            found = [
                one for batch in events([stream], account, Options(name=event_name, **options)) for one in batch.events
            ]
        return found, account

    return run


def test_each_line_is_an_event(reading):
    found, account = reading(text(event("a"), event("b", success=False, user="42", ip="203.0.113.9")))
    assert [(one.id, one.user, one.ip, one.success) for one in found] == [
        ("a", None, None, None), ("b", "id:42", "203.0.113.9", False),
    ]  # fmt: skip
    assert (account.events, account.bad.total(), account.shown) == (2, 0, [])


@pytest.mark.parametrize("content", ["", "\n", " \n\t\n", "\ufeff"])
def test_a_file_without_lines_has_no_events_and_no_fault(reading, content):
    found, account = reading(content)
    assert (found, account.events, account.bad.total()) == ([], 0, 0)


@pytest.mark.parametrize(
    "content",
    [
        text(event("a"), "", event("b"), "   "),
        text(event("a"), event("b")).replace("\n", "\r\n"),
        text(event("a"), event("b")).rstrip("\n"),
        "\ufeff" + text(event("a"), event("b")),
        "\n\n" + text(event("a"), event("b")),
    ],
)
def test_blank_lines_carriage_returns_and_a_byte_order_mark_do_not_matter(reading, content):
    found, account = reading(content)
    assert ([one.id for one in found], account.bad.total()) == (["a", "b"], 0)


def test_what_a_server_stored_is_read_back_with_what_it_added(reading):
    found, _ = reading(text(event(geo={"country": "FR"}, event="sentinel.finding", user_labels=["vip"])))
    assert (found[0].geo, found[0].name, found[0].user_labels) == ({"country": "FR"}, "sentinel.finding", ("vip",))


SHOWN_EVENT = event(
    user="email:old@x.example", identifiers={"id": "7", "email": "new@x.example"}, received=AT, trust="browser",
    historical=True, clamped=True, geo={"country": "FR"}, user_labels=["vip"], ip=None, request={}, position=5,
)  # fmt: skip


def test_what_a_server_shows_is_read_as_what_was_stored(reading):
    """With the person it was found to be about, whatever the identifiers would say; nothing is of the past here."""
    (found,), account = reading(text(SHOWN_EVENT))
    assert account.bad.total() == 0
    assert (found.user, found.identifiers) == ("email:old@x.example", {"id": "7", "email": "new@x.example"})
    assert (found.trust, found.geo, found.user_labels) == ("browser", {"country": "FR"}, ("vip",))
    assert (found.historical, found.clamped, found.ip) == (False, False, None)


@pytest.mark.parametrize("user", [None, ""])
def test_what_a_server_found_to_be_about_nobody_is_about_nobody(reading, user):
    (found,), _ = reading(text(SHOWN_EVENT | {"user": user}))
    assert (found.user, found.identifiers["id"]) == (None, "7")


@pytest.mark.parametrize("missing", ["trust", "received"])
def test_what_no_server_shows_is_a_sender_s_mistake(reading, missing):
    """A field nobody knows is told, not passed over."""
    shown = {name: value for name, value in SHOWN_EVENT.items() if name not in (missing, "identifiers", "position")}
    found, account = reading(text(event(), shown | {"amount": 5}))
    assert len(found) == 1
    assert account.shown[0].endswith("not a field of an event (own values belong in `properties`)")


def test_bad_lines_are_told_with_their_numbers_and_counted_by_reason(reading, tmp_path):
    rows = [
        event("a"), "{oops", event("b", ip="localhost"), event("c", ip="nowhere"), "[1]", event("d", colour="red"),
        '{"id": "\udcff"}', "null", event("e"),
    ]  # fmt: skip
    found, account = reading(text(*rows).encode("utf-8", "surrogateescape"))
    assert [one.id for one in found] == ["a", "e"]
    assert account.bad == {
        "not JSON": 1,
        "`ip`: `…` is not an address": 2,
        "`event`: an event is a JSON object": 2,
        "`colour`: not a field of an event": 1,
        "not UTF-8": 1,
    }
    place = tmp_path / "events.ndjson"
    assert account.shown[0].startswith(f"{place}:2: not JSON: ")
    assert account.shown[1] == f"{place}:3: `ip`: `localhost` is not an address (write `203.0.113.9` or `2001:db8::1`)"
    assert [line.removeprefix(f"{place}:").partition(":")[0] for line in account.shown] == [
        "2",
        "3",
        "4",
        "5",
        "6",
        "7",
        "8",
    ]


@pytest.mark.parametrize(
    "line", ["{oops", '{"id": 1e999}', '{"a": NaN}', '{"a": "\\ud800"}', "[" * 100_000, '{"a": 1} {"b": 2}', "'x'"]
)
def test_what_is_no_json_costs_one_line(reading, line):
    found, account = reading(text(event("a"), line, event("b")))
    assert ([one.id for one in found], account.bad.total()) == (["a", "b"], 1)


def test_only_the_first_bad_lines_are_told_and_all_are_counted(reading):
    _, account = reading(text(event("a"), *["{"] * 100))
    assert (len(account.shown), account.bad) == (SHOWN, {"not JSON": 100})


def test_reasons_that_senders_make_up_are_bounded(reading):
    rows = [event(str(n), **{f"field{n}": 1}) for n in range(1000)]
    _, account = reading(text(event("a"), *rows))
    assert account.bad.total() == 1000
    assert len(account.bad) <= REASONS + 1
    assert account.bad["other reasons"] > 900


def test_strict_ends_at_the_first_bad_line(reading, tmp_path):
    with pytest.raises(InputError) as caught:
        reading(text(event("a"), "{oops", "{oops"), strict=True)
    assert str(caught.value).startswith(f"{tmp_path / 'events.ndjson'}:2: not JSON")


def test_a_line_over_the_bound_is_counted_like_others(reading):
    long = json.dumps(event("b", properties={"x": "y" * LONGEST}))
    found, account = reading(text(event("a"), long, event("c")))
    assert ([one.id for one in found], account.bad) == (["a", "c"], {"longer than 1,048,576 bytes": 1})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bytes(range(256)) * 10, "is binary (a file of events is text"),
        ("hello\n" * 100, f"begins with {HOPELESS} lines that are no events; line 1: not JSON"),
        ("hello\n", "holds no events; line 1: not JSON"),
        ("Jan  1 00:00:01 host sshd[1]: Failed password\n" * 3, "holds no events; line 1: not JSON"),
        ("<html>\n<body>\n", "holds no events; line 1: not JSON"),
        ("{}\n" * 3, "holds no events; line 1: `event`: missing"),
        ('[\n{"event": "auth"}\n]', "is one JSON array (write one event a line: jq -c '.[]')"),
        (json.dumps([event("a")]), "is one JSON array"),
        (json.dumps(event("a"), indent=2), "holds no events; line 1: not JSON"),
        (
            "hello\n" * HOPELESS + text(*[event(str(n)) for n in range(100)]),
            f"begins with {HOPELESS} lines that are no events; line 1",
        ),
    ],
)
def test_a_file_of_something_else_gets_one_clear_message(reading, tmp_path, content, message):
    with pytest.raises(InputError) as caught:
        reading(content)
    assert str(caught.value).startswith(f"`{tmp_path / 'events.ndjson'}` {message}")
    assert "\n" not in str(caught.value)


def test_a_few_bad_lines_at_the_start_are_no_reason_to_give_up(reading):
    found, account = reading("# exported\n" * (HOPELESS - 1) + text(event("a")))
    assert (len(found), account.bad.total()) == (1, HOPELESS - 1)


def test_many_bad_events_at_the_start_are_no_reason_to_give_up_either(reading):
    """They are JSON: a producer's fault is told in the end, with how many there were."""
    found, account = reading(text(*[{"id": str(n)} for n in range(100)], event("a")))
    assert (len(found), account.bad.total()) == (1, 100)


def test_an_event_without_an_id_gets_the_same_one_each_time(reading):
    rows = text(
        {"event": "x", "timestamp": AT}, {"event": "x", "timestamp": AT}, {"event": "y", "timestamp": AT, "id": None}
    )
    first, _ = reading(rows)
    again, _ = reading(gzip.compress(rows.encode()), name="copy.gz")
    assert [one.id for one in first] == [one.id for one in again]
    assert len({one.id for one in first}) == 3, "equal lines are different events"
    assert all(len(one.id) == 36 for one in first)


def test_the_event_beside_its_json_is_its_own(tmp_path):
    (tmp_path / "events").write_text(text(event("a"), "{oops", event("b", ip="nowhere"), event("c")))
    with closing(Stream(str(tmp_path / "events"))) as stream:
        (batch,) = events([stream], Account())
    assert [raw["id"] for raw in batch.raws] == [one.id for one in batch.events] == ["a", "c"]


def test_files_are_read_one_after_the_other(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text(text(event(name), "{"))
    account = Account()
    with closing(Stream(str(tmp_path / "a"))) as one, closing(Stream(str(tmp_path / "b"))) as two:
        found = [event.id for batch in events([one, two], account) for event in batch.events]
    assert found == ["a", "b"]
    assert [line.partition(": ")[0] for line in account.shown] == [f"{tmp_path / 'a'}:2", f"{tmp_path / 'b'}:2"]


def test_one_hopeless_file_among_good_ones_is_told(tmp_path):
    (tmp_path / "a").write_text(text(event("a")))
    (tmp_path / "b").write_text("hello\n")
    one, two = Stream(str(tmp_path / "a")), Stream(str(tmp_path / "b"))
    with closing(one), closing(two), pytest.raises(InputError, match="holds no events"):
        list(events([one, two], Account()))


def test_events_without_a_name_can_be_given_one(reading):
    rows = text({"id": "a", "timestamp": AT}, {"id": "b", "timestamp": AT, "event": None}, event("c", event="signup"))
    found, account = reading(rows, event_name="login")
    assert ([one.name for one in found], account.bad.total()) == (["login", "login", "signup"], 0)


def test_a_mapping_of_columns_needs_columns(reading):
    with pytest.raises(InputError, match="is not CSV: it has no columns to map"):
        reading(text(event("a")), columns={"mail": "user.email"})


def test_an_app_s_own_identifiers_name_its_users(reading):
    found, _ = reading(text(event(user={"id": "1", "phone": "110"})), identifiers=("phone",))
    assert found[0].user == "phone:110"


def seen(event):
    return {name: getattr(event, name, None) for name in Event.__annotations__}


def typed(raw):
    """Return the event as files of an event's own fields are read, None where they are not read so."""
    try:
        return seen(read_typed(msgspec.json.decode(msgspec.json.encode(raw), type=Typed)))
    except (EventError, msgspec.DecodeError, TypeError, UnicodeEncodeError):
        return None


def plainly(raw):
    try:
        return seen(read(msgspec.json.decode(msgspec.json.encode(raw)), reserved=True))
    except (EventError, TypeError, UnicodeEncodeError):
        return None


OWN = event(
    success=False, user={"id": 42, "email": "A@example.com"}, ip="::ffff:203.0.113.9", device="laptop",
    request={"path": "/login", "status": 401, "params": {"a": [1]}}, properties={"a": {"b": [1.5, None]}},
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
CHANGES = st.dictionaries(
    st.sampled_from([*OWN, "geo", "colour"]), JSON | st.sampled_from(["", "auth", 7, {}]), max_size=4
)


HEADERS = st.dictionaries(st.sampled_from(["user_agent", "accept_language", "path"]), st.none() | st.text(max_size=3))


@given(HEADERS, st.sampled_from([{}, {"device": ""}, {"device": "d"}]))
def test_both_ways_find_the_same_device(request, more):
    raw = {"id": "e", "event": "a", "timestamp": AT, "request": request} | more
    assert typed(raw) == plainly(raw) is not None


@given(CHANGES, st.sets(st.sampled_from(sorted(OWN)), max_size=4))
def test_the_fast_way_and_the_plain_way_read_the_same(changes, missing):
    """Where the fast way gives an event it is the plain way's; where it gives none the plain way is asked."""
    raw = {name: value for name, value in (OWN | changes).items() if name not in missing}
    fast = typed(raw)
    assert fast is None or fast == plainly(raw)


def test_an_address_that_is_too_long_in_small_letters_costs_its_line_either_way():
    raw = event("e", user={"id": 7, "email": "\u0130" * 129})
    assert typed(raw) is plainly(raw) is None
    assert typed(event("e", user={"email": "\u0130" * 128})) is not None


@pytest.mark.parametrize("left", [*OWN, ""])
def test_ordinary_events_are_read_the_fast_way(left):
    raw = {name: value for name, value in OWN.items() if name != left}
    assert (typed(raw) is None) == (left in ("id", "event", "timestamp"))


LINES = st.one_of(
    st.builds(lambda id: json.dumps(event(str(id))), st.integers(0, 99)),
    st.sampled_from(["", "{", "null", "{}", '{"a":', '1}{"b": 2}', json.dumps(event("x", ip="nowhere"))]),
)


@given(st.lists(LINES, max_size=40), st.integers(1, 300))
def test_any_cut_into_chunks_reads_the_same(rows, block):
    """However lines fall into blocks, and whatever stands between them, events and account are the same."""
    rows = [json.dumps(event("first")), *rows]

    def run(size):
        data = "".join(row + "\n" for row in rows).encode()
        stream = Stream.__new__(Stream)
        stream.name = "x"
        stream.blocks = lambda: iter([data[at : at + size] for at in range(0, len(data), size)])  # type: ignore[method-assign]
        account = Account()
        return [one.id for batch in events([stream], account) for one in batch.events], account

    assert run(block) == run(1 << 20)


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_ids_differ_by_line_and_by_content(one, two):
    raw = {"event": "x", "n": one}
    assert (derived_id(raw, one) == derived_id(raw, two)) == (one == two)
    assert (derived_id(raw, 1) == derived_id({"event": "x", "n": two}, 1)) == (one == two)
