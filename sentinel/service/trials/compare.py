"""Compare two backtests over the same events: what only one of them found, and whom only one would have acted on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from sentinel.service.trials.backtest import Backtest
from sentinel.service.trials.harm import ADDRESSES, USERS
from sentinel.service.trials.summary import summary

THIS, OTHER = "this", "other"


class Comparison:
    """Two finished runs. A finding is the same in both where playbook, group and anchor are."""

    def __init__(self, this: Backtest, other: Backtest) -> None:
        self._runs = {THIS: this, OTHER: other}
        self._ids = {side: run.findings.ids() for side, run in self._runs.items()}

    def findings(self, side: str) -> Iterator[bytes]:
        """Give the findings of one side alone, each a line of JSON."""
        return self._runs[side].findings.lines(self._ids[OTHER if side == THIS else THIS])

    def targets(self, side: str, what: str) -> list[str]:
        """Return the users or addresses that one side alone would have acted on."""
        mine, others = (self._runs[one].findings.coverage[what].names() for one in _both(side))
        return sorted(mine - others)

    def lines(self) -> Iterator[bytes]:
        """Give the findings of each side alone, marked with the side, and then the summary, as lines of JSON."""
        for side in (THIS, OTHER):
            for line in self.findings(side):
                yield msgspec.json.encode({"only": side} | msgspec.json.decode(line)) + b"\n"
        yield msgspec.json.encode({"summary": self.summary()}) + b"\n"

    def summary(self) -> dict[str, Any]:
        """Return the summary of each side, and what only one side found and would have acted on."""
        return {side: summary(run) for side, run in self._runs.items()} | {
            "only": {side: self._only(side) for side in (THIS, OTHER)}
        }

    def _only(self, side: str) -> dict[str, Any]:
        mine, others = (self._ids[one] for one in _both(side))
        return {"findings": len(mine - others)} | {what: self.targets(side, what) for what in (USERS, ADDRESSES)}


def _both(side: str) -> tuple[str, str]:
    return (THIS, OTHER) if side == THIS else (OTHER, THIS)
