"""Hostile values: whatever an application hands over, no secret leaves, nothing is raised, nothing lost unreported."""

from __future__ import annotations

import enum
import json
from collections import OrderedDict, UserDict
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core import scrub
from sentinel.edge.batch import Terms, parse
from sentinel.sdk.client import Client
from sentinel.sdk.context import Holder
from sentinel.sdk.events import FORM, Events, parameters
from sentinel.sdk.options import Options

NOW = 1_795_210_200_000_000
SECRET = "hunter2hunter2"
CARDS = ("4111111111111111", "5500 0055 5555 5559", "3782-822463-10005")
SPELLINGS = (
    "password", "PassWord", "user_password", "newPassword2", "x-api-key", "apiKey", "Authorization", "access_token",
    "session_id", "Set-Cookie", "credit_card", "client.secret", "otp", "a" * 300 + "password", "password" + "a" * 300,
)  # fmt: skip


class Raises:
    """Cannot be asked anything."""

    def _fail(self, *_):
        raise RuntimeError("on purpose")

    __str__ = __repr__ = __len__ = __iter__ = __bool__ = __format__ = _fail
    __hash__ = object.__hash__


class SlyText(str):
    """Says something else than it is."""

    __slots__ = ()

    def __len__(self):
        return 0

    def __getitem__(self, at):
        raise RuntimeError("on purpose")

    def isascii(self):
        return True

    def __str__(self):
        return SECRET


class SlyNumber(int):
    def __int__(self):
        raise RuntimeError("on purpose")

    def __ge__(self, other):
        raise RuntimeError("on purpose")


class SlyMapping(Mapping):
    """Has keys, and no values."""

    def __getitem__(self, key):
        raise KeyError(key)

    def __iter__(self):
        yield from ("a", "b")

    def __len__(self):
        return 2


class SlyList(list):
    def __iter__(self):
        raise RuntimeError("on purpose")


class Endless(list):
    def __iter__(self):
        while True:
            yield "x"


class Colour(enum.StrEnum):
    RED = "red"


def circle():
    made = {}
    made["again"] = [made]
    return made


class SlyError(Exception):
    def __str__(self):
        raise RuntimeError("on purpose")


class RaisesSly:
    def keys(self):
        raise SlyError

    __iter__ = keys


LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.binary(max_size=30)
    | st.sampled_from([float("nan"), float("inf"), -(2**63), 2**63, 10**600, "\ud800", "\udfff", "\x00", "x" * 50_000])
    | st.builds(Raises) | st.builds(SlyText, st.just("plain")) | st.builds(SlyNumber, st.integers())
    | st.builds(SlyMapping) | st.builds(SlyList) | st.builds(Endless) | st.builds(circle) | st.builds(RaisesSly)
    | st.just(Colour.RED) | st.just(memoryview(b"x")) | st.just(object) | st.just(b"x" * 100_000)
    | st.just({n: n for n in range(5000)}) | st.just([[]] * 5000)
)  # fmt: skip
KEYS = st.text(max_size=12) | st.integers() | st.none() | st.builds(Raises) | st.binary(max_size=4) | st.just(("t", 1))
HOSTILE = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner) | st.dictionaries(KEYS, inner, max_size=4)
    | st.builds(OrderedDict, st.dictionaries(KEYS, inner, max_size=3)) | st.builds(UserDict),
    max_leaves=12,
)  # fmt: skip
PROPERTIES = st.dictionaries(KEYS, HOSTILE, max_size=20)
client = Client(Options(buffer_size=10))


def sent(*calls):
    """Make calls; return what they left to be sent, and how many events were lost and counted."""
    client.buffer.empty()
    lost = sum(client.buffer.dropped.values())
    for call in calls:
        call()
    texts = [json.dumps(item.event, allow_nan=False) for item in client.buffer.empty()]
    return texts, sum(client.buffer.dropped.values()) - lost


