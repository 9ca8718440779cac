"""`sentinel backtest`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from sentinel.cli.client import AppId, Data, Secret, Url
from sentinel.cli.comparison import write_comparison
from sentinel.cli.judging import Geo, Lateness, Networks, Shape, Shaped, enricher, read
from sentinel.cli.loading import loaded
from sentinel.cli.options import As, Channels, Input, Map, Name, Paths, Rules, Strict, columns_of, duration_of
from sentinel.cli.past import Files, Since, Stored, one_source
from sentinel.cli.report import write_report
from sentinel.cli.terminal import plain_json, say
from sentinel.core.errors import InputError
from sentinel.service.eventfiles.reading import Options
from sentinel.service.trials.backtest import Backtest, Plan
from sentinel.service.trials.compare import Comparison
from sentinel.service.trials.summary import summary
from sentinel.windows.memory import windows_of

Against = Annotated[
    list[Path] | None,
    typer.Option("--against", help="Files and folders of another version, to compare with.", metavar="PATH"),
]
Arrival = Annotated[
    bool, typer.Option("--arrival-order", help="Judge events in the files' order instead of the order of time.")
]
OwnModes = Annotated[
    bool, typer.Option("--own-modes", help="Judge each playbook in its own mode, not as if it enforced.")
]


def backtest(
    paths: Paths = None,
    events: Files = None,
    since: Since = None,
    against: Against = None,
    rules: Rules = None,
    channel: Channels = None,
    shape: Shaped = Shape.table,
    arrival_order: Arrival = False,
    strict: Strict = False,
    lateness: Lateness = "10m",
    own_modes: OwnModes = False,
    input: As = Input.auto,
    map: Map = None,
    event: Name = None,
    geo: Geo = None,
    network_list: Networks = None,
    url: Url = None, key: Secret = None, app: AppId = None, data: Data = None,
) -> None:  # fmt: skip
    """Judge playbooks on past events before they act.

    It shows what they would have found and done, as if they were enforced.
    """
    one_source(events, since)
    source = Stored(since, url, key, app, data) if since else None
    if against and "-" in (events or ()):
        raise InputError("standard input cannot be read twice", "name a file, to compare two versions on it")
    options = Options(input.value, columns_of(map or ()), event)
    how = _How(
        rules, channel, duration_of("--lateness", lateness), arrival_order, own_modes, strict, options, geo,
        network_list, enriched=source is not None,
    )  # fmt: skip
    _run([how.plan(paths), *([how.plan(against)] if against else [])], events, source, shape)


@dataclass(frozen=True, slots=True)
class _How:
    """How playbooks are judged, whichever they are; events that are `enriched` need nothing added."""

    rules: list[Path] | None
    channels: list[str] | None
    lateness: int
    arrival_order: bool
    own_modes: bool
    strict: bool
    options: Options
    geo: list[Path] | None
    networks: list[str] | None
    enriched: bool

    def plan(self, paths: list[Path] | None) -> Plan:
        playbooks = list(loaded(paths, self.rules, self.channels).playbooks.values())
        if not playbooks:
            raise InputError("there is no playbook to judge", "rules alone find nothing")
        return Plan(
            playbooks=playbooks, make_windows=windows_of, lateness=self.lateness, arrival_order=self.arrival_order,
            own_modes=self.own_modes, strict=self.strict, options=self.options,
            enrich=None if self.enriched else enricher(playbooks, self.geo or (), self.networks or ()),
        )  # fmt: skip


def _run(plans: Sequence[Plan], events: Sequence[str] | None, source: Stored | None, shape: Shape) -> None:
    with ExitStack() as open_ones:
        if source is None:
            open_ones.enter_context(_no_garbage())
        runs = [open_ones.enter_context(closing(Backtest(one))) for one in plans]
        for run in runs:
            read(run, events or (), source)
        _write(runs, shape)
        if source is None:
            _leave(runs)


def _write(runs: Sequence[Backtest], shape: Shape) -> None:
    compared = Comparison(*runs) if len(runs) > 1 else None
    if shape is Shape.json:
        lines = compared.lines() if compared else _json(runs[0])
        sys.stdout.buffer.writelines(plain_json(line.decode()).encode() for line in lines)
        sys.stdout.buffer.flush()
    elif compared:
        write_comparison(compared, say)
    else:
        write_report(runs[0], say)


def _json(run: Backtest) -> Iterator[bytes]:
    yield from run.findings.lines()
    yield msgspec.json.encode({"summary": summary(run)}) + b"\n"


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Do without the garbage collector: events make no cycles, and to look for them takes a tenth of a run."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # the command ends: what it made need not be looked through once more
        if was_on:
            gc.enable()


def _leave(runs: Sequence[Backtest]) -> None:
    """Leave a run's memory to the system, which takes it back at once: one by one, its groups cost a tenth of a run.

    A cycle that the frozen collector never looks at is never taken apart, not even at the command's end.
    """
    cycle: list[object] = [runs]
    cycle.append(cycle)
