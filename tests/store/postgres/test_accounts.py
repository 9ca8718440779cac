"""Accounts that two servers change at the same moment."""

from __future__ import annotations

import pytest

from sentinel.core.errors import Conflict, SentinelError
from sentinel.core.record import EVERY_APP, Account
from tests.contract.values import NOW
from tests.store.postgres.together import at_once

NAMES = ("ana", "bob")


def invite(store, name, role, id=None):
    store.accounts.invite(Account(id or name, name, role, made=NOW), NOW + 1, "jane", NOW)


def demote(store, name):
    store.accounts.change(name, "jane", NOW, role="viewer")


def send_home(store, name):
    store.accounts.change(name, "jane", NOW, apps=("shop",))


def remove(store, name):
    store.accounts.remove(name, "jane", NOW)


@pytest.mark.parametrize("way", [demote, send_home, remove])
def test_of_two_administrators_that_two_servers_let_go_at_once_one_stays(stores, way):
    def asked(number):
        try:
            way(stores[number], NAMES[number])
        except SentinelError as error:
            return str(error)
        return None

    for _ in range(8):
        for name in NAMES:
            if stores[0].accounts.change(name, "jane", NOW, role="admin", apps=(EVERY_APP,)) is None:
                invite(stores[0], name, "admin")
            stores[0].accounts.set_password(name, "$hash", "jane", NOW)
        told = at_once(lambda: asked(0), lambda: asked(1))
        assert [one.name for one in stores[0].accounts.list() if one.server and one.ready] == [
            name for name, text in zip(NAMES, told, strict=True) if text
        ]
        (text,) = [text for text in told if text]
        assert "nobody would be left" in text


def test_of_two_accounts_of_one_name_that_two_servers_add_at_once_one_is_refused_as_that(stores):
    invite(stores[0], "jane", "admin")
    stores[0].accounts.set_password("jane", "$hash", "jane", NOW)

    def asked(number, name):
        try:
            invite(stores[number], name, "viewer", id=f"{name}{number}")
        except Conflict as error:
            return error.message
        return None

    for turn in range(8):
        name = f"ana{turn}"
        told = at_once(lambda name=name: asked(0, name), lambda name=name: asked(1, name))
        assert sorted(told, key=str) == [None, f"`name`: there is an account `{name}` already"]
