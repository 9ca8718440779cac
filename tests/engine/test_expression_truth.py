"""What expressions say of events: the cases an author would think of, and the ones an attacker would."""

from __future__ import annotations

import pytest

from sentinel.engine.expression import compile_expression, parse_list
from tests.engine.expression_events import make

LOGIN = {
    "event": "auth", "success": False, "user": "id:42", "ip": "203.0.113.9", "geo.country": "US", "request.status": 401,
    "properties.amount": 100, "properties.items": ["a", "b"], "properties.cart.total": 99.5, "user.labels": ("vip",),
    "agent.bot": False, "properties.from": "EUR", "properties.zero": 0, "properties.yes": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("source", "truth"),
    [
        ('event == "auth"', True),
        ('event != "auth"', False),
        ("not success", True),
        ("success", False),
        ("success == False", True),
        ('event == "auth" and not success and geo.country not in ["FR", "DE"]', True),
        ('geo.country in ["FR", "DE"]', False),
        ('geo.country < "Z"', True),
        ("400 <= request.status < 500", True),
        ("400 < request.status < 401", False),
        ("properties.amount * 2 + 1 > 200", True),
        ("properties.cart.total >= 99.5", True),
        ("-properties.amount < 0", True),
        ("properties.amount == 100.0", True),
        ("properties.amount % 7 == 2", True),
        ('"vip" in user.labels', True),
        ('"staff" not in user.labels', True),
        ('"a" in properties.items', True),
        ('properties.items == ["a", "b"]', True),
        ('"U" in geo.country', True),
        ('properties.from == "EUR"', True),
        ('"eur" == lower(properties.from)', True),
        ("True if success else properties.amount > 50", True),
        ("timestamp == 1767571200", True),
        ('event == "x" or event == "y" or (success or not agent.bot)', True),
    ],
)
def test_a_complete_event_is_judged(source, truth):
    assert compile_expression(source).truth(make(LOGIN)) is truth


@pytest.mark.parametrize(
    "source",
    [
        'geo.country != "FR"',
        'geo.country not in ["FR", "DE"]',
        'not (geo.country == "FR")',
        "not success",
        "success != True",
        'not cidr(ip, "10.0.0.0/8")',
        'not in_list(user, "staff")',
        'user != "u1"',
        'not startswith(request.path, "/api")',
        "properties.amount < 5",
        "properties.cart.total != 3",
        "not (1 < properties.amount < 5)",
        '"staff" not in properties.roles',
        "properties.amount + 1 > 0",
        'lower(user.email) != "x"',
        'event == "test" and geo.country != "FR"',
        "True if success else True",
    ],
)
def test_a_missing_field_never_fires_a_condition(source):
    """A client that stops sending a field must not trip, or escape into, a rule about its value."""
    expression = compile_expression(source, lists={"staff": parse_list("u1")})
    assert expression.truth(make({})) is None
    assert expression.matches(make({})) is False


@pytest.mark.parametrize(
    ("source", "truth"),
    [
        ("user == None", True),
        ("user != None", False),
        ("event == None", False),
        ("properties.a.b == None", True),
        ('user == None and event == "test"', True),
        ('user == None or geo.country == "FR"', True),
        ('geo.country == "FR" and event == "other"', False),
        ('geo.country == "FR" or event == "test"', True),
        ("coalesce(properties.amount, 0) == 0", True),
        ("not (user != None)", True),
    ],
)
def test_absence_itself_can_be_asked_for_and_known_parts_decide(source, truth):
    assert compile_expression(source).truth(make({})) is truth


@pytest.mark.parametrize(
    ("source", "truth"),
    [
        ("properties.yes == 1", False),
        ("properties.yes != 1", True),
        ("properties.yes in [1, 2]", False),
        ("properties.yes + 1 == 2", None),
        ("properties.yes < 2", None),
        ("properties.zero", None),
        ("not properties.zero", None),
        ("properties.zero or False", None),
        ("properties.zero or True", True),
        ("properties.amount == 'amount'", False),
        ("properties.amount < 'b'", None),
        ("properties.from + 1 == 2", None),
        ("properties.amount / properties.zero == 1", None),
        ("properties.amount % properties.zero == 1", None),
        ("properties.amount in properties.from", None),
        ("properties.from.currency == 'x'", None),
        ("properties.cart == 'x'", False),
        ("properties.cart < 3", None),
    ],
)
def test_a_value_of_the_wrong_kind_is_unequal_or_unknown(source, truth):
    assert compile_expression(source).truth(make(LOGIN)) is truth


@pytest.mark.parametrize(
    ("source", "matches"),
    [
        ('user == "42"', True),
        ('user == "id:42"', True),
        ('"42" == user', True),
        ('user != "42"', False),
        ('user in ["7", "42"]', True),
        ('user not in ["7", "id:8"]', True),
        ('user == "email:42"', False),
        ('user == "user_id:42"', True),
        ('startswith(user, "id:")', True),
        ('startswith(user, "42")', False),
        ('coalesce(user, "x") == "42"', False),
    ],
)
def test_a_bare_text_compared_with_user_means_its_id(source, matches):
    assert compile_expression(source).matches(make(LOGIN)) is matches


def test_an_email_compared_with_user_is_normalised_like_the_key():
    assert compile_expression('user == "email:Jane@Example.com"').matches(make({"user": "email:jane@example.com"}))


def test_value_gives_the_plain_value_of_an_expression_that_is_no_condition():
    expression = compile_expression("properties.cart.total * 2", condition=False)
    assert expression.value(make(LOGIN)) == 199.0
    assert expression.value(make({})) is None


def test_whatever_is_huge_stays_unknown_and_quick():
    expression = compile_expression("properties.n * properties.n * properties.n > 0")
    assert expression.truth(make({"properties.n": 10**300})) is None


def test_text_of_an_event_is_never_a_format():
    expression = compile_expression("properties.format % 5 == 1")
    assert expression.truth(make({"properties.format": "%1000000000d"})) is None


def test_an_event_is_not_changed_by_looking_at_it():
    event = make({"properties.items": ["a"], "properties.pop": 1})
    assert compile_expression("properties.pop == 1 and 'a' in properties.items").matches(event)
    assert event.properties == {"items": ["a"], "pop": 1}


def test_an_event_of_which_next_to_nothing_is_known_is_unknown():
    event = make({})
    event.at = event.id = event.trust = event.user_labels = None  # type: ignore[assignment]
    for source in ("timestamp > 0", "hour(timestamp) == 3", 'id == "1"', '"a" in user.labels', "len(user.labels) == 0"):
        assert compile_expression(source).truth(event) is None
