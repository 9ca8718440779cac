"""A progress bar on standard error, for commands that read long files on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from sentinel.cli.terminal import plain
from sentinel.service.eventfiles.streams import Stream


@contextmanager
def following(stream: Stream) -> Iterator[Callable[[], object]]:
    """Show how far a file is read; call what is given whenever it may have moved."""
    columns = TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(str(Text(plain(stream.name))), total=stream.size)
        yield lambda: bar.update(task, completed=stream.position)
