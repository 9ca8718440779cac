"""A progress bar on standard error, for commands that read long files on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sentinel.cli.terminal import plain
from sentinel.service.eventfiles.streams import Stream


@contextmanager
def following(streams: Sequence[Stream]) -> Iterator[Callable[[], None]]:
    """Show how far files are read, on a terminal only; call what is given whenever that may have changed."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    what = plain(streams[0].name) if len(streams) == 1 else f"{len(streams)} files"
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=sum(stream.size for stream in streams))
        yield lambda: bar.update(task, completed=sum(stream.position for stream in streams))