@given(PROPERTIES | HOSTILE)
def test_every_event_is_bounded_json_or_counted_as_lost(given_):
    texts, lost = sent(lambda: client.track("e", given_))
    assert len(texts) + lost == 1
    for text in texts:
        json.loads(text)
        text.encode()
        assert len(text) < 400_000


@given(PROPERTIES)
def test_an_event_is_sent_however_hostile_its_values_are(given_):
    texts, lost = sent(lambda: client.track("e", given_))
    assert (len(texts), lost) == (1, 0)
    assert len(json.loads(texts[0]).get("properties", {})) <= 16


LARGE = {
    "long": "x" * 40_000, "wide": "東" * 40_000, "wider": "🙂" * 9_000, "some": "東" * 900, "number": 10**150,
    "fractions": [-1.5] * 3000, "numbers": [10**150] * 300, "secrets": {f"password {n}": n for n in range(3000)},
    "names": {"🙂" * 200 + str(n): [[]] for n in range(90)}, "cards": CARDS[0] * 99, "lists": [[[[]]]] * 3000,
}  # fmt: skip


def refused(texts):
    """Return why a server would not take events."""
    return parse(f"[{','.join(texts)}]".encode(), Terms("sdk", "k", NOW, lambda: "made")).rejected


@given(st.lists(st.sampled_from(sorted(LARGE)), min_size=1, max_size=20), st.sampled_from(["", "東" * 128, "x" * 200]))
def test_what_is_cut_is_small_enough_for_a_server(kinds, padding):
    """It refused whatever had to be cut: who wrote long texts was not counted."""
    given_ = {f"{place:02}{padding}": LARGE[kind] for place, kind in enumerate(kinds)}
    texts, _ = sent(lambda: client.track("e", given_), lambda: client.track("e", {"traits": given_}))
    assert refused(texts) == []


class About:
    """A request that is all padding, as whoever sends it may choose."""

    def __init__(self, params):
        self.params = params

    def header(self, _name):
        return None

    def describe(self):
        wide = "/" + "東" * 3000
        return {
            "method": "POST",
            "path": wide,
            "host": wide,
            "user_agent": wide,
            "referer": wide,
            "params": self.params,
        }

    def route(self):
        return "🙂" * 600


@pytest.mark.parametrize("query", ["a=" + "é" * 9000, "&".join(f"{'é' * 128}{n}=1" for n in range(90)), ""])
@pytest.mark.parametrize("form", [b"b=" + b"\xff" * 9000, b"b=" + b"x" * 9000])
def test_no_request_hides_what_it_does_by_its_size(query, form):
    """A login with long parameters was refused by the server, and so no playbook saw that it failed."""
    holder = Holder("203.0.113.9", "/login", About(parameters(query, form, FORM)))
    made, _, _ = client.events.make("auth", NOW, holder, {"email": "jane@example.com"}, {"form": "x"}, success=False)
    assert refused([json.dumps(made)]) == []


@given(HOSTILE, st.dictionaries(KEYS, HOSTILE, max_size=4))
def test_no_call_raises_whatever_its_user_and_traits_are(user, traits):
    texts, _ = sent(
        lambda: client.identify(user, traits), lambda: client.login("auth", user, traits, success=True),
        lambda: client.track("e", None, user), lambda: client.verdict(user), lambda: client.verdict(ip=user),
    )  # fmt: skip
    assert all(len(text) < 400_000 for text in texts)


def planted(depth, spelling, secret):
    """Return a secret within lists and objects."""
    value = {spelling: secret}
    for level in range(depth):
        value = {"inner": value} if level % 2 else [value, "beside"]
    return {"kept": value, "note": "fine"}


@given(st.integers(0, 14), st.sampled_from(SPELLINGS), st.sampled_from(["text", "list", "object", "number"]))
def test_a_secret_under_its_name_never_leaves_however_deep(depth, spelling, form):
    secret = {"text": SECRET, "list": [SECRET], "object": {"v": SECRET}, "number": 998_877_665_544}[form]
    texts, _ = sent(
        lambda: client.track("e", planted(depth, spelling, secret)),
        lambda: client.identify({"id": depth, spelling: SECRET}, planted(depth, spelling, secret)),
        lambda: client.login("auth", {"id": 1}, {spelling: secret}, success=False),
        lambda: client.track("e", None, {"id": 1, spelling: SECRET}),
    )
    assert len(texts) >= 3
    assert SECRET not in "".join(texts)
    assert "998877665544" not in "".join(texts)


