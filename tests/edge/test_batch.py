"""Bytes become events one by one: nothing but JSON that is none refuses a whole body, and no bytes raise a fault."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.batch import proves
from sentinel.core.event import ID_LENGTH
from sentinel.edge.batch import LARGEST_PROPERTIES, MOST, Terms, parse, translated
from sentinel.edge.errors import ApiError
from tests.api.fakes import NOW

TERMS = Terms("sdk", "k", NOW, lambda: "made")
GOOD = {"event": "x", "id": "good"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ["event", "id", "timestamp", "success", "user", "ip", "device", "request", "properties", "geo", "nonsense"]


def one(event):
    """Return what becomes of one event between two good ones: itself, or why it was refused."""
    data = event if isinstance(event, bytes) else json.dumps(event).encode()
    good = json.dumps(GOOD).encode()
    parsed = parse(b"[%b,%b,%b]" % (good, data, good), TERMS)
    assert [found.id for found in parsed.events if found.id == "good"] == ["good", "good"]
    if parsed.rejected:
        (rejected,) = parsed.rejected
        assert rejected["index"] == 1
        return rejected["error"]
    return parsed.events[1]


@given(st.dictionaries(st.sampled_from(FIELDS), JSON), st.booleans())
def test_any_object_is_taken_or_refused_by_itself_and_can_be_written(fields, named):
    event = one({"event": "x", **fields} if named else fields)
    if not isinstance(event, str):
        parts = [event.id, event.name, event.identifiers, event.request, event.properties]
        assert msgspec.msgpack.encode([dict(part) if isinstance(part, Mapping) else part for part in parts])


@given(st.binary())
def test_no_bytes_raise_anything_but_a_refusal(data):
    try:
        parse(data, TERMS)
    except ApiError as error:
        assert error.status in (400, 413)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (b'{"event":"x","properties":{"a":"\\ud800!"}}', "\ufffd!"),
        (b'{"event":"x","properties":{"a":"\xff!"}}', "\ufffd!"),
        (b'{"event":"x","properties":{"a":"\\ud83d\\ude00"}}', "😀"),
    ],
)
def test_text_that_is_no_unicode_is_mended(event, text):
    assert one(event).properties == {"a": text}


def test_a_mended_event_beside_others_leaves_them_as_they_are():
    good = {"event": "x", "id": "🙂", "properties": {"n": 1.5, "big": 2**63, "deep": [{"a": None}]}}
    parsed = parse(b'[{"event":"y","device":"\\udfff"},%b]' % json.dumps(good).encode(), TERMS)
    assert (parsed.events[1].id, parsed.events[1].properties) == (good["id"], good["properties"])


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", "-" + "1" * 5000])
def test_a_number_that_cannot_be_kept_costs_its_own_event_only(number):
    assert one(b'{"event":"x","properties":{"a":%b}}' % number.encode()).startswith("`event`: `")


@pytest.mark.parametrize("field", ["properties", "request"])
def test_an_integer_no_store_can_write_costs_its_own_event_only(field):
    value = {"a": 2**64} if field == "properties" else {"params": {"a": -(2**63) - 1}}
    assert one({"event": "x", field: value}).startswith(f"`{field}`: holds an integer of more than 64 bits")


@pytest.mark.parametrize("user", [2**100, {"id": 2**100}])
def test_an_identifier_may_be_a_large_integer(user):
    assert one({"event": "x", "user": user}).identifiers == {"id": f"{2**100}"}


def test_a_list_of_large_integers_is_no_identifier():
    assert one({"event": "x", "user": {"id": [2**100]}}).startswith("`user.id`: an identifier is text or an integer")


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({"properties": {"a": "x" * LARGEST_PROPERTIES}}, "properties"),
        ({"properties": {"a": "é" * (LARGEST_PROPERTIES // 2)}}, "properties"),
        ({"request": {"path": "x" * LARGEST_PROPERTIES}}, "request"),
        ({"user": {f"k{n}": "x" * 200 for n in range(200)}}, "user"),
        ({"user": {"id": 2**100} | {f"k{n}": "x" * 200 for n in range(200)}}, "user"),
    ],
)
def test_what_is_too_large_to_keep_costs_its_own_event_only(event, field):
    assert one({"event": "x", **event}).startswith(f"`{field}`: larger than")


@pytest.mark.parametrize("event", [7, "x", ["x"], "x" * 2 * LARGEST_PROPERTIES, ["x" * 2 * LARGEST_PROPERTIES]])
def test_what_is_no_object_costs_itself_only(event):
    assert one(event).startswith("`event`: an event is a JSON object")


def test_what_just_fits_is_taken():
    assert one({"event": "x", "properties": {"a": "x" * (LARGEST_PROPERTIES - 10)}}).name == "x"


@pytest.mark.parametrize("depth", [17, 500, 1_500, 100_000])
@pytest.mark.parametrize("inside", [b"1", b'"[\\"]{"', b'"\\ud800"'])
def test_an_event_nested_too_deep_costs_itself_only(depth, inside):
    """However deep that is: past a thousand levels no decoder takes it."""
    assert "nested" in one(b'{"event":"x","properties":{"]":%b%b%b}}' % (b"[" * depth, inside, b"]" * depth))


@pytest.mark.parametrize("field", ["id", "timestamp", "user", "request", "device", "nonsense"])
def test_nesting_without_end_is_refused_wherever_it_stands(field):
    deep = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
    assert one(b'{"event":"x","%b":%b}' % (field.encode(), deep)).startswith(f"`{field}")


@pytest.mark.parametrize("end", [b"", b'"', b"]" * 49_999, b"}" * 50_000, b"]" * 50_001])
def test_nesting_without_end_in_what_is_no_json_is_refused_whole(end):
    with pytest.raises(ApiError, match="nested too deep"):
        parse(b"[" * 50_000 + end, TERMS)


def test_a_mark_at_the_start_of_the_file_is_passed_over():
    assert parse(b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), TERMS).events[0].id == "good"


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (gzip.compress(b"[]"), "it looks like gzip: say so with `Content-Encoding: gzip`"),
        (zstandard.compress(b"[]"), "it looks like zstd: say so with `Content-Encoding: zstd`"),
        (b'{"event":"x"}\n{"event":"y"}\n', "lines of JSON are no list: send one event such as"),
        (b'{"event":"x"} and', "send one event such as"),
    ],
)
def test_what_is_no_json_is_told_what_it_looks_like(data, hint):
    with pytest.raises(ApiError) as refused:
        parse(data, TERMS)
    assert refused.value.hint.startswith(hint)


def test_the_most_events_are_taken_and_one_more_is_not():
    assert len(parse(json.dumps([{"event": "x"}] * MOST).encode(), TERMS).events) == MOST
    with pytest.raises(ApiError, match="at most 5000"):
        parse(json.dumps([{"event": "x"}] * (MOST + 1)).encode(), TERMS)


@pytest.mark.parametrize(("each", "elements"), [(0, MOST), (1, MOST), (50, MOST // 50)])
def test_a_foreign_body_means_the_most_events_and_no_more(each, elements):
    """Whether it has too many elements, of which none need mean anything, or few that mean many."""

    def ask(count):
        return translated(range(count), lambda _: [{"event": "x"}] * each, TERMS, False, pytest.fail)

    assert len(ask(elements).events) == each * elements
    with pytest.raises(ApiError, match="more than 5000 events in one request"):
        ask(elements + 1)


def test_a_foreign_body_with_too_many_elements_is_refused_before_one_of_them_is_read():
    with pytest.raises(ApiError, match="more than 5000 events in one request"):
        translated([{}] * (MOST + 1), lambda _: pytest.fail("it was read"), TERMS, False, pytest.fail)


@given(st.lists(st.fixed_dictionaries({"event": st.text(max_size=3)}, optional={"id": JSON}), max_size=5))
def test_every_event_is_taken_or_refused_in_order(events):
    parsed = parse(json.dumps(events).encode(), TERMS)
    refused = [rejected["index"] for rejected in parsed.rejected]
    assert refused == sorted(refused)
    assert len(parsed.events) + len(refused) == len(events)
    names = [event["event"] for index, event in enumerate(events) if index not in refused]
    assert [event.name for event in parsed.events] == names


def test_brackets_without_end_are_refused_before_they_are_objects():
    with pytest.raises(ApiError, match="too many objects and lists") as caught:
        parse(b'[{"event":"x","properties":{"a":[' + b"[]," * 300_000 + b"1]}}]", TERMS)
    assert caught.value.status == 413


def test_the_most_events_may_each_have_their_objects():
    event = {"event": "x", "user": {"id": 1}, "request": {"params": {"a": {}}}, "properties": {"a": [{"b": [1]}] * 4}}
    assert len(parse(json.dumps([event] * MOST).encode(), TERMS).events) == MOST


@pytest.mark.parametrize("events", [{}, {"event": "x"}, None, "x"])
def test_events_that_are_no_list_are_told_by_their_name(events):
    with pytest.raises(ApiError) as refused:
        parse(json.dumps({"events": events}).encode(), TERMS)
    assert (refused.value.code, refused.value.message) == ("malformed", "`events`: not a list")


def test_a_refused_event_is_named_by_its_id_also_where_that_is_a_number():
    (rejected,) = parse(b'{"id": 7, "event": ""}', TERMS).rejected
    assert rejected["id"] == "7"


def test_a_refused_event_is_named_by_what_can_be_written_of_its_id():
    (rejected,) = parse(b'{"id": "a\\ud800", "event": "x", "properties": {"a": NaN}}', TERMS).rejected
    assert rejected["id"] == "a\ufffd"


def test_what_a_server_passes_on_from_a_browser_is_believed_no_more_than_from_there():
    parsed = parse(b'[{"event":"x","trust":"browser","ip":"203.0.113.9"},{"event":"auth","trust":"browser"}]', TERMS)
    (found,) = parsed.events
    assert (found.trust, found.ip, proves(found)) == ("browser", "203.0.113.9", False)
    assert "`auth` is not taken from a browser" in parsed.rejected[0]["error"]
    assert not proves(parse(b'{"event":"identify","trust":"browser","user":{"id":1,"email":"a@b"}}', TERMS).events[0])


@pytest.mark.parametrize("trust", ["server", "playbook", "", 1, True, ["browser"], {}])
def test_no_sender_says_of_an_event_that_it_can_be_believed(trust):
    assert one({"event": "x", "trust": trust}).startswith("`trust`: only `browser`")


def test_an_event_of_no_stated_trust_is_a_server_s():
    assert one({"event": "x", "trust": None}).trust == "server"


LENGTHS = [1, ID_LENGTH - 13, ID_LENGTH - 12, ID_LENGTH]  # the second is the longest that the key fits before
IDS = st.builds(
    lambda start, length: start.ljust(length, "-"), st.text("ab", min_size=1, max_size=4), st.sampled_from(LENGTHS)
)


@given(IDS, IDS)
def test_a_browser_key_s_ids_are_its_own_and_no_longer_than_any(first, second):
    """Else what was exported could not be read back."""

    def kept(id, key="0123456789ab"):
        terms = Terms("browser", key, NOW, lambda: "made")
        return parse(json.dumps({"event": "x", "id": id}).encode(), terms).events[0].id

    assert (kept(first) == kept(second)) == (first == second)
    assert kept(first) != kept(first, "ba9876543210")
    assert len(kept(first)) <= ID_LENGTH
