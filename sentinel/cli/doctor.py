"""`sentinel doctor`: what would go wrong with a server, checked before it starts or while it runs."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from sentinel import settings
from sentinel.actions.channel import channels
from sentinel.cli.client import Unreachable, connect
from sentinel.cli.doctor_checks import Remark, exposure, machine, open_secrets, present, reached, refused, told, used
from sentinel.cli.options import AsFormat, Config, Format
from sentinel.cli.terminal import many, say, say_json
from sentinel.core.errors import SentinelError
from sentinel.enrich.enricher import build
from sentinel.enrich.network import NetworkLists
from sentinel.loader.content import load
from sentinel.local import LOCAL, listen
from sentinel.service.lists import files
from sentinel.settings import Settings, SettingsError
from sentinel.store.embedded.state import look as look_at
from sentinel.store.folder import held, refuse_anothers

LITTLE = 1 << 30  # bytes of free disk


def doctor(
    config: Config = None,
    data: Annotated[
        str | None, typer.Option("--data", help="The data folder; by default that of the settings.", metavar="FOLDER")
    ] = None,
    format: AsFormat = Format.text,
) -> int:
    """Check the settings, the data folder, the playbooks and the running server."""
    flags = {name: value for name, value in {"config": config, "data": data}.items() if value is not None}
    try:
        found = settings.read(flags)
    except SettingsError as error:
        return _tell((Remark("bad", problem) for problem in error.problems), format)
    file = Path(settings.named(flags) or settings.FILE)
    return _tell(chain(open_secrets(found, file), *(check(found) for check in CHECKS)), format)


def _tell(remarks: Iterator[Remark], format: Format) -> int:
    """Write what was found; 1 where anything is bad."""
    bad = 0
    for remark in remarks:
        if format is Format.json:
            say_json(remark._asdict())
        else:
            say(f"{remark.state:4}  {remark.text}")
        bad += remark.state == "bad"
    return 1 if bad else 0


def _folder(found: Settings) -> Iterator[Remark]:
    folder = found.data
    place = next(one for one in (folder, *folder.absolute().parents) if present(one))
    if not place.is_dir():
        yield Remark("bad", f"the data folder `{folder}` cannot be: `{place}` is a file (set `data`)")
        return
    disk = os.statvfs(place)
    if disk.f_flag & os.ST_RDONLY:
        yield Remark("bad", f"`{folder}` lies on a disk that can only be read (mount it otherwise, or set `data`)")
        return
    if not os.access(place, os.W_OK | os.X_OK):
        yield Remark("bad", f"the data folder `{folder}` cannot be written (change its owner, or set `data`)")
        return
    yield Remark("good", f"the data folder `{folder}` {'is there' if folder.exists() else 'will be made'}")
    if folder.exists():
        yield from _owned(folder, files=found.database is None)
    if disk.f_files and not disk.f_favail:
        yield Remark("bad", f"no further file can be made where `{folder}` lies (remove some, or set `data`)")
    free = shutil.disk_usage(place).free
    room = f"{free / (1 << 30):.1f} GiB" if free >= 1 << 30 else f"{free / (1 << 20):.0f} MiB"
    hint = " (make room: events are refused once it is full)" if free < LITTLE else ""
    yield Remark("bad" if hint else "good", f"{room} free where `{folder}` lies{hint}")


def _owned(folder: Path, files: bool) -> Iterator[Remark]:
    found = folder.stat()
    try:
        if files and not held(folder):
            refuse_anothers(folder)
            look_at(folder)
    except SentinelError as error:
        yield Remark("bad", str(error))
    except OSError as error:
        yield Remark("bad", f"`{folder}` cannot be looked into: {error.strerror}")
    if found.st_mode & 0o077:
        yield Remark("bad", f"others may look into `{folder}` (run `chmod 700 {folder}`)")
    if found.st_uid != os.geteuid():  # this is root, who may write everywhere
        text = f"`{folder}` is another user's, who could not read what a server of this one writes there"
        yield Remark("note", f"{text} (run the server, and this, as that user)")


def _database(found: Settings) -> Iterator[Remark]:
    if found.database is None:
        return
    try:
        from sentinel.store.postgres.state import look
    except ImportError as error:
        yield Remark("bad", f"`database`: {error} (pip install 'sentinel-playbooks[server,postgres]')")
        return
    try:
        state = look(found.database)
    except SentinelError as error:
        yield Remark("bad", str(error))
        return
    yield Remark("good", f"{state.where} is PostgreSQL {state.version}, {state.tables}")
    yield from (Remark("bad", problem) for problem in state.problems)


def _windows(found: Settings) -> Iterator[Remark]:
    if found.windows == "memory":
        return
    try:
        from sentinel.windows.link import open_link
        from sentinel.windows.room import FULL, filled
    except ImportError as error:
        yield Remark("bad", f"`windows`: {error} (pip install 'sentinel-playbooks[redis]')")
        return
    try:
        link = open_link(found.windows)
        full = filled(link)
        link.close()
    except SentinelError as error:
        yield Remark("bad", str(error))
        return
    if full >= FULL:
        text = f"Redis or Valkey is {full:.0%} full: new groups are not counted, and events are refused in the end"
        yield Remark("bad", f"{text} (raise `maxmemory`)")
    yield Remark("good", "Redis or Valkey takes windows, and lets none of them go")
    if link.forgetful:
        hint = "set `appendfsync always` with `appendonly yes`, or `?replicas=1`"
        yield Remark("note", f"a Redis or Valkey that is killed forgets its last moments ({hint})")


def _content(found: Settings) -> Iterator[Remark]:
    try:
        known = channels(found.channels)
        content = load(found.playbooks, rules=found.rules, channels=known)
    except SentinelError as error:
        yield from (Remark("bad", line) for line in str(error).splitlines() if line)
        return
    enforcing = sum(one.mode == "enforce" for one in content.playbooks.values())
    yield Remark("good", f"{len(content.playbooks)} playbooks, {enforcing} of them enforce")
    yield from told(found, iter(content.playbooks.values()), time.time_ns() // 1000)


def _geo(found: Settings) -> Iterator[Remark]:
    if not found.geo:
        yield Remark("note", "no geo databases: `geo.*` is unknown to every condition (set `geo`)")
        return
    problems = build(found.geo).problems()
    yield from (Remark("bad", problem) for problem in problems)
    if not problems:
        yield Remark("good", many(len(found.geo), "geo database"))


def _lists(found: Settings) -> Iterator[Remark]:
    if not found.network_lists:
        text = "no lists of networks: `network.hosting` and `network.anonymous` are unknown to every condition"
        yield Remark("note", f"{text} (set `network_lists`)")
        return
    known, copies = files(found.data, found.network_lists)
    waiting = {copy.path: copy for copy in copies if not present(copy.path)}
    for copy in waiting.values():
        why = refused(found, copy.url)
        text = f"the list from `{copy.host}` was not downloaded yet"
        yield Remark("bad", f"{text}: {why}") if why else Remark("note", text)
    there = {kind: [path for path in paths if path not in waiting] for kind, paths in known.items()}
    try:
        problems = NetworkLists(there).problems()
    except SentinelError as error:
        problems = [str(error)]
    yield from (Remark("bad", problem) for problem in problems)
    if not problems:
        yield Remark("good", f"{many(sum(map(len, there.values())), 'list')} of networks")


def _server(found: Settings) -> Iterator[Remark]:
    try:
        client = connect(None, None, None, found.data)
        ready = client.ask("GET", "/readyz")
    except Unreachable as error:
        if present(found.data / LOCAL):
            yield Remark("bad", str(error))
        else:
            yield from _port(found)
        return
    except SentinelError as error:
        yield Remark("bad", f"the running server: {error}")
        return
    why = f": {ready['detail']}" if ready.get("detail") else ""
    yield Remark("good" if ready["status"] == "ok" else "bad", f"the running server says {ready['status']}{why}")
    yield from (Remark("note", warning) for warning in ready["warnings"])
    yield from used(client, time.time_ns() // 1000)


def _port(found: Settings) -> Iterator[Remark]:
    try:
        listen(found.host, found.port).close()
        yield Remark("good", f"no server is running; `{found.host}:{found.port}` is free")
    except OSError as error:
        hint = "set `port`" if error.errno == errno.EADDRINUSE else "set `host`"
        if error.errno == errno.EACCES:
            hint = "set `port` to one from 1024 on, and let a proxy have this one"
        yield Remark("bad", f"`{found.host}:{found.port}` cannot be listened at: {error.strerror} ({hint})")


CHECKS: tuple[Callable[[Settings], Iterator[Remark]], ...] = (
    _folder, _database, _windows, _content, reached, _geo, _lists, exposure, machine, _server,
)  # fmt: skip
