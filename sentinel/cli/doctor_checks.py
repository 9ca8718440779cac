"""What `sentinel doctor` checks on a running server and around it: whether it is used, and what is exposed."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from sentinel.actions import notify
from sentinel.actions.channel import channels
from sentinel.actions.fetch import Fetcher
from sentinel.actions.target import PRIVATE, Reach
from sentinel.cli.client import Client
from sentinel.cli.terminal import many
from sentinel.core import moment
from sentinel.core.decision import WIDEST
from sentinel.core.duration import DAY
from sentinel.core.errors import SentinelError
from sentinel.engine.playbook import Playbook
from sentinel.service.setup import ONCE
from sentinel.settings import Settings
from sentinel.store.access import MOST_KEYS

FEW_FILES = 4096
IDLE = 90 * DAY
PATIENCE = 5.0  # seconds for one host to take a connection
LOOPBACK = ("127.0.0.1", "::1", "localhost")
_BEGUN = 1_767_225_600  # 2026-01-01: no clock that is right shows less


class Remark(NamedTuple):
    """One thing that was looked at: `good`, `bad`, or something to `note`, and what there is to say."""

    state: str
    text: str


def present(path: Path) -> bool:
    """Say whether a file is there, as far as this user may know."""
    try:
        return path.exists()
    except PermissionError:
        return False


def used(client: Client, now: int) -> Iterator[Remark]:
    """Say which app sends nothing, is not enforced, or whose enforcement is off."""
    try:
        apps = client.ask("GET", "/v1/apps")["items"]
    except SentinelError as error:
        yield Remark("note", f"the apps of the running server: {error}")
        return
    for app in (one["id"] for one in apps):
        try:
            yield from _used(Client(client.url, client.key, app), app, now)
        except SentinelError as error:
            yield Remark("note", f"whether `{app}` is used cannot be said: {error}")


def _used(client: Client, app: str, now: int) -> Iterator[Remark]:
    switch = client.ask("GET", "/v1/enforcement")
    if not (switch["app"] and switch["server"]):
        yield Remark("note", f"enforcement of `{app}` is switched off (`PUT /v1/enforcement`)")
    since = datetime.fromtimestamp((now - DAY) / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if not client.ask("GET", "/v1/events", query={"limit": 1, "from": since})["items"]:
        yield Remark("note", f"no events of `{app}` in a day (does its SDK have the server's address and a key?)")
    elif not client.ask("GET", "/v1/sdks")["items"]:
        text = f"no SDK asks for the decisions of `{app}`: it refuses nobody (protect it with an SDK)"
        yield Remark("note", text)
    yield from _idle(client, app, now)


def _idle(client: Client, app: str, now: int) -> Iterator[Remark]:
    """Say which keys nobody seems to need."""
    edge = moment.to_text(now - IDLE)
    keys = [one for one in client.items("/v1/keys", {}, MOST_KEYS) if one["revoked"] is None]
    if idle := [one["name"] or one["id"] for one in keys if max(one["made"], one["used"] or "") < edge]:
        shown = ", ".join(f"`{name}`" for name in idle[:3]) + (f" and {len(idle) - 3} more" if len(idle) > 3 else "")
        text = f"{many(len(idle), 'key')} of `{app}`, for all that is known, nobody used in {IDLE // DAY} days: {shown}"
        yield Remark("note", f"{text} (revoke with `sentinel keys revoke` what nobody needs)")


def open_secrets(found: Settings, file: Path) -> Iterator[Remark]:
    """Say which secrets others may read, or lie about."""
    if file.is_file() and file.stat().st_mode & 0o077 and (found.channels or found.database or "@" in found.windows):
        yield Remark("bad", f"others may read `{file}`, and it may hold secrets (run `chmod 600 {file}`)")
    once = found.data / ONCE
    if present(once):
        yield Remark("note", f"`{once}` still holds the first secrets (read it, then delete it)")


def exposure(found: Settings) -> Iterator[Remark]:
    """Say what stands between the server and the network, or does not."""
    secure = (found.public_url or "").startswith("https://")
    if found.host not in LOOPBACK and not secure:
        yield Remark("note", "plain HTTP beyond this machine (put TLS in front, and set `public_url`)")
    if secure and not found.trusted_proxies:
        yield Remark("note", "`public_url` is behind a proxy, and no proxy is trusted: all browsers have its address "
                              "(set `trusted_proxies`)")  # fmt: skip
    if found.forwarded_header and not found.trusted_proxies:
        yield Remark("note", "`forwarded_header` says nothing while no proxy is trusted (set `trusted_proxies`)")
    for network in found.trusted_proxies:
        if network.prefixlen < WIDEST[network.version]:  # too wide to be proxies, as it is to be an attacker
            text = f"`trusted_proxies`: in `{network}` are strangers, who choose their address and are never blocked"
            yield Remark("bad", f"{text} (name the proxies alone)")
    if found.allow_private_webhooks:
        yield Remark("note", "webhooks may reach private addresses (`allow_private_webhooks`)")


def told(found: Settings, playbooks: Iterator[Playbook], now: int) -> Iterator[Remark]:
    """Say whether anybody hears of findings, and whether anybody is refused."""
    known = list(playbooks)
    if not known:
        yield Remark("bad", "there are no playbooks: nothing is found (name their folder in `playbooks`)")
    for one in known:
        for exemption in one.exceptions:
            if exemption.until is not None and exemption.until <= now:
                text = f"`{one.id}`: its exception `{exemption.reason}` ended on {moment.to_text(exemption.until)[:10]}"
                yield Remark("note", f"{text} (take it out of `{one.place.file}`)")
    if known and not any(one.mode == "enforce" for one in known):
        yield Remark("note", "no playbook enforces: nobody is refused (set `mode: enforce` in one that was watched)")
    if found.digest is not None and found.digest_channel not in channels(found.channels):
        yield Remark("bad", f"`digest_channel`: there is no channel `{found.digest_channel}` (name one of `channels`)")
    if not found.channels and any(effect.kind == "notify" for one in known for effect in one.actions):
        yield Remark("note", "notifications go to the log alone (set `channels`)")


def reached(found: Settings) -> Iterator[Remark]:
    """Say which channels cannot be told of anything; nothing is sent to them."""
    try:
        known = channels(found.channels)
    except SentinelError:
        return  # which is told with the playbooks
    for one in known.values():
        why = refused(found, one.url) if one.kind == "webhook" else None
        if one.kind == "apprise":
            try:
                notify.check(one)
            except SentinelError as error:
                why = str(error)
        if why is not None:
            yield Remark("bad", f"channel `{one.name}`: {why}")


def refused(found: Settings, url: str) -> str | None:
    """Return why a server could not reach a URL, which may be a secret and is not told; None where it could."""
    try:
        Fetcher(Reach(PRIVATE if found.allow_private_webhooks else ())).knock(url, PATIENCE)
    except SentinelError as error:
        return str(error)
    return None


def machine(_found: Settings) -> Iterator[Remark]:
    """Say what is wrong with the machine: its clock, and how many files it lets be open."""
    if time.time() < _BEGUN:
        shown = datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%d")
        yield Remark("bad", f"the clock shows {shown}: events would lie in the future (set it, and keep it by NTP)")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most != resource.RLIM_INFINITY and most < FEW_FILES:
        yield Remark("bad", f"at most {most} files may be open, one a connection (raise `ulimit -Hn` or `LimitNOFILE`)")
