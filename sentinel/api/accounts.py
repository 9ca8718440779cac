"""/v1/accounts: who may sign in to the console. Only the server's own administrator may use it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from sentinel.api.context import Admin, Here, server_only
from sentinel.api.models import CONFLICT, AccountView, Listing, Model, NewAccountView
from sentinel.api.parts import Id
from sentinel.api.views import account_view, whole
from sentinel.core.record import EVERY_APP, Role
from sentinel.edge.errors import not_found, require
from sentinel.service.accounts import Invitation

router = APIRouter(tags=["accounts"])
Apps = Annotated[list[Annotated[str, Field(max_length=63)]], Field(min_length=1, max_length=1000)]


class NewAccount(Model):
    """Somebody to invite; `apps` are ids, or `*` for every app."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    role: Role = "viewer"
    apps: Apps = Field(default_factory=lambda: [EVERY_APP])


class AccountChange(Model):
    """What to change of an account; what is left out stays."""

    role: Role | None = None
    apps: Apps | None = None


@router.get("/v1/accounts", response_model=Listing[AccountView])
def list_accounts(here: Here, caller: Admin) -> Any:
    """Return every account, by name."""
    server_only(caller)
    return whole(here.store.accounts.list(), account_view)


@router.post("/v1/accounts", response_model=NewAccountView, status_code=201, responses=CONFLICT)
def invite_account(here: Here, caller: Admin, new: NewAccount) -> Any:
    """Add an account. Its owner chooses the password by a link whose code is in this answer and nowhere else."""
    server_only(caller)
    return _invited(here.accounts.invite(new.name, new.role, new.apps, caller.by))


@router.patch("/v1/accounts/{id}", response_model=AccountView)
def change_account(here: Here, caller: Admin, id: Id, change: AccountChange) -> Any:
    """Give an account another role, or other apps."""
    server_only(caller)
    return account_view(require(here.accounts.change(id, change.role, change.apps, caller.by), "account", id))


@router.post("/v1/accounts/{id}/reset", response_model=NewAccountView)
def reset_account(here: Here, caller: Admin, id: Id) -> Any:
    """Take an account's password away, sign it out everywhere, and give it a new link."""
    server_only(caller)
    invitation = require(here.accounts.reset(id, caller.by), "account", id)
    return _invited(invitation)


@router.delete("/v1/accounts/{id}", status_code=204)
def remove_account(here: Here, caller: Admin, id: Id) -> None:
    """Remove an account and sign it out everywhere."""
    server_only(caller)
    if not here.store.accounts.remove(id, caller.by, here.clock()):
        raise not_found("account", id)


def _invited(invitation: Invitation) -> dict[str, Any]:
    return account_view(invitation.account) | {"code": invitation.code}
