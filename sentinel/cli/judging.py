"""What the commands that judge past events share: how files are read, and what their events lack."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sentinel import settings
from sentinel.cli.past import Stored
from sentinel.cli.progress import following
from sentinel.cli.terminal import complain
from sentinel.core.errors import InputError
from sentinel.core.event import Event
from sentinel.engine.playbook import Playbook
from sentinel.service import lists
from sentinel.service.eventfiles.streams import Stream
from sentinel.service.trials.backtest import asks_enrichment
from sentinel.service.trials.past import Run


class Shape(StrEnum):
    """How the report is written."""

    table = "table"
    json = "json"


Shaped = Annotated[Shape, typer.Option("--format", help="`json` prints one finding a line, then the summary.")]
Lateness = Annotated[
    str, typer.Option("--lateness", help="How far behind the newest an event may be and still count in full.")
]
Geo = Annotated[
    list[Path] | None,
    typer.Option("--geo", help="A geo database to use instead of those of the settings.", metavar="FILE"),
]
Networks = Annotated[
    list[str] | None,
    typer.Option(
        "--network-list",
        help="A list of networks to use instead of those of the settings, such as `tor=exits.txt`.",
        metavar="KIND=FILE",
    ),
]


def read(run: Run, events: Sequence[str], source: Stored | None) -> None:
    """Judge the events of files, or of a store, with a progress bar on a terminal."""
    if source is not None:
        source.judge(run)
        return
    with ExitStack() as open_ones:
        streams = [open_ones.enter_context(closing(Stream(path))) for path in events]
        with following(streams) as progress:
            run.run(streams, progress)


def enricher(
    playbooks: Iterable[Playbook], geo: Sequence[Path], networks: Sequence[str] = ()
) -> Callable[[Event], None] | None:
    """Return what adds to events the fields that playbooks ask for and the files may lack, as a server would.

    Databases and lists are those of the settings where none are given.
    """
    if not geo and not networks and not any(map(asks_enrichment, playbooks)):
        return None
    from sentinel.enrich.enricher import build

    known = settings.read()
    files, _ = lists.files(known.data, _named(networks) if networks else known.network_lists or {})
    built = build(geo or known.geo, files)
    for problem in built.problems():
        complain(problem)
    return built.enrich


def _named(networks: Iterable[str]) -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = {}
    for pair in networks:
        kind, _, place = pair.partition("=")
        if not kind or not place:
            raise InputError(f"`--network-list {pair}` is not KIND=FILE", "such as `--network-list tor=exits.txt`")
        found.setdefault(kind, []).append(place)
    return found
