"""Why a request was refused, by the server's API: from the reference in the refusal to the event that decided."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sentinel.core.errors import SentinelError
from sentinel.core.finding import tally_texts
from sentinel.core.number import digits
from sentinel.demo.attacks import Attack
from sentinel.demo.visitor import Answer

# From the path and query of a GET to the answer's JSON; raises SentinelError.
Ask = Callable[[str, Mapping[str, Any] | None], Any]
_PATIENCE = 30.0  # seconds until an event that was just stored can be read


@dataclass(frozen=True, slots=True)
class Reason:
    """A decision, the finding it comes from, and the try that decided it, where it could be told."""

    decision: Mapping[str, Any]
    finding: Mapping[str, Any]
    decider: Answer | None

    def milliseconds(self, first_refused: Answer) -> float | None:
        """Return the time from sending the deciding try to the arrival of the first refused answer."""
        return None if self.decider is None else (first_refused.came - self.decider.sent) * 1000


def reason(ask: Ask, attack: Attack) -> Reason | None:
    """Return why an attack's first refusal was one; None where the server does not know it."""
    first = attack.first_refused
    if first is None or not first.reference:
        return None
    try:
        decision = ask(f"/v1/decisions/{first.reference}", None)
        finding = ask(f"/v1/findings/{decision['finding']}", None)
    except SentinelError:
        return None
    return Reason(decision, finding, _decider(ask, finding["event_id"], attack))


def findings(ask: Ask) -> list[Mapping[str, Any]]:
    """Return every finding there is, newest first."""
    return list(ask("/v1/findings", {"limit": 200})["items"])


def tally(finding: Mapping[str, Any]) -> str:
    """Return a finding's tally, metric by metric, against the threshold of those that have one and say more."""
    threshold = finding["threshold"]
    return ", ".join(
        f"{metric} {text}" + (f" ({threshold[metric]})" if threshold.get(metric, text) != text else "")
        for metric, text in tally_texts(finding["tally"], digits, threshold).items()
    )


def group(finding: Mapping[str, Any]) -> str:
    """Return what a finding is about."""
    return ", ".join(f"{name} {value}" for name, value in finding["group"].items()) or "the whole app"


def _decider(ask: Ask, event: str, attack: Attack) -> Answer | None:
    """Return the try whose event made the finding: the one of that address and e-mail."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            stored = ask(f"/v1/events/{event}", None)
            break
        except SentinelError:
            if time.monotonic() > until:
                return None
            time.sleep(0.1)
    email = stored["identifiers"].get("email")
    return next((one for one in attack.tries if one.ip == stored["ip"] and one.who == email), None)
