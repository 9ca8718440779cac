"""The example shop: what its visitors get, and what it tells Sentinel."""

from __future__ import annotations

import base64
import json

import pytest
from starlette.testclient import TestClient

from sentinel import sdk
from sentinel.sdk import testing

JANE = {"email": "jane@example.com", "password": "correct horse"}
PAGE = {"Accept": "text/html"}
PROXY = ("127.0.0.1", 1)


@pytest.fixture(scope="module")
def app():
    """The shop's application; the SDK it starts while it is imported is put aside."""
    before = sdk.current()
    from examples.shop.app import app

    sdk.swap(before)
    return app


@pytest.fixture
def sentinel():
    with testing.capture(trusted_proxies=["127.0.0.1"]) as captured:
        yield captured


@pytest.fixture
def visitor(app, sentinel):
    return TestClient(app, headers={"Accept": "application/json"}, client=PROXY, follow_redirects=False)


@pytest.mark.parametrize("path", ["/", "/products/teapot", "/login", "/signup", "/reset", "/cart"])
def test_every_page_is_there_for_people_and_for_programs(visitor, path):
    shown = visitor.get(path, headers=PAGE)
    assert (shown.status_code, shown.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "Kiln" in shown.text
    assert isinstance(visitor.get(path).json(), dict)


def test_what_is_not_there_is_404(visitor):
    assert visitor.get("/products/gold").status_code == 404
    assert visitor.get("/nowhere", headers=PAGE).status_code == 404
    assert visitor.post("/cart", data={"slug": "gold"}).status_code == 404


def test_a_customer_logs_in_fills_a_cart_and_orders(visitor, sentinel):
    assert visitor.post("/login", data=JANE).json()["name"] == "Jane Potter"
    visitor.post("/cart", json={"slug": "teapot"})
    assert visitor.post("/cart", data={"slug": "soup-bowl"}).json()["cents"] == 6900 + 2400
    order = visitor.post("/checkout").json()
    assert order["cart"] == {"teapot": 1, "soup-bowl": 1}
    assert visitor.get("/cart").json()["cart"] == {}
    (placed,) = sentinel.named("order.placed")
    assert placed["properties"] == {"order": order["order"], "cents": 9300}
    assert placed["user"]["email"] == "jane@example.com"


def test_who_is_not_logged_in_cannot_order(visitor):
    visitor.post("/cart", data={"slug": "teapot"})
    assert visitor.post("/checkout").json()["error"]["code"] == "login_needed"


@pytest.mark.parametrize("form", [JANE | {"password": "wrong"}, JANE | {"email": "who@example.com"}, {}])
def test_a_login_that_fails_is_told_with_the_address_the_proxy_names(visitor, sentinel, form):
    answer = visitor.post("/login", data=form, headers={"X-Forwarded-For": "192.0.2.1, 203.0.113.9"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "wrong_password")
    (event,) = sentinel.named("auth")
    assert (event["success"], event["ip"]) == (False, "203.0.113.9")
    assert event.get("user", {}).get("email") == form.get("email")


def test_a_sign_up_opens_an_account_once_and_tells_of_it(visitor, sentinel):
    form = {"name": "Tom", "email": "tom@example.com", "password": "longenough"}
    assert visitor.post("/signup", data=form).status_code == 200
    assert visitor.post("/signup", data=form).status_code == 409
    assert visitor.post("/signup", data=form | {"password": "short"}).status_code == 422
    assert [event["user"]["email"] for event in sentinel.named("signup")] == ["tom@example.com"]


def test_a_password_reset_says_the_same_to_customers_and_strangers(visitor, sentinel):
    known = visitor.post("/reset", data={"email": JANE["email"]}, headers=PAGE).text
    assert visitor.post("/reset", data={"email": "who@example.com"}, headers=PAGE).text == known
    assert len(sentinel.named("password.reset_requested")) == 2


def test_a_blocked_address_gets_nothing(visitor, sentinel):
    sentinel.decide("block", ip="203.0.113.9")
    assert visitor.get("/", headers={"X-Forwarded-For": "203.0.113.9"}).json()["error"]["code"] == "blocked"
    assert visitor.get("/", headers={"X-Forwarded-For": "203.0.113.10"}).status_code == 200


def test_a_user_who_is_blocked_is_refused_in_an_open_session(visitor, sentinel):
    visitor.post("/login", data=JANE)
    sentinel.decide("block", user={"email": JANE["email"]})
    assert visitor.get("/cart").json()["error"]["code"] == "blocked"
    assert "Access denied" in visitor.get("/cart", headers=PAGE).text


def test_who_may_not_log_in_is_refused_with_the_right_password_and_goes_on_in_an_open_session(app, visitor, sentinel):
    visitor.post("/login", data=JANE)
    sentinel.decide("block", user={"email": JANE["email"]}, logins_only=True)
    assert visitor.get("/cart").status_code == 200
    other = TestClient(app, headers={"Accept": "application/json"}, client=PROXY)
    assert other.post("/login", data=JANE).json()["error"]["code"] == "blocked"
    assert "shop_session" not in other.cookies


def test_a_session_that_was_tampered_with_is_a_strangers(visitor):
    visitor.post("/login", data=JANE)
    signature = visitor.cookies["shop_session"].strip('"').partition(".")[2]
    forged = base64.urlsafe_b64encode(json.dumps({"account": "1001", "cart": {"teapot": 99}}).encode()).decode()
    visitor.cookies.clear()
    visitor.cookies.set("shop_session", f"{forged}.{signature}")
    assert visitor.get("/cart").json()["cart"] == {}


def test_what_people_type_is_shown_as_text(visitor):
    shown = visitor.post("/login", data={"email": '"><script>x', "password": ""}, headers=PAGE).text
    assert "<script>" not in shown
