"""The comparison of two backtests, as text in columns."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from sentinel.cli.report import EACH, columns, finding_row, head, number
from sentinel.cli.terminal import many
from sentinel.service.trials.compare import OTHER, THIS, Comparison

SHOWN = 20
NAMES = {THIS: "this", OTHER: "the other"}


def write_comparison(compared: Comparison, say: Callable[[str], None]) -> None:
    """Write what two runs differ in, line by line."""
    total = compared.summary()
    for part in (
        head(total[THIS]),
        _left_out(total[OTHER]),
        _table(total),
        *(_side(compared, total, side) for side in (THIS, OTHER)),
    ):
        for line in part:
            say(line)


def _left_out(other: Mapping[str, Any]) -> Iterator[str]:
    if other["left_out"]:
        yield f"left out of {NAMES[OTHER]}, because they are off: {', '.join(other['left_out'])}"


def _table(total: Mapping[str, Any]) -> Iterator[str]:
    sides = [(total[side], total["only"][side]) for side in (THIS, OTHER)]
    found = [(number(one["findings"]), number(only["findings"])) for one, only in sides]
    targets = {what: [(number(one[what]["targets"]), number(len(only[what]))) for one, only in sides] for what in EACH}
    owners = {what: [(number(one["harm"][what]["owners"]), "") for one, _ in sides] for what in EACH}
    yield ""
    yield from columns([
        ("", NAMES[THIS], "alone", NAMES[OTHER], "alone"),
        _row("findings", found),
        *(_row(f"{what} acted on", targets[what]) for what in EACH),
        *(_row(f"harm: {what} like owners", owners[what]) for what in EACH),
    ])  # fmt: skip


def _row(what: str, sides: Sequence[tuple[str, str]]) -> tuple[str, str, str, str, str]:
    """Return a row of the table: of each side what it has, and what it has alone."""
    (this, alone), (other, others) = sides
    return what, this, alone, other, others


def _side(compared: Comparison, total: Mapping[str, Any], side: str) -> Iterator[str]:
    only = total["only"][side]
    if only["findings"]:
        yield ""
        yield f"{many(only['findings'], 'finding')} of {NAMES[side]} alone"
        yield from columns([finding_row(json.loads(line)) for line in islice(compared.findings(side), SHOWN)])
        yield from _more(only["findings"])
    for what in EACH:
        if only[what]:
            yield ""
            yield f"{many(len(only[what]), EACH[what])} of {NAMES[side]} alone: {', '.join(only[what][:SHOWN])}"
            yield from _more(len(only[what]))


def _more(count: int) -> Iterator[str]:
    if count > SHOWN:
        yield f"  … and {number(count - SHOWN)} more (--format json tells all)"
