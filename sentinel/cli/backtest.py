"""`sentinel backtest`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from sentinel.cli.client import AppId, Data, Secret, Url
from sentinel.cli.compared import write_comparison
from sentinel.cli.loading import loaded
from sentinel.cli.options import Channels, Paths, Rules
from sentinel.cli.past import Files, Since, Stored, one_source
from sentinel.cli.report import write_report
from sentinel.cli.terminal import complain, plain_json, say
from sentinel.core.duration import parse_duration
from sentinel.core.errors import InputError
from sentinel.core.event import Event
from sentinel.engine.playbook import Playbook
from sentinel.engine.windows import Watch
from sentinel.service.backtest import Backtest, Plan, asks_enrichment
from sentinel.service.compare import Comparison
from sentinel.service.files import Format, Options
from sentinel.service.past import Run
from sentinel.service.streams import Stream
from sentinel.service.summary import summary
from sentinel.windows.groups import Limits
from sentinel.windows.memory import MemoryWindows


class Shape(StrEnum):
    """How the report is written."""

    table = "table"
    json = "json"


class Input(StrEnum):
    """What the event files are."""

    auto = "auto"
    ndjson = "ndjson"
    csv = "csv"


Against = Annotated[
    list[Path] | None,
    typer.Option("--against", help="Another version, to compare with: files and folders.", metavar="PATH"),
]
Shaped = Annotated[Shape, typer.Option("--format", help="`json`: a finding a line, then the summary.")]
Arrival = Annotated[bool, typer.Option("--arrival-order", help="Keep the files' order instead of that of time.")]
Strict = Annotated[bool, typer.Option("--strict", help="End at the first line that is no event.")]
Lateness = Annotated[str, typer.Option("--lateness", help="How far behind the newest an event counts fully.")]
OwnModes = Annotated[bool, typer.Option("--own-modes", help="Judge each playbook in its own mode.")]
As = Annotated[Input, typer.Option("--input", help="What the files are, where it cannot be told from them.")]
Map = Annotated[
    list[str] | None,
    typer.Option("--map", help="The field a CSV column fills; nothing: none.", metavar="COLUMN=FIELD"),
]
Name = Annotated[str | None, typer.Option("--event", help="The name of events that have none.", metavar="NAME")]
Geo = Annotated[
    list[Path] | None, typer.Option("--geo", help="A geo database, for playbooks that ask where.", metavar="FILE")
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
    url: Url = None, key: Secret = None, app: AppId = None, data: Data = None,
) -> None:  # fmt: skip
    """Judge playbooks on past events before they act.

    Tells what they would have found and done, as if they were enforced.
    """
    one_source(events, since)
    source = Stored(since, url, key, app, data) if since else None
    if against and "-" in (events or ()):
        raise InputError("standard input cannot be read twice", "name a file, to compare two versions on it")

    def plan(wanted: list[Path] | None) -> Plan:
        playbooks = list(loaded(wanted, rules, channel).playbooks.values())
        if not playbooks:
            raise InputError("there is no playbook to judge", "rules alone find nothing")
        format: Format = input.value
        return Plan(
            playbooks=playbooks, make_windows=_windows, lateness=parse_duration(lateness), arrival_order=arrival_order,
            own_modes=own_modes, strict=strict, options=Options(format, columns_of(map or ()), event),
            enrich=None if source else enricher(playbooks, geo or ()),
        )  # fmt: skip

    plans = [plan(paths), *([plan(against)] if against else [])]
    with ExitStack() as open_ones:
        if source is None:
            open_ones.enter_context(_no_garbage())
        runs = [open_ones.enter_context(closing(Backtest(one))) for one in plans]
        for run in runs:
            read(run, events or (), source)
        _write(runs, shape)
        if source is None:
            _leave(runs)


def read(run: Run, events: Sequence[str], source: Stored | None) -> None:
    """Judge the events of files, or of a store, with a progress bar on a terminal."""
    if source is not None:
        run.run_stored(source.batches())
        return
    with ExitStack() as open_ones:
        streams = [open_ones.enter_context(closing(Stream(path))) for path in events]
        with _progress(streams) as progress:
            run.run(streams, progress)


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


def _windows(watches: Iterable[Watch], lateness: int) -> MemoryWindows:
    return MemoryWindows(watches, Limits(lateness=lateness))


def columns_of(pairs: Iterable[str]) -> dict[str, str]:
    """Return the field each CSV column fills."""
    found = {}
    for pair in pairs:
        column, equals, field = pair.partition("=")
        if not equals or not column:
            raise InputError(f"`--map {pair}` is not COLUMN=FIELD", "such as `--map mail=user.email`")
        found[column] = field
    return found


def enricher(playbooks: Iterable[Playbook], geo: Sequence[Path]) -> Callable[[Event], None] | None:
    """Return what adds to events the fields that playbooks ask for and the files may lack."""
    if not geo and not any(map(asks_enrichment, playbooks)):
        return None
    from sentinel.enrich.enricher import build

    built = build(geo)
    for problem in built.problems():
        complain(problem)
    return built.enrich


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


@contextmanager
def _progress(streams: Sequence[Stream]) -> Iterator[Callable[[], None]]:
    """Show how far reading has come, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading events", total=sum(stream.size for stream in streams))
        yield lambda: bar.update(task, completed=sum(stream.position for stream in streams))
