"""The very first start: an app, a key for it, and the link by which the first administrator signs in."""

from __future__ import annotations

from typing import NamedTuple

from sentinel.core.duration import HOUR
from sentinel.core.record import App
from sentinel.service.ports import Store

APP = "default"
ADMINISTRATOR = "administrator"
BY = "first start"
ONCE = "first-start.txt"  # in the data folder, where there is no terminal to show the secrets on


class First(NamedTuple):
    """What is shown once and kept nowhere: the secrets of the first key and of the administrator's link."""

    key: str
    link: str


def first_start(store: Store, now: int) -> First | None:
    """Make what a new server needs and return its secrets; None where all is there already, whoever made it."""
    if store.access.app(APP) is not None:
        return None
    made = store.access.begin(App(APP, "Default", made=now), ADMINISTRATOR, now + HOUR, BY, now)
    return None if made is None else First(*made)
