"""The public calls: what they take, what they refuse, and that none of them raises anything else."""

from __future__ import annotations

import json
import logging
import pickle
from collections import UserDict
from datetime import UTC, date, datetime, timedelta, timezone
from enum import IntEnum, StrEnum
from ipaddress import ip_address
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel import sdk
from sentinel.core.decision import Decision, Delta
from sentinel.sdk import context
from sentinel.sdk.client import Client
from sentinel.sdk.options import Options


def waiting():
    return [item.event for item in sdk.current().buffer._items]


def decide(*decisions):
    held = sdk.current().held
    held.decisions = held.decisions.apply(Delta(1, decisions))


BAD = Decision("d1", "block", "user", "id:bad", playbook="p")


@pytest.mark.parametrize("timestamp", ["2030-01-01", 1_700_000_000, date(2030, 1, 1), True, object()])
def test_a_timestamp_that_is_no_datetime_is_a_programming_error(idle, timestamp):
    for call in (
        lambda: sdk.track("e", timestamp=timestamp),
        lambda: sdk.auth_track(True, id=1, timestamp=timestamp),
        lambda: sdk.signup_track(id=1, timestamp=timestamp),
    ):
        with pytest.raises(TypeError, match="datetime"):
            call()
    assert waiting() == []


@pytest.mark.parametrize("name", [None, 7, b"e", ["e"]])
def test_a_name_that_is_no_string_is_a_programming_error(idle, name):
    with pytest.raises(TypeError, match="string"):
        sdk.track(name)


def test_unknown_keywords_are_programming_errors(idle):
    for call, arguments in ((sdk.track, ("e",)), (sdk.auth_track, (True,)), (sdk.signup_track, ()), (sdk.start, ())):
        with pytest.raises(TypeError, match="colour"):
            call(*arguments, colour="red")


@pytest.mark.parametrize(
    ("name", "why"),
    [("sentinel.x", "reserved"), ("sq.x", "reserved"), ("", "invalid"), ("a\nb", "invalid"), ("x" * 129, "invalid")],
)
def test_names_that_no_event_may_have_are_refused_with_a_warning(idle, caplog, name, why):
    with caplog.at_level(logging.WARNING, "sentinel.sdk"):
        sdk.track(name)
        sdk.track(name)
    assert waiting() == []
    assert sdk.stats()["dropped"] == {why: 2}
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("timestamp", "text"),
    [
        (datetime(2030, 1, 1, 12, 0, 0, 123456, tzinfo=UTC), "2030-01-01T12:00:00.123456Z"),
        (datetime(2030, 1, 1, 12, tzinfo=timezone(timedelta(hours=2))), "2030-01-01T10:00:00Z"),
        (datetime(2030, 1, 1, 12), "2030-01-01T12:00:00Z"),  # noqa: DTZ001
    ],
)
def test_a_timestamp_travels_in_utc(idle, timestamp, text):
    sdk.track("e", timestamp=timestamp)
    assert waiting()[0]["timestamp"] == text


@pytest.mark.parametrize("user", [True, 1.5, {"id": 1.5}, {"id": ["x"]}, object(), {"email": "x" * 300}, [1]])
def test_identifiers_that_name_nobody_are_left_out_and_counted(idle, user):
    sdk.track("e", user_identifiers=user)
    sdk.auth_track(True, user)
    assert sdk.identify(user).allowed
    assert not sdk.is_blocked(user)
    assert all("user" not in event for event in waiting())
    assert sdk.stats()["counts"]["identifiers refused"] >= 3


def test_what_stands_for_no_user_is_sent_looked_up_and_said_once(idle, caplog):
    """Whom a person blocked by such a name is refused also under another one beside it."""
    decide(Decision("d1", "block", "user", "id:anon"))
    for user in ({"id": "anon", "email": "a@example.com"}, {"id": "anon"}, "anon"):
        assert sdk.auth_track(True, user).kind == "block"
    assert [event["user"]["id"] for event in waiting()] == ["anon"] * 3
    (said,) = [text for text in caplog.messages if "stands for no user" in text]
    assert said.startswith("`user.id` is `anon`, which stands for no user and ties nobody together")
    assert said.endswith("and name who really has it by another identifier as well")
    assert sdk.is_blocked({"username": "anon"}) is False
    assert sdk.stats()["counts"]["placeholders"] >= 3


