"""What one Exceptionless event means: whose it is, which stack it belongs to, what of it is kept."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.compat.exceptionless import legacy
from sentinel.compat.exceptionless.filtering import conditions
from sentinel.compat.exceptionless.incoming import elements, reader, translate, user
from sentinel.compat.exceptionless.reading import Reading
from sentinel.compat.sparing import shallow
from sentinel.core import event as events
from sentinel.core.errors import EventError
from sentinel.core.record import App
from sentinel.edge.batch import _bounded
from sentinel.edge.errors import ApiError
from sentinel.engine.expression import compile_expression
from sentinel.store.embedded.store import open_store
from tests.contract.values import NOW, batch, event, put


def one(kind="error", **data):
    return {"type": kind, "data": data}


def stack_of(raw):
    return translate(raw)["properties"]["stack"]


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        ({"identity": "42", "name": "Jane"}, {"id": "42"}),
        ({"identity": 42}, {"id": "42"}),
        ({"identity": "jane@example.com", "name": "Jane"}, {"email": "jane@example.com"}),
        ({"identity": "jane@example.com", "userId": "7"}, {"id": "7", "email": "jane@example.com"}),
        ({"identity": "a@b.c", "email": "jane@example.com"}, {"email": "jane@example.com"}),
        ({"name": "Jane", "email": "jane@example.com", "userId": "7"}, {"id": "7", "email": "jane@example.com"}),
        ({"user_id": 7}, {"id": "7"}),
        ({"id": "7"}, {"id": "7"}),
        ({"name": "Jane", "email": "jane@example.com"}, {"email": "jane@example.com"}),
        ({"name": "Jane"}, {"username": "Jane"}),
        ({"Identity": "42"}, {"id": "42"}),
        ("42", {"id": "42"}),
        ({"identity": {"x": 1}, "email": True}, {}),
        ({"identity": "x" * 300, "email": "e@example.com"}, {"email": "e@example.com"}),
        ({"identity": "7", "email": "\u0130" * 129 + "@example.com"}, {"id": "7"}),
        (None, {}),
        ([], {}),
    ],
)
def test_a_user_is_known_by_identity_else_id_else_mail_else_name(sent, found):
    assert user(sent) == found


def test_what_was_thrown_and_is_no_error_is_the_message():
    thrown = one(**{"@error": {"type": "Error", "stack_trace": [], "data": {"@ext": "No user object provided"}}})
    assert translate(thrown)["properties"]["message"] == "No user object provided"


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ({"message": "a"}, "log"),
        ({"data": {"@error": {"type": "E"}}}, "error"),
        ({"data": {"@simple_error": {"type": "E"}}}, "error"),
        ({"type": "404"}, "404"),
        ({"type": "usage", "source": "Clicked.SignUp"}, "Clicked.SignUp"),
        ({"type": "usage", "source": "auth"}, "usage"),
        ({"type": "usage", "source": "sentinel.identify"}, "usage"),
        ({"type": "usage", "source": "x" * 200}, "usage"),
        ({"type": "usage"}, "usage"),
        ({"type": "session"}, "session.start"),
        ({"type": "sessionend"}, "session.end"),
        ({"type": "a\nb"}, "a b"),
    ],
)
def test_an_event_is_named_by_its_type_and_a_feature_by_itself(raw, name):
    assert translate(raw)["event"] == name


@pytest.mark.parametrize("kind", ["sentinel.enforced", "sentinel.identify", "sq.x"])
def test_names_that_are_ours_are_refused(kind):
    with pytest.raises(EventError, match="is reserved"):
        translate({"type": kind})


def test_the_spelling_of_names_does_not_matter():
    snake = {
        "type": "error", "date": "2026-11-20T10:00:00Z", "reference_id": "r1",
        "data": {"@simple_error": {"type": "E", "stack_trace": "at a"}, "@request": {"client_ip_address": "1.2.3.4"}},
    }  # fmt: skip
    pascal = {
        "Type": "error", "Date": "2026-11-20T10:00:00Z", "ReferenceId": "r1",
        "Data": {"@simple_error": {"Type": "E", "StackTrace": "at a"}, "@request": {"ClientIpAddress": "1.2.3.4"}},
    }  # fmt: skip
    assert translate(snake) == translate(pascal)


def test_fields_nobody_knows_become_data_and_those_of_a_server_do_not():
    raw = {"name": "value", "data": {"own": 1}, "id": "x", "stack_id": "y", "@version": "1"}
    own = translate(raw)["properties"]
    assert (own["data"], own["version"]) == ({"name": "value", "own": 1}, "1")


def test_errors_of_one_kind_thrown_in_one_method_are_one_stack():
    def thrown(line, message, name="run", kind="Error"):
        frames = [{"name": name, "declaring_type": "Job", "file_name": "/a.js", "line_number": line}]
        return one(**{"@error": {"type": kind, "message": message, "stack_trace": frames}})

    first = stack_of(thrown(1, "a"))
    assert first == stack_of(thrown(2, "b"))
    assert first != stack_of(thrown(1, "a", name="walk"))
    assert first != stack_of(thrown(1, "a", kind="TypeError"))


def test_an_error_is_what_caused_it():
    inner = {"type": "Cause", "stack_trace": [{"name": "deep"}]}
    assert stack_of(one(**{"@error": {"type": "A", "inner": inner}})) == stack_of(
        one(**{"@error": {"type": "B", "inner": {"type": "C", "inner": inner}}})
    )


def test_without_a_method_messages_tell_errors_apart_but_not_by_their_numbers():
    def thrown(message):
        return stack_of(one(**{"@error": {"type": "Error", "message": message}}))

    assert thrown("order 17 failed") == thrown("order 9000 failed") != thrown("invoice 17 failed")


def test_simple_errors_are_told_apart_by_their_trace_and_all_else_by_type_and_source():
    simple = [one(**{"@simple_error": {"type": "E", "stack_trace": trace}}) for trace in ("at a", "at a", "at b")]
    first, second, third = map(stack_of, simple)
    assert first == second != third
    logs = [{"type": "log", "source": source, "message": message} for source, message in ("ax", "ay", "bx")]
    first, second, third = map(stack_of, logs)
    assert first == second != third


def test_a_stack_by_hand_goes_before_everything():
    by_hand = {"signature_data": {"ManualStackingKey": "MyKey"}, "title": "My title"}
    first = translate(one(**{"@stack": by_hand, "@error": {"type": "A"}}))["properties"]
    second = translate(one("log", **{"@stack": by_hand}))["properties"]
    assert (first["stack"], first["title"]) == (second["stack"], "My title")


def test_secrets_of_a_request_are_not_kept():
    request = {
        "http_method": "POST", "path": "/login", "host": "shop", "user_agent": "UA",
        "client_ip_address": "203.0.113.9, 1.1.1.1",
        "referrer": "https://a/b?token=hidden", "cookies": {"sid": "hidden"}, "post_data": {"password": "hidden"},
        "query_string": {"q": "1", "access_token": "hidden"},
        "headers": {"Authorization": ["hidden"], "Cookie": ["hidden"], "Accept": ["a", "b"]},
    }  # fmt: skip
    made = translate(one(**{"@request": request}))
    assert "hidden" not in json.dumps(made)
    assert made["ip"] == "203.0.113.9" and made["properties"]["headers"] == {"accept": "a, b"}
    assert made["request"] == {
        "method": "POST", "path": "/login", "host": "shop", "user_agent": "UA", "referer": "https://a/b",
        "params": {"q": "1"},
    }  # fmt: skip


def test_the_address_of_the_machine_is_nobodys():
    assert "ip" not in translate(one(**{"@environment": {"ip_address": "203.0.113.9"}}))


def test_an_event_that_would_be_too_large_lets_go_of_the_least_and_says_so():
    raw = one(**{"@environment": {"x": "y" * 60_000}, "own": 1, "@error": {"type": "E", "message": "m"}})
    own = translate(raw)["properties"]
    assert own["cut"] == ["environment"] and own["data"] == {"own": 1} and own["message"] == "m"
    raw["data"]["own"] = "z" * 60_000
    assert "data" in translate(raw)["properties"]["cut"]


def test_what_is_nested_without_end_is_cut():
    deep = inner = {}
    for _ in range(100):
        inner["inner"] = inner = {}
    assert len(json.dumps(shallow(deep))) < 200
    events.read({**translate(one(own=deep, **{"@error": {"type": "a", "inner": deep}})), "id": "x"}, received=1)


def test_equal_events_of_one_batch_are_several_and_those_of_the_same_batch_again_are_none():
    log = {"type": "log", "message": "a", "date": "2026-11-20T10:00:00Z"}

    def ids():
        read = reader()
        return [next(read(raw)).get("id") for raw in (log, log, {**log, "message": "b"}, {"message": "undated"})]

    assert ids() == ids() and len(set(ids())) == 4 and ids()[3] is None


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("2026-11-20T21:33:27.6261234+00:00", True), ("0001-01-01T00:00:00", False), ("soon", False), (None, False)],
)
def test_a_date_that_is_none_means_now(sent, kept):
    assert ("timestamp" in translate({"date": sent})) is kept


def test_only_a_boolean_is_a_success_of_a_log_in():
    assert translate(one("auth", success=False))["success"] is False
    assert "success" not in translate(one("auth", success="yes"))
    assert "success" not in translate(one("login", success=True))


NAMES = [
    "type", "Type", "source", "date", "tags", "message", "geo", "value", "count", "data", "reference_id", "@error",
    "@simple_error", "@user", "@request", "@stack", "@environment", "@ref:session", "stack_trace", "inner", "identity",
    "email", "headers", "query_string", "signature_data", "ip", "x", "@user_description", "@trace", "success",
]  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
    | st.sampled_from(["error", "auth", "session", "2026-11-20T10:00:00Z", "203.0.113.9"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=8),
    max_leaves=30,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=10))
def test_no_object_is_a_fault_or_refused_but_for_its_name(raw):
    made = translate(raw)
    _bounded(made)
    assert events.read(made, received=1_800_000_000_000_000, new_id=lambda: "x").name == made["event"]
    older = events.read(translate(legacy.error(raw)), received=1_800_000_000_000_000, new_id=lambda: "x")
    assert older.name == "error"


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_no_body_is_refused(data):
    found, _ = elements(data)
    assert all(type(raw) is dict for raw in found)


@given(
    st.text(max_size=60)
    | st.lists(
        st.sampled_from(["-", "tag:", "user:", '"', "a", "*", " ", "value:", ">", "5", "'", "\\", "NOT ", "_exists_:"]),
        max_size=12,
    ).map("".join)
)
def test_whatever_a_filter_says_is_a_condition_or_refused(filter):
    try:
        for condition in conditions(filter):
            compile_expression(condition)
    except ApiError as error:
        assert error.status == 400


@pytest.mark.parametrize("letter", ["m", "\U0001f600"])
def test_the_largest_event_still_fits(letter):
    long = letter * 100_000
    names = ("type", "source", "message", "geo", "reference_id")
    raw = dict.fromkeys(names, long) | {"tags": [long] * 100, "date": "2026-11-20T10:00:00Z"}
    description = {"email_address": long, "description": long}
    request = dict.fromkeys(("path", "host", "user_agent", "referrer"), long) | {"query_string": {long: long}}
    raw["data"] = {f"@ref:{n}{long}": long for n in range(50)} | {
        "@version": long, "@level": long, "@user_description": description, "@request": request, "@ref:session": long,
        "@user": {"name": long, "identity": long}, "@location": {"x": long}, "own": long,
    }  # fmt: skip
    made = translate(raw)
    _bounded(made)
    events.read(made, received=1_800_000_000_000_000, new_id=lambda: "x")
    assert made["properties"]["message"].startswith(letter)


def test_lines_of_text_are_read_one_after_another_however_many_there_are():
    """Eight megabytes of them, which come in eight kilobytes, would be a gigabyte of events."""
    text = b"a\n" * 200_000
    tracemalloc.start()
    try:
        lines, lenient = elements(text)
        first = next(iter(lines))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (first, lenient) == ({"type": "log", "message": "a"}, True)
    assert most < 5 * len(text)


@given(st.text())
def test_a_text_has_the_lines_that_python_says_it_has(text):
    found = [one["message"] for one in elements(b"\xff" + text.encode(errors="replace"))[0]]
    said = (b"\xff" + text.encode(errors="replace")).decode("utf-8-sig", "replace").splitlines()
    assert found == [line.strip() for line in said if line.strip()]


def test_a_session_that_is_oddly_named_costs_no_other_session_its_place(tmp_path):
    store, names = open_store(tmp_path / "data"), ("x" * 300, 7, {"a": 1}, ["b"], "plain")
    store.access.add_app(App("shop"), "test", NOW)
    sent = (
        event(f"e{at}", NOW + at, name="session.start", properties={"exceptionless": "session", "reference": name})
        for at, name in enumerate(names)
    )
    put(store, batch(events=tuple(sent)))
    told = Reading(store, lambda: NOW).sessions("shop", {"time": "all"})
    assert [item["reference_id"] for item in told.items] == [*reversed(names)]
    store.close()