@given(st.integers(0, 8), st.sampled_from(CARDS), st.text(alphabet="abc .,", max_size=5))
def test_a_card_number_never_leaves_wherever_it_stands(depth, card, around):
    texts, _ = sent(
        lambda: client.track("e", planted(depth, "note", f"{around}{card}{around}")),
        lambda: client.track("e", {f"{around}{card}": 1}),
        lambda: client.identify({"id": card}, {"n": int(card.replace(" ", "").replace("-", ""))}),
        lambda: client.track("e", None, {card: card}),
    )
    whole = "".join(texts)
    assert card not in whole
    assert card.replace(" ", "").replace("-", "") not in whole


def test_a_text_that_lies_about_itself_is_sent_as_what_it_is():
    texts, _ = sent(lambda: client.track("e", {"note": SlyText("plain"), SlyText("name"): 1}))
    assert json.loads(texts[0])["properties"] == {"note": "plain", "name": 1}


def test_a_value_that_cannot_be_asked_is_named_by_its_type_and_costs_nothing_else():
    texts, _ = sent(lambda: client.track("e", {"bad": Raises(), Raises(): 1, "good": 2, "list": SlyList([1])}))
    made = json.loads(texts[0])["properties"]
    assert made == {"bad": "<Raises>", "<Raises>": 1, "good": 2, "list": []}


def test_huge_collections_are_read_to_their_bound_only():
    class Counted(list):
        asked = 0

        def __iter__(self):
            while True:
                self.asked += 1
                yield self.asked

    value = Counted()
    texts, _ = sent(lambda: client.track("e", {"l": value}))
    assert value.asked <= 2001
    assert len(texts[0]) < 100_000


def test_what_is_no_mapping_is_counted():
    for given_ in (7, "text", Raises(), SlyMapping(), RaisesSly()):
        texts, lost = sent(lambda given_=given_: client.track("e", given_))
        assert len(texts) + lost == 1


@pytest.mark.parametrize("user", [{("a", 1): "x"}, {1: "x"}, {None: "x", "id": 1}, {"\ud800": "\ud800", "id": 2}])
def test_identifiers_with_odd_names_can_be_sent(user):
    texts, _ = sent(lambda: client.track("e", None, user))
    assert all(isinstance(value, str) for value in json.loads(texts[0])["user"].values())


def test_identifiers_are_bounded_in_number():
    texts, _ = sent(lambda: client.track("e", None, {f"n{n}": "x" for n in range(500)}))
    assert len(json.loads(texts[0])["user"]) == 32


def test_an_identifier_the_settings_name_is_no_secret():
    assert Events(Options(identifiers=("session_id",))).identifiers({"session_id": "x"}) == {"session_id": "x"}
    assert Events(Options()).identifiers({"session_id": "x"}) == {"session_id": scrub.REDACTED}


def test_a_lone_surrogate_names_the_same_user_to_both_sides():
    made = Events(Options())
    assert made.keys(made.identifiers({"id": "a\ud800"})) == ("id:a?",)


def test_a_name_of_many_words_costs_little(monkeypatch):
    """Strangers choose the names of parameters: each word of one must not be compared with every secret's name."""
    looked_at = []

    class Words(list):
        def __getitem__(self, at):
            looked_at.append(at)
            return super().__getitem__(at)

    cut = scrub._words
    scrubber = scrub.Scrubber(("one_time_code",))
    monkeypatch.setattr(scrub, "_words", lambda name: Words(cut(name)))
    assert not scrubber.is_secret("a1" * 120)
    assert looked_at == []
    assert not scrubber.is_secret("one1" * 60)
    assert len(looked_at) == 60
    assert scrubber.is_secret("a1" * 60 + "_one_time_code")