@pytest.mark.parametrize(
    "other",
    [
        {"username": "x" * 300},
        {"email": ["a@example.com"]},
        {"vip": True},
        {"phone": 1.5},
        {"a": {}, "b": object()},
        {"email": "\u0130" * 129},  # in small letters each is two characters
    ],
)
def test_nobody_hides_behind_an_identifier_that_cannot_be_read(idle, other):
    """Who is blocked may choose a name that is too long."""
    decide(BAD)
    for user in ({"id": "bad", **other}, {**other, "id": "bad"}):
        assert sdk.is_blocked(user)
        assert sdk.identify(user).kind == "block"
        assert sdk.auth_track(False, user).kind == "block"
    assert {json.dumps(event["user"]) for event in waiting()} == {'{"id": "bad"}'}
    assert sdk.stats()["counts"]["identifiers refused"] >= 6


@pytest.mark.parametrize("wrong", [{}, {"wrong": 1.5}])
def test_however_many_identifiers_there_are_a_bounded_number_is_kept_and_nobody_hides_behind_them(idle, wrong):
    decide(BAD)
    user = {**wrong, **{f"i{n}": n for n in range(100)}, "id": "bad"}
    assert sdk.identify(user).kind == "block"
    sdk.track("e", user_identifiers=user)
    assert len(waiting()[-1]["user"]) == 32
    assert waiting()[-1]["user"]["id"] == "bad"


def test_of_a_million_identifiers_few_are_looked_at(idle):
    """A stranger may have chosen them, and the application waits."""

    class Many(UserDict):
        seen = 0

        def __getitem__(self, name):
            self.seen += 1
            return super().__getitem__(name)

    decide(BAD)
    user = Many({f"i{n}": "x" for n in range(10_000)} | {"id": "bad"})
    assert sdk.identify(user).kind == "block"
    assert user.seen < 3000


def test_a_refused_login_is_told_whatever_its_properties_are_named(idle):
    decide(BAD)
    sdk.auth_track(False, "bad", properties={1: "a", None: "b", "c": 3})
    (event,) = waiting()
    assert event["properties"] == {"1": "a", "None": "b", "c": 3, "blocked": True}


def test_traits_are_told_once_and_asked_nothing_that_could_take_time(idle):
    """What stands for a query is not run, and what says its address is not news at each request."""

    class Query:
        def __repr__(self):
            raise AssertionError("the query was run")

        __len__ = __iter__ = __repr__

    for _ in range(3):
        sdk.identify({"id": 7}, {"orders": Query(), "plan": "free", "session": object()})
    (event,) = [event for event in waiting() if event["event"] == "sentinel.identify"]
    assert event["properties"]["traits"] == {"orders": "<Query>", "plan": "free", "session": "<object>"}
    sdk.identify({"id": 7}, {"orders": Query(), "plan": "pro", "session": object()})
    assert len(waiting()) == 2


class Marked(str):
    """A text as frameworks mark it safe, which says of itself whatever it likes."""

    def __str__(self):
        return "nobody"

    def strip(self, *chars):
        return "nobody"


class Name(StrEnum):
    JANE = "jane"


class Number(IntEnum):
    SEVEN = 7


UUID_ = UUID("6f1e0f3a-0000-4000-8000-000000000001")


@pytest.mark.parametrize(("given_", "text"), [
    (Marked(" jane "), "jane"), (Name.JANE, "jane"), (Number.SEVEN, "7"), (UUID_, str(UUID_)),
], ids=["marked", "enum", "number", "uuid"])  # fmt: skip
def test_an_identifier_may_be_of_the_types_that_frameworks_give(idle, given_, text):
    """Else whose key is a UUID, or whose name a template has seen, could never be blocked."""
    decisions = idle.held.decisions
    idle.held.decisions = decisions.apply(Delta(1, (Decision("d", "block", "user", f"id:{text}"),)))
    for user in (given_, {"id": given_}, {"id": given_, "email": 1.5}):
        assert sdk.is_blocked(user)
    sdk.track("e", user_identifiers={"id": given_})
    assert waiting()[0]["user"] == {"id": text}


@pytest.mark.parametrize("call", [
    lambda: sdk.auth_track(True, "7", email="jane@example.com"),
    lambda: sdk.auth_track(True, {"id": 8, "email": "jane@example.com"}, id=7),
    lambda: sdk.signup_track(7, email="jane@example.com"),
])  # fmt: skip
def test_identifiers_may_be_given_both_ways(idle, call):
    call()
    assert waiting()[0]["user"] == {"id": "7", "email": "jane@example.com"}


