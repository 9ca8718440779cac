"""Channels of kind `apprise`: e-mail, chat and some 170 other services, by the optional package apprise.

Its URLs reach any host, so only administrators set them. This is the only file that imports apprise.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from sentinel.actions.bounded import within
from sentinel.actions.channel import Channel
from sentinel.actions.message import Body, marked, text
from sentinel.actions.outcome import DeliveryError
from sentinel.core.errors import InputError

TIMEOUT = 30.0  # seconds
INSTALL = "pip install 'sentinel-playbooks[notify]'"


def send(channel: Channel, body: Body, timeout: float = TIMEOUT) -> None:
    """Tell a service, in a thread of its own; raises DeliveryError unless it took the message."""
    try:
        taken = within(timeout, lambda: _notify(channel.url, body))
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


def _notify(url: str, body: Body) -> bool:
    """Send in the richest form that the service shows: escaped Markdown, else plain text."""
    apprise, service = _apprise(), _service(url)
    form = apprise.NotifyFormat
    rich = service.resolve_format(form.MARKDOWN) is not form.TEXT
    content, written = (marked(body), form.MARKDOWN) if rich else (text(body), form.TEXT)
    return bool(service.notify(body=content, title="Sentinel", body_format=written))


def _service(url: str) -> Any:
    apprise = _apprise()
    asset = apprise.AppriseAsset(http_redirects=False)  # what it may ask is the administrator's to say, not the host's
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
