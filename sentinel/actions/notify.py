"""Channels of kind `apprise`: e-mail, chat and some 170 other services, by the optional package apprise.

Its URLs reach any host, so only administrators set them. This is the only file that imports apprise.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

from sentinel.actions.bounded import within
from sentinel.actions.channel import Channel
from sentinel.actions.message import DIGEST, GUARDED, Body, marked, subject, text
from sentinel.actions.outcome import DeliveryError
from sentinel.core.errors import InputError

TIMEOUT = 30.0  # seconds
NAME = "Sentinel"
SUBJECT = 78  # characters: written as a mail's header, no line gets longer than mail may have
_HEADING = 64  # characters that a heading of its own may take of a message's length

Urgency = Literal["info", "warning", "failure"]

# What services of paging go by: of what is `info` some open no alert at all.
URGENCY: Mapping[str, Urgency] = {
    "info": "info", "low": "info", "medium": "warning", "high": "failure", "critical": "failure",
}  # fmt: skip
# The attribute by which a service knows a message that comes again, where the channel's URL names none.
STAMPS: Mapping[str, str] = {
    "pagerduty": "dedup", "opsgenie": "alias", "jira": "alias", "splunk": "entity_id", "goalerts": "dedup",
    "squadcast": "dedup", "ilert": "dedup", "incidentio": "dedup", "firehydrant": "dedup", "signl4": "external_id",
    "pagertree": "thirdparty",
}  # fmt: skip
PLAIN = ("slack",)  # its own form of Markdown knows no backslash: it would be shown before every sign
INSTALL = "pip install 'sentinel-playbooks[notify]'"


def send(channel: Channel, id: str, body: Body, timeout: float = TIMEOUT) -> None:
    """Tell a service, in a thread of its own; raises DeliveryError unless it took the message.

    `id` is the same at every try.
    """
    try:
        taken = within(timeout, lambda: _notify(channel.url, id, body), f"channel {channel.name}")
    except TimeoutError:
        raise DeliveryError(f"the service did not take the message within {timeout:g} s") from None
    except ImportError:
        raise DeliveryError("apprise is not installed", INSTALL, final=True) from None
    except InputError as error:
        raise DeliveryError(error.message, error.hint, final=True) from None
    if not taken:
        raise DeliveryError("the service did not take the message", "the log may say why")


def check(channel: Channel) -> None:
    """Raise InputError for a URL that apprise does not understand; no network is asked."""
    _service(channel.url)


def urgency(body: Body) -> Urgency:
    """Return how urgent a message is; that a guard holds is never less than a warning."""
    if body.get("type") == DIGEST:
        return "info"
    found = URGENCY.get(str(body["data"].get("severity")), "warning")
    return "warning" if found == "info" and body.get("type") == GUARDED else found


def _notify(url: str, id: str, body: Body) -> bool:
    """Send in the richest form that the service shows, escaped Markdown or plain text, and no more than it takes."""
    apprise, service = _apprise(), _service(url)
    known_as, form = _known_as(service), apprise.NotifyFormat
    stamp = STAMPS.get(known_as)
    if stamp is not None and getattr(service, stamp, id) in (None, f"{NAME}/{getattr(service, 'routing_key', '')}"):
        setattr(service, stamp, id)
    shown = service.resolve_format(form.MARKDOWN)
    title = _title(service, body, shown is form.MARKDOWN)
    most = service.body_maxlen - (_HEADING + len(title) if title else 0)
    rich = shown is not form.TEXT and known_as not in PLAIN
    content, written = (marked(body, most), form.MARKDOWN) if rich else (text(body, most), form.TEXT)
    urgent = apprise.NotifyType(urgency(body))
    return bool(service.notify(body=content, title=title, body_format=written, notify_type=urgent))


def _known_as(service: Any) -> str:
    """Return the scheme of a service's URLs, however its own was written."""
    found = service.secure_protocol or service.protocol
    return str(found if isinstance(found, str) else found[0])


def _title(service: Any, body: Body, rich: bool) -> str:
    """Return a message's heading or subject: only what is ours where it may be read as Markdown."""
    if service.title_maxlen <= 0:
        return ""
    return NAME if rich else subject(body, min(SUBJECT, service.title_maxlen))


def _service(url: str) -> Any:
    apprise = _apprise()
    # What it may ask is the administrator's to say, not the host's.
    asset = apprise.AppriseAsset(app_id=NAME, app_desc=NAME, http_redirects=False)
    service = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    if service is None:
        raise InputError("apprise does not understand the channel's URL")
    return service


@cache
def _apprise() -> Any:
    """Import apprise, whose log lines would otherwise hold the URLs it cannot read."""
    import apprise

    logging.getLogger("apprise").addFilter(_without_urls)
    return apprise


def _without_urls(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING and "://" not in record.getMessage()