def test_an_identifier_may_be_bare_and_is_normalised(idle):
    decide(BAD, Decision("e", "block", "user", "email:jane@example.com", playbook="p"))
    assert sdk.is_blocked("bad")
    assert sdk.is_blocked({"user_id": "bad"})
    assert sdk.is_blocked({"id": 7, "email": " Jane@Example.COM "})
    assert not sdk.is_blocked({"username": "bad"})
    assert not sdk.is_blocked(None)


def test_a_verdict_can_be_asked_for_by_address_in_any_spelling(idle):
    decide(Decision("n", "block", "network", "203.0.113.0/24", playbook="p"))
    assert sdk.verdict(ip="::ffff:203.0.113.9").decision == "n"
    assert sdk.is_blocked(ip=ip_address("203.0.113.9"))
    assert sdk.verdict(ip="nonsense").allowed


def test_outside_any_middleware_identify_returns_the_verdict_and_says_so_once(idle, caplog):
    decide(BAD)
    with caplog.at_level(logging.WARNING, "sentinel.sdk"):
        assert sdk.identify("bad").decision == "d1"
        assert sdk.auth_track(False, id="bad").decision == "d1"
    assert sdk.stats()["unenforced"] == 2
    assert len([record for record in caplog.records if "middleware" in record.message]) == 1


def test_identify_tells_the_server_about_a_user_once_an_hour_and_again_when_traits_change(idle):
    for _ in range(3):
        sdk.identify({"id": 1})
    sdk.identify({"id": 1}, traits={"plan": "free"})
    sdk.identify({"id": 1}, traits={"plan": "free"})
    assert [event.get("properties") for event in waiting()] == [None, {"traits": {"plan": "free"}}]
    assert {event["event"] for event in waiting()} == {"sentinel.identify"}


def test_what_is_remembered_of_users_is_bounded(idle):
    client = sdk.current()
    for n in range(10_050):
        client._recent.is_news({"id": str(n)}, None, 0.0)
    assert len(client._recent._told) == 10_000
    assert client._recent.is_news({"id": "10049"}, None, 3600.0)


def test_at_most_sixteen_properties_travel_the_first_by_name(idle, caplog):
    with caplog.at_level(logging.WARNING, "sentinel.sdk"):
        sdk.track("e", {f"p{n:02}": n for n in reversed(range(20))})
    assert list(waiting()[0]["properties"]) == [f"p{n:02}" for n in range(16)]
    assert "p16" in caplog.text
    assert sdk.stats()["counts"]["properties left out"] == 4


def test_a_blocked_login_with_many_properties_is_still_marked(idle):
    decide(BAD)
    sdk.auth_track(False, id="bad", properties={f"p{n:02}": n for n in range(20)})
    (event,) = waiting()
    assert event["properties"]["blocked"] is True
    assert len(event["properties"]) == 16


def test_what_is_changed_after_the_call_is_not_seen(idle):
    properties = {"cart": {"total": 1}}
    sdk.track("e", properties)
    properties["cart"]["total"] = 2
    assert waiting()[0]["properties"] == {"cart": {"total": 1}}


class Broken:
    def __str__(self):
        raise RuntimeError("on purpose")

    __repr__ = __bool__ = __str__


class BrokenMapping(dict):
    def keys(self):
        raise RuntimeError("on purpose")


class BrokenText(str):
    def startswith(self, *prefix):
        raise RuntimeError("on purpose")


@pytest.mark.parametrize("call", [
    lambda: sdk.auth_track(Broken(), id=1),
    lambda: sdk.auth_track(True, BrokenMapping(a=1), id=1),
    lambda: sdk.track(BrokenText("e")),
    lambda: sdk.track("e", {Broken(): 1}),
    lambda: sdk.track("e", properties=7),
    lambda: sdk.track("e", request=object()),
    lambda: sdk.identify({Broken(): Broken()}, traits=7),
    lambda: sdk.identify("x", traits={"t": Broken()}),
    lambda: sdk.auth_track(None, id=Broken()),
    lambda: sdk.verdict(ip=7),
    lambda: sdk.verdict(user={Broken(): 1}),
    lambda: sdk.is_blocked(ip=Broken()),
    lambda: sdk.signup_track(7.5, properties=[1]),
    lambda: sdk.track("e", {"x": Broken()}),
])  # fmt: skip
def test_whatever_an_application_passes_nothing_is_raised(idle, call):
    call()
    assert sdk.stats()["enforced"] == 0


