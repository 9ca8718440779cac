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

from sentinel.cli.loading import loaded
from sentinel.cli.options import Channels, Paths, Rules
from sentinel.cli.report import write_report
from sentinel.cli.terminal import complain, say
from sentinel.core.duration import parse_duration
from sentinel.core.errors import InputError
from sentinel.core.event import Event
from sentinel.engine.playbook import Playbook
from sentinel.engine.windows import Watch
from sentinel.service.backtest import Backtest, Plan, asks_enrichment
from sentinel.service.files import Format, Options
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


Events = Annotated[
    list[str],
    typer.Option(
        "--events", help="A file of events, NDJSON or CSV, also packed by gzip or zstd; `-` for stdin.", metavar="FILE"
    ),
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
    events: Events,
    paths: Paths = None,
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
) -> None:
    """Judge playbooks on past events: what they would have found and done, as if they were enforced."""
    playbooks = list(loaded(paths, rules, channel).playbooks.values())
    if not playbooks:
        raise InputError("there is no playbook to judge", "rules alone find nothing")
    format: Format = input.value
    plan = Plan(
        playbooks=playbooks, make_windows=_windows, lateness=parse_duration(lateness), arrival_order=arrival_order,
        own_modes=own_modes, strict=strict, options=Options(format, _columns(map or ()), event),
        enrich=enricher(playbooks, geo or ()),
    )  # fmt: skip
    with _no_garbage(), ExitStack() as open_ones, closing(Backtest(plan)) as run:
        streams = [open_ones.enter_context(closing(Stream(path))) for path in events]
        with _progress(streams) as progress:
            run.run(streams, progress)
        if shape is Shape.json:
            _write_json(run)
        else:
            write_report(run, say)
        _leave(run)


def _write_json(run: Backtest) -> None:
    out = sys.stdout.buffer
    for line in run.findings.lines():
        out.write(line)
    out.write(msgspec.json.encode({"summary": summary(run)}) + b"\n")
    out.flush()


def _windows(watches: Iterable[Watch], lateness: int) -> MemoryWindows:
    return MemoryWindows(watches, Limits(lateness=lateness))


def _columns(pairs: Iterable[str]) -> dict[str, str]:
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


def _leave(run: Backtest) -> None:
    """Leave a run's memory to the system, which takes it back at once: one by one, its groups cost a tenth of a run.

    A cycle that the frozen collector never looks at is never taken apart, not even at the command's end.
    """
    cycle: list[object] = [run]
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
