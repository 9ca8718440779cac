"""A comparison of two backtests for people: text in columns."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from sentinel.cli.report import columns, finding_row, head, number
from sentinel.service.trials.compare import OTHER, THIS, Comparison
from sentinel.service.trials.harm import ADDRESSES, USERS

SHOWN = 20
NAMES = {THIS: "this", OTHER: "the other"}


def write_comparison(compared: Comparison, say: Callable[[str], None]) -> None:
    """Write what two runs differ in, line by line."""
    total = compared.summary()
    for part in (head(total[THIS]), _table(total), *(_side(compared, total, side) for side in (THIS, OTHER))):
        for line in part:
            say(line)


def _table(total: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    rows = [("", NAMES[THIS], "alone", NAMES[OTHER], "alone")]
    sides = [(total[side], total["only"][side]) for side in (THIS, OTHER)]
    found = (number(count) for one, only in sides for count in (one["findings"], only["findings"]))
    rows.append(("findings", *found))  # type: ignore[arg-type]
    for what in (USERS, ADDRESSES):
        cells = (number(count) for one, only in sides for count in (one[what]["targets"], len(only[what])))
        rows.append((f"{what} acted on", *cells))  # type: ignore[arg-type]
    for what in (USERS, ADDRESSES):
        cells = (text for one, _ in sides for text in (number(one["harm"][what]["owners"]), ""))
        rows.append((f"harm: {what} like owners", *cells))  # type: ignore[arg-type]
    yield from columns(rows)


def _side(compared: Comparison, total: Mapping[str, Any], side: str) -> Iterator[str]:
    only = total["only"][side]
    if only["findings"]:
        yield ""
        yield f"{number(only['findings'])} findings of {NAMES[side]} alone"
        yield from columns([finding_row(json.loads(line)) for line in islice(compared.findings(side), SHOWN)])
        yield from _more(only["findings"])
    for what in (USERS, ADDRESSES):
        if only[what]:
            yield ""
            yield f"{number(len(only[what]))} {what} of {NAMES[side]} alone: {', '.join(only[what][:SHOWN])}"
            yield from _more(len(only[what]))


def _more(count: int) -> Iterator[str]:
    if count > SHOWN:
        yield f"  … and {number(count - SHOWN)} more (--format json tells all)"
