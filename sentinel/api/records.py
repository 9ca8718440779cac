"""Stored events and findings for the console, in the shapes of the API. The pages check who may see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from sentinel.api import findings
from sentinel.api.downloads import TOPIC
from sentinel.api.events import Tail
from sentinel.api.export import download
from sentinel.api.hub import Hub, Seat
from sentinel.api.views import event_view
from sentinel.core.record import EventFormat, Filter, FindingFormat, KeptEvent
from sentinel.service.ports.events import Events
from sentinel.service.ports.findings import Findings

Alive = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Records:
    """Shows events and findings, files and streams of them as long as their reader is `alive`: may still see the app.

    `secret` is one that opens as long as the process lives.
    """

    hub: Hub
    events: Events
    kept: Findings
    secret: str

    def shown(self, kept: KeptEvent) -> Mapping[str, Any]:
        """Return an event as the API shows it."""
        return event_view(kept)

    def export(self, app: str, by: str, alive: Alive, filter: Filter, format: EventFormat) -> Response:
        """Return the answer that gives `by` events as a file."""
        return download(self._seat(app, by, alive), self.events, app, filter, format)

    def findings(self, app: str, by: str, alive: Alive, format: FindingFormat, **asked: Any) -> Response:
        """Return the answer that gives `by` findings as a file; what is `asked` is what a list of them takes."""
        return findings.download(self._seat(app, by, alive), self.kept, app, format, **asked)

    def _seat(self, app: str, by: str, alive: Alive) -> AbstractContextManager[Seat]:
        return self.hub.seat(TOPIC, app, self.secret, by, alive)

    def tail(self, app: str, by: str, alive: Alive, filter: Filter, shown: Callable[[KeptEvent], Any]) -> Response:
        """Return the answer that tells `by` events as they come."""
        return Tail(self.hub, self.events, self.secret, by, app, filter, shown, alive)
