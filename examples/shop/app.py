"""The shop's routes. Each step of its protection is marked with `Sentinel` and a number, as in the README."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Response
from starlette.exceptions import HTTPException

from sentinel import sdk
from sentinel.sdk.asgi import SentinelMiddleware

from . import accounts, goods, session
from .pages import Fields, go, page, refuse

people = accounts.load()
app = FastAPI(title="Kiln & Co.", docs_url=None, redoc_url=None, openapi_url=None)

# Sentinel 1. Server and key come from SENTINEL_URL and SENTINEL_KEY. In front of the shop stands a proxy on this
# machine: from it, and from nobody else, the shop takes the word on where a visitor comes from.
sdk.start(trusted_proxies=["127.0.0.1", "::1"])

# Sentinel 2. The first call of `add_middleware` makes it the innermost one: whatever is added later is around it.
app.add_middleware(SentinelMiddleware)


@dataclass
class Visitor:
    """Whoever sends a request: the session, and the account where somebody is logged in."""

    session: session.Session
    account: accounts.Account | None


def _visitor(request: Request) -> Visitor:
    found = session.read(request)
    account = people.get(found.account)
    if account is not None:
        # Sentinel 3. Say whose request this is. Who is blocked gets no further: the call does not return.
        sdk.identify({"id": account.id, "email": account.email})
    return Visitor(found, account)


Here = Annotated[Visitor, Depends(_visitor)]


@app.get("/")
def shelf(request: Request, here: Here) -> Response:
    """Show everything that is for sale."""
    sdk.track("page.viewed")  # Sentinel 7
    products = [{"slug": one.slug, "name": one.name, "cents": one.cents} for one in goods.SHELF]
    return page(request, "shelf.html", {"products": products}, here=here, shelf=goods.SHELF)


@app.get("/products/{slug}")
def product(request: Request, here: Here, slug: str) -> Response:
    """Show one product."""
    sdk.track("page.viewed")  # Sentinel 7
    found = goods.BY_SLUG.get(slug)
    if found is None:
        raise HTTPException(404)
    data = {"slug": found.slug, "name": found.name, "text": found.text, "cents": found.cents}
    return page(request, "product.html", data, here=here, product=found)


@app.get("/login")
def login_form(request: Request, here: Here) -> Response:
    """Show the form."""
    return page(request, "login.html", {"fields": ["email", "password"]}, here=here, problem=None, email="")


@app.post("/login")
def login(request: Request, here: Here, form: Fields) -> Response:
    """Log in."""
    email = form.get("email", "")
    account = people.check(email, form.get("password", ""))
    if account is None:
        sdk.auth_track(False, email=email)  # Sentinel 4: before the answer, whether it worked or not
        why = "That e-mail address and password do not belong together."
        return refuse(request, "login.html", 401, "wrong_password", why, here=here, email=email)
    sdk.auth_track(True, id=account.id, email=account.email)  # Sentinel 4
    return _enter(request, here, account)


@app.post("/logout")
def logout(request: Request, here: Here) -> Response:
    """Log out; the cart goes too."""
    return session.write(go(request, "/", {"account": None}), session.Session())


@app.get("/signup")
def signup_form(request: Request, here: Here) -> Response:
    """Show the form."""
    return page(request, "signup.html", {"fields": ["name", "email", "password"]}, here=here, problem=None, form={})


@app.post("/signup")
def signup(request: Request, here: Here, form: Fields) -> Response:
    """Open an account and log in."""
    name, email, password = (form.get(field, "") for field in ("name", "email", "password"))
    if not name or "@" not in email or len(password) < 8:
        why = "We need a name, an e-mail address, and a password of at least eight characters."
        return refuse(request, "signup.html", 422, "incomplete", why, here=here, form=form)
    account = people.add(name, email, password)
    if account is None:
        return refuse(request, "signup.html", 409, "taken", "There is an account already.", here=here, form=form)
    sdk.signup_track(id=account.id, email=account.email)  # Sentinel 5: once the account exists
    return _enter(request, here, account)


@app.get("/reset")
def reset_form(request: Request, here: Here) -> Response:
    """Show the form."""
    return page(request, "reset.html", {"fields": ["email"]}, here=here, sent=False)


@app.post("/reset")
def reset(request: Request, here: Here, form: Fields) -> Response:
    """Promise a link by mail, in the same words whether there is such an account or not."""
    # Sentinel 6. Your own events count too: a name, and whom it is about.
    sdk.track("password.reset_requested", user_identifiers={"email": form.get("email", "")})
    return page(request, "reset.html", {"sent": True}, here=here)


@app.get("/cart")
def cart(request: Request, here: Here) -> Response:
    """Show what is in the cart."""
    return page(request, "cart.html", _priced(here.session.cart), here=here, lines=goods.lines(here.session.cart))


@app.post("/cart")
def put_in_cart(request: Request, here: Here, form: Fields) -> Response:
    """Put one more of a product into the cart."""
    slug = form.get("slug", "")
    if slug not in goods.BY_SLUG:
        raise HTTPException(404)
    held = here.session.cart
    held[slug] = min(held.get(slug, 0) + 1, goods.MOST)
    sdk.track("cart.added", {"product": slug, "cents": goods.BY_SLUG[slug].cents})  # Sentinel 7
    return session.write(go(request, "/cart", _priced(held)), here.session)


@app.post("/checkout")
def checkout(request: Request, here: Here) -> Response:
    """Order what is in the cart."""
    if here.account is None:
        why = "Please log in to order."
        return refuse(request, "login.html", 401, "login_needed", why, here=here, email="")
    bought, here.session.cart = here.session.cart, {}
    if not bought:
        return go(request, "/cart", _priced({}))
    order = secrets.token_hex(4).upper()
    sdk.track("order.placed", {"order": order, "cents": goods.total(bought)})  # Sentinel 7
    answer = page(request, "thanks.html", {"order": order} | _priced(bought), here=here, lines=goods.lines(bought))
    return session.write(answer, here.session)


@app.exception_handler(HTTPException)
def missing(request: Request, error: HTTPException) -> Response:
    """Answer what is not there, or cannot be done so."""
    visitor = Visitor(session.read(request), None)
    why = "There is nothing here." if error.status_code == 404 else "This cannot be done so."
    return refuse(request, "missing.html", error.status_code, "not_found", why, here=visitor)


def _enter(request: Request, here: Visitor, account: accounts.Account) -> Response:
    here.session.account = account.id
    return session.write(go(request, "/", {"account": account.id, "name": account.name}), here.session)


def _priced(held: dict[str, int]) -> dict[str, Any]:
    return {"cart": held, "cents": goods.total(held)}
