"""The ways into the server, each with what it needs: ingest, feed, API, foreign protocols, console."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from sentinel.actions.identity import login_of
from sentinel.api import metrics, program, sdks
from sentinel.api.context import Context
from sentinel.api.feed import TOPIC as DECISIONS
from sentinel.api.feed import Feed
from sentinel.api.ingest import Ingest
from sentinel.api.records import Records
from sentinel.compat.adapter import Shared
from sentinel.compat.adapters import ADAPTERS, KEY_FORMS
from sentinel.compat.frame import Compat
from sentinel.console import site
from sentinel.console.assets import Assets
from sentinel.console.context import Context as ConsoleContext
from sentinel.console.guard import Console
from sentinel.core.proxies import Proxies
from sentinel.edge.door import BURST, Door
from sentinel.edge.limits import Buckets
from sentinel.edge.turns import Turns
from sentinel.settings import Settings

if TYPE_CHECKING:
    from sentinel.app.server import Server

Lifespan = Callable[[Any], AbstractAsyncContextManager[None]]

log = structlog.get_logger("sentinel")


def front(server: Server, lifespan: Lifespan) -> program.Front:
    """Return what every request meets first."""
    settings, heard = server.settings, partial(sdks.listen, server.processes)
    door = Door(
        server.intake, server.store.decisions.revision, server.figures, server.clock, time.monotonic,
        Buckets(settings.rate, settings.rate * BURST), Buckets(settings.browser_rate / 60, settings.browser_rate),
        _proxies(settings), not_yet=server.overview.starting,
    )  # fmt: skip
    ingest = Ingest(server.gate, door, partial(server.fault, "events"), heard)
    feed = Feed(server.gate, server.hub, server.store.decisions, server.clock, server.switch.on, heard=heard)
    turns = Turns()
    rest = program.build(_api(server, turns), partial(server.fault, "api"), lifespan)
    return program.Front(ingest, feed, rest, _compat(server, door, turns), _console(server))


def _proxies(settings: Settings) -> Proxies:
    return Proxies(settings.trusted_proxies, forwarded_header=settings.forwarded_header)


def _api(server: Server, turns: Turns) -> Context:
    return Context(
        store=server.store, gate=server.gate, hub=server.hub, overview=server.overview, enforcement=server.switch,
        clock=server.clock, metrics=lambda app: metrics.text(server.figures.samples(), app),
        told=partial(server.hub.tell, DECISIONS), explainer=server.explainer,
        processes=server.processes, bans=server.bans, key_forms=KEY_FORMS, searches=server.searches,
        deleter=server.deleter, accounts=server.accounts, workbench=server.workbench, turns=turns,
        never=tuple(map(str, server.settings.trusted_proxies)),
    )  # fmt: skip


def _compat(server: Server, door: Door, turns: Turns) -> Compat:
    service = server.settings.seismo_identity
    identity = partial(login_of, server.fetcher, service) if service else None
    shared = Shared(server.gate, door, server.store, server.bans, server.switch.on, server.fault, identity, turns)
    return Compat(ADAPTERS, shared)


def _console(server: Server) -> Console:
    settings = server.settings
    context = ConsoleContext(
        store=server.store, accounts=server.accounts, overview=server.overview, explainer=server.explainer,
        enforcement=server.switch, clock=server.clock, told=partial(server.hub.tell, DECISIONS),
        told_all=server.hub.tell_all, processes=server.processes,
        fault=partial(server.fault, "console"), tried=partial(server.figures.count, "sentinel_sign_ins"),
        channels={name: channel.described for name, channel in sorted(server.channels.items())},
        public_url=settings.public_url, proxies=_proxies(settings), searches=server.searches,
        deleter=server.deleter, workbench=server.workbench, writing=server.writing, key_forms=KEY_FORMS,
        records=Records(server.hub, server.store.events, server.store.findings, server.token),
    )  # fmt: skip
    assets = Assets()
    if assets.missing():
        missing = ", ".join(assets.missing())
        log.warning("trouble", where="console", error=f"pages do without {missing}: not built (`make frontend`)")
    return site.build(context, assets)
