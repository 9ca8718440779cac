"""One attempt at one delivery: a table says which function sends over which kind of channel.

The loop that takes deliveries from the outbox and tries them again is `service.outbox`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import NamedTuple

from sentinel.actions import log, notify, webhook
from sentinel.actions.channel import Channel, Kind
from sentinel.actions.fetch import Fetcher
from sentinel.actions.message import Body, compose
from sentinel.actions.outcome import DeliveryError, backoff
from sentinel.core.bundle import KIND
from sentinel.core.record import Delivery

DEFAULT = "security"  # where a delivery goes that names no channel

Page = Callable[[str, str], str]
BundlePage = Callable[[str, int], str]


class Attempt(NamedTuple):
    """One try: where to, what, under which id, by which way out, when (microseconds since 1970)."""

    channel: Channel
    id: str
    body: Body
    fetcher: Fetcher
    now: int


SENDERS: Mapping[Kind, Callable[[Attempt], None]] = {
    "log": lambda one: log.send(one.channel, one.body),
    "webhook": lambda one: webhook.send(one.channel, one.id, one.body, one.fetcher, one.now),
    "apprise": lambda one: notify.send(one.channel, one.id, one.body),
}


class Channels:
    """Every channel, and how a delivery is sent over it.

    `page(app, finding)` gives the URL of a finding's page, `bundled(app, delivery)` that of the list of the findings
    that one delivery tells of. `clock` gives microseconds since 1970, `chance` a number of at least 0 and below 1.
    """

    def __init__(
        self,
        channels: Mapping[str, Channel],
        fetcher: Fetcher,
        clock: Callable[[], int],
        page: Page | None = None,
        chance: Callable[[], float] = random.random,
        bundled: BundlePage | None = None,
    ) -> None:
        self._channels = channels
        self._fetcher = fetcher
        self._clock = clock
        self._page = page
        self._chance = chance
        self._bundled = bundled

    def deliver(self, delivery: Delivery) -> None:
        """Deliver once, or raise DeliveryError with the reason."""
        name = delivery.channel or DEFAULT
        channel = self._channels.get(name)
        if channel is None:
            raise DeliveryError(f"there is no channel `{name[:64]}`", final=True)
        body = compose(delivery, self._url(delivery))
        SENDERS[channel.kind](Attempt(channel, message_id(delivery), body, self._fetcher, self._clock()))

    def _url(self, delivery: Delivery) -> str | None:
        """Return the URL of the page about what a delivery tells of, None where there is none."""
        if delivery.kind == KIND and self._bundled:
            return self._bundled(delivery.app, delivery.id)
        return self._page(delivery.app, delivery.finding) if self._page and delivery.finding else None

    def wait(self, attempts: int) -> int | None:
        """Return how many microseconds to wait after so many failed tries, None to give up."""
        return backoff(attempts, self._chance())


def message_id(delivery: Delivery) -> str:
    """Return the id a receiver knows a message by: the same at every try, another for every message."""
    key = f"{len(delivery.app)}:{delivery.app}:{delivery.key}"
    return "msg_" + blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
