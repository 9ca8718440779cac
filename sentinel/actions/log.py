"""Channels of kind `log`: one line in the server's own log."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import structlog

from sentinel.actions.channel import Channel
from sentinel.actions.message import Body, line
from sentinel.actions.text import printable

LEVELS: Mapping[str, int] = {
    "info": logging.INFO,
    "low": logging.INFO,
    "medium": logging.WARNING,
    "high": logging.ERROR,
    "critical": logging.CRITICAL,
}
_SHOWN = ("app", "id", "playbook", "severity", "mode", "user", "ip", "acted", "url")


def send(channel: Channel, body: Body) -> None:
    """Write a message to the log, at the level of its severity."""
    data = body["data"]
    shown = {name: _plain(data[name]) for name in _SHOWN if data.get(name) is not None}
    level = LEVELS.get(str(data.get("severity")), logging.WARNING)
    structlog.get_logger("sentinel.notify").log(level, line(body), channel=channel.name, **shown)


def _plain(value: object) -> object:
    return value if isinstance(value, bool | int | float) else printable(value)