@pytest.mark.parametrize("given", [[1], "text", 7, Broken()], ids=["list", "text", "number", "broken"])
def test_properties_that_are_no_object_cost_no_event(idle, caplog, given):
    """Of a failed login above all, by which an attack is seen."""
    sdk.track("e", given)
    sdk.auth_track(False, id=1, properties=given)
    sdk.identify({"id": 1}, traits=given)
    assert [event["event"] for event in waiting()] == ["e", "auth", "sentinel.identify"]
    assert not [event for event in waiting() if "properties" in event]
    said = [
        f"`{what}` are left out: {type(given).__name__} is no object such as a dict"
        for what in ("properties", "traits")
    ]
    assert [record.message for record in caplog.records] == said
    assert {name: sdk.stats()["counts"][f"{name} left out"] for name in ("properties", "traits")} == {
        "properties": 2, "traits": 1,
    }  # fmt: skip


def test_what_goes_wrong_is_counted_and_said_once(idle, caplog):
    for _ in range(2):
        assert sdk.verdict(ip=Broken()).allowed
    assert sdk.stats()["counts"]["errors"] == 2
    said = [record.message for record in caplog.records]
    assert said == ["`verdict` went wrong and was passed over: RuntimeError: on purpose"]


shared = Client(Options())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.none(), inner) | st.sets(st.integers())
    ),
)


@given(st.dictionaries(st.text(), JSON, max_size=20))
def test_whatever_the_properties_are_the_event_is_bounded_json(properties):
    shared.buffer.empty()
    shared.track("e", properties)
    (item,) = shared.buffer._items
    text = json.dumps(item.event, allow_nan=False)
    text.encode()
    assert len(item.event.get("properties", {})) <= 16
    assert len(text) < 400_000


def test_an_app_that_nests_itself_is_cut():
    client = Client(Options())
    circle: dict = {}
    circle["again"] = circle
    client.track("e", {"c": circle, "l": [[[[[[[[[[[[[[1]]]]]]]]]]]]]]})
    assert "<cut>" in str(client.buffer._items[0].event)


def test_signals_are_no_exceptions_an_application_catches_and_cross_processes():
    for name in (sdk.Blocked, sdk.Redirected, sdk.Challenged):
        assert not issubclass(name, Exception)
        assert issubclass(name, sdk.Blocked)
    verdict = sdk.Verdict("block", "d1")
    back = pickle.loads(pickle.dumps(sdk.Blocked(verdict)))
    assert (type(back), back.verdict) == (sdk.Blocked, verdict)


class About:
    def header(self, name):
        return None

    def describe(self):
        return {}

    def body(self):
        return None

    def route(self):
        return None


def test_a_verdict_is_latched_only_while_no_answer_has_started():
    holder = context.Holder("203.0.113.9", "/", About())
    assert holder.start() is None
    assert not holder.latch(sdk.Verdict("block", "d1"))
    other = context.Holder(None, "/", About())
    assert other.latch(sdk.Verdict("block", "d1"))
    assert other.start() == sdk.Verdict("block", "d1")


def test_pseudonyms_leave_instead_of_identifiers_and_blocking_still_works():
    client = Client(Options(pseudonym_key=b"a key of sixteen bytes"))
    client.track("e", user={"user_id": 42, "email": "jane@example.com"})
    sent = client.buffer._items[0].event["user"]
    assert "42" not in sent.values()
    assert "jane@example.com" not in sent.values()
    assert client.events.keys(client.events.identifiers({"id": "42"}))[0] == f"id:{sent['user_id']}"
    decision = Decision("d1", "block", "user", f"email:{sent['email']}", playbook="p")
    client.held.decisions = client.held.decisions.apply(Delta(1, (decision,)))
    assert client.verdict({"email": "JANE@example.com"}).decision == "d1"


def test_an_identifier_that_is_a_card_number_is_redacted_and_names_nobody():
    client = Client(Options())
    decision = Decision("d1", "block", "user", "username:<redacted>", playbook="p")
    client.held.decisions = client.held.decisions.apply(Delta(1, (decision,)))
    client.track("e", user={"username": "4111 1111 1111 1111"})
    assert client.buffer._items[0].event["user"] == {"username": "<redacted>"}
    assert client.verdict({"username": "4111 1111 1111 1111"}).allowed
