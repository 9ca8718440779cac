"""What the composition root gives to the console."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.responses import Response

from sentinel.core.proxies import Proxies
from sentinel.core.record import EventFormat, Filter, FindingFormat, KeptEvent
from sentinel.edge.protocols import KeyForms
from sentinel.service.accounts import Accounts
from sentinel.service.deleting import Deleter
from sentinel.service.explainer import Explainer
from sentinel.service.overview import Overview
from sentinel.service.ports import Store
from sentinel.service.processes import Processes
from sentinel.service.search import Searches
from sentinel.service.switch import Switch
from sentinel.service.trials.workbench import Workbench
from sentinel.service.writing import Writing


class Records(Protocol):
    """Stored events and findings as the API gives them: one as JSON, many as a file, and those to come as a stream."""

    def shown(self, kept: KeptEvent) -> Mapping[str, Any]: ...

    def export(self, app: str, by: str, alive: Callable[[], bool], filter: Filter, format: EventFormat) -> Response: ...

    def findings(
        self, app: str, by: str, alive: Callable[[], bool], format: FindingFormat, **asked: Any
    ) -> Response: ...

    def tail(
        self, app: str, by: str, alive: Callable[[], bool], filter: Filter, shown: Callable[[KeptEvent], Any]
    ) -> Response: ...


@dataclass(frozen=True, slots=True)
class Context:
    """What pages need, made by the composition root. `channels` maps each channel's name to what it is, in words."""

    store: Store
    accounts: Accounts
    overview: Overview
    explainer: Explainer
    enforcement: Switch
    clock: Callable[[], int]
    told: Callable[[str], None]  # the decision list of an app has changed
    told_all: Callable[[], None]  # keys or switches have
    processes: Processes  # of the apps, as their SDKs tell
    fault: Callable[[BaseException], None]
    tried: Callable[[str], None]  # to sign in: `in`, `wrong` or `slowed`
    channels: Mapping[str, str]
    public_url: str | None
    proxies: Proxies
    searches: Searches
    deleter: Deleter
    records: Records
    workbench: Workbench
    writing: Writing
    key_forms: KeyForms  # what keys for foreign protocols may be

    @property
    def secure(self) -> bool:
        """Whether people come by HTTPS, so that cookies and links must."""
        return (self.public_url or "").startswith("https://")
