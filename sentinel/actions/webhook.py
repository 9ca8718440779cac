"""Channels of kind `webhook`: the body, signed as Standard Webhooks says, posted to one URL."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from standardwebhooks import Webhook

from sentinel.actions.channel import Channel
from sentinel.actions.fetch import Fetcher, FetchError, Response
from sentinel.actions.message import GUARDED, OPENED, Body
from sentinel.actions.outcome import LONGEST, DeliveryError
from sentinel.core import ecs, moment, ocsf
from sentinel.core.duration import SECOND
from sentinel.core.finding import guarded

FORMS: Mapping[str, Callable[[Body], dict[str, Any]]] = {"ocsf": ocsf.detection, "ecs": ecs.alert}
READ = 4 << 10  # bytes of an answer that are waited for


def send(channel: Channel, id: str, body: Body, fetcher: Fetcher, now: int) -> None:
    """Post a message; raises DeliveryError unless the receiver answers 2xx. `id` is the same at every try."""
    try:
        raw = json.dumps(_formed(channel.format, body), separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DeliveryError(f"the message is no JSON: {error}", final=True) from None
    headers = _headers(channel, id, raw, now)
    try:
        response = fetcher.fetch(channel.url, method="POST", headers=headers, body=raw.encode(), most=READ, headed=True)
    except FetchError as error:
        raise DeliveryError(error.message, error.hint, final=error.permanent) from None
    _judge(response, now)


def _formed(format: str, body: Body) -> Body:
    """Return a message as the channel wants it: findings in the form of a schema, all else as it is."""
    if format not in FORMS or body.get("type") not in (OPENED, GUARDED):
        return body
    data = body["data"]
    return FORMS[format](guarded(data) if body["type"] == GUARDED else data)


def _headers(channel: Channel, id: str, raw: str, now: int) -> dict[str, str]:
    seconds = now // SECOND
    at = datetime.fromtimestamp(seconds, UTC)
    return {
        "Content-Type": "application/json",
        "Webhook-Id": id,
        "Webhook-Timestamp": str(seconds),
        "Webhook-Signature": " ".join(Webhook(secret).sign(id, at, raw) for secret in channel.secrets),
    }


def _judge(response: Response, now: int) -> None:
    status = response.status
    if 200 <= status < 300:
        return
    if status == 410:
        raise DeliveryError("the receiver answered 410: it wants no more of these", final=True)
    if 300 <= status < 400:
        raise DeliveryError(f"the receiver answered {status}", "redirects are not followed: set the URL it leads to")
    raise DeliveryError(f"the receiver answered {status}", after=_asked(response.headers.get("retry-after", ""), now))


def _asked(text: str, now: int) -> int:
    """Return how many microseconds a Retry-After asks to wait, within bounds; 0 where it says nothing of use."""
    if text.isascii() and text.isdigit():
        return min(int(text[:9]) * SECOND, LONGEST)
    try:
        return max(0, min(moment.from_datetime(parsedate_to_datetime(text)) - now, LONGEST))
    except (ValueError, TypeError, OverflowError):
        return 0
