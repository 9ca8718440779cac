"""What do more server processes and more Valkey shards bring? Durable events a second, and whose processor they take.

    python -m bench.scale [--servers 1,2] [--shards 1,3]

Ten playbooks, batches of 500, PostgreSQL with fsync, Valkey; beside them one server on files and memory, in the same
run. A machine of two cores shows the sum of all processor times and no more: so what an event takes of a server, of
PostgreSQL and of Valkey is measured apart, and the model says how many cores of each a rate asks for.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.ingest import BATCH, PLAYBOOKS, PROBE, Target, batches, load, running
from sentinel.app import open_server
from sentinel.content import folder
from sentinel.process import be_frugal
from sentinel.settings import Settings
from tests import postgres, valkey

DURABLE = {"fsync": "on", "shared_buffers": "128MB", "autovacuum": "on", "max_connections": "100"}
FREE = 0.6  # of a core, that a plan for busy hours counts with
WANTED = (10_000, 100_000, 1_000_000)


class Spent(NamedTuple):
    """What a round came to: events a second, and microseconds of processor an event of each part."""

    rate: float
    server: float
    database: float
    state: float


def serve(home: Path, database: str, windows: str, kind: str) -> None:
    """Be one server until killed; print port and key, `-` where another has made it."""
    import uvicorn

    chosen = home / "playbooks"
    chosen.mkdir()
    for path in folder("playbooks").rglob("*.yaml"):
        if path.stem in PLAYBOOKS:
            (chosen / path.name).write_text(path.read_text())
    if kind == "probe":
        (chosen / "probe.yaml").write_text(PROBE)
    rules = (folder("rules"),)
    settings = Settings(
        data=home / "data", playbooks=(chosen,), rules=rules, rate=10**9, database=database, windows=windows
    )
    server = open_server(settings)
    first = server.first()
    be_frugal()

    class Told(uvicorn.Server):
        async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
            await super().startup()
            print(self.servers[0].sockets[0].getsockname()[1], first.key if first else "-", flush=True)

    Told(uvicorn.Config(server.front, port=0, log_level="error", access_log=False, lifespan="on")).run()


@contextmanager
def site(
    servers: int, shards: int, probe: bool = False
) -> Iterator[tuple[list[Target], postgres.Server, list[valkey.Server]]]:
    """Run so many servers over one database and so many shards."""
    with ExitStack() as over, tempfile.TemporaryDirectory() as homes:
        database = postgres.Server(**DURABLE)
        over.callback(database.end)
        states, url = _state(shards)
        for state in states:
            over.callback(state.end)
        targets: list[Target] = []
        for number in range(servers):
            home = Path(homes) / str(number)
            home.mkdir()
            given = [str(home), database.url("postgres"), url, "probe" if probe else "ten playbooks"]
            command = [sys.executable, "-m", "bench.scale", "--serve", *given]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            over.callback(process.wait)
            over.callback(process.kill)
            assert process.stdout is not None
            port, key = process.stdout.readline().split()
            targets.append(Target(process, int(port), key if key != "-" else targets[0].key))
        yield targets, database, states


def _state(shards: int) -> tuple[list[valkey.Server], str]:
    options = ("--appendonly", "yes", "--appendfsync", "always")
    if shards == 1:
        one = valkey.Server(*options)
        return [one], one.url
    cluster = valkey.Cluster()
    return cluster.servers, cluster.url


def spread(targets: Sequence[Target], made: list[bytes]) -> float:
    """Send batches to all servers at once, and return the seconds until the last answer."""
    parts = [made[number :: len(targets)] for number in range(len(targets))]
    threads = [threading.Thread(target=load, args=pair) for pair in zip(targets, parts, strict=True)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began


def round_of(
    targets: Sequence[Target], database: postgres.Server, states: Sequence[valkey.Server], made: list[bytes]
) -> Spent:
    """Send batches, and return what they took."""
    of_database = [database.process.pid] if database.process else []
    of_state = [one.process.pid for one in states if one.process]
    before = sum(one.cpu() for one in targets), used(of_database, deep=True), used(of_state)
    wall = spread(targets, made)
    after = sum(one.cpu() for one in targets), used(of_database, deep=True), used(of_state)
    events = len(made) * BATCH
    micros = [(late - early) / events * 1e6 for early, late in zip(before, after, strict=True)]
    return Spent(events / wall, *micros)


def used(pids: Sequence[int], deep: bool = False) -> float:
    """Return the seconds of processor of processes, `deep` with those they started."""
    found = 0.0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(path.parent.name) in pids:
            found += sum(map(int, fields[11:15] if deep else fields[11:13]))
        elif deep and int(fields[1]) in pids:
            found += sum(map(int, fields[11:13]))
    return found / os.sysconf("SC_CLK_TCK")


def model(one: Spent) -> None:
    """Print what rates ask for, cores busy for FREE of their time."""
    print(f"the model: cores kept {FREE:.0%} busy; a Valkey shard and a connection's backend use one core each")
    for rate in WANTED:
        cores = [rate * micros / 1e6 / FREE for micros in (one.server, one.database, one.state)]
        print(
            f"{rate:>9,} events/s: {cores[0]:7.1f} server processes, {cores[1]:7.1f} cores of PostgreSQL, "
            f"{cores[2]:6.1f} Valkey shards"
        )


def main(servers: list[int], shards: list[int], rounds: int, size: int) -> None:
    made = batches((rounds + 1) * size)
    lumps = [made[number * size : (number + 1) * size] for number in range(rounds + 1)]
    with running("ten playbooks") as alone:
        spread([alone], lumps[0])
        embedded = max(size * BATCH / spread([alone], lump) for lump in lumps[1:])
    print(f"one server on files and memory: {embedded:,.0f} events/s")
    last: Spent | None = None
    for many in servers:
        for parts in shards:
            with site(many, parts) as (targets, database, states):
                spread(targets, lumps[0])
                one = max((round_of(targets, database, states, lump) for lump in lumps[1:]), key=lambda one: one.rate)
            print(f"{many} servers, {parts} shards: {one.rate:7,.0f} events/s, {one.rate / embedded:.2f} of files")
            spent = f"{one.server:.0f} µs of servers, {one.database:.0f} of PostgreSQL, {one.state:.0f} of Valkey"
            print(f"  an event takes {spent}")
            last = one
    if last is not None:
        model(last)


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument(
        "--serve", nargs=4, metavar=("FOLDER", "DATABASE", "WINDOWS", "KIND"), help=argparse.SUPPRESS
    )
    arguments.add_argument("--servers", type=numbers, default=[1, 2])
    arguments.add_argument("--shards", type=numbers, default=[1, 3])
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--batches", type=int, default=40, help="in a round")
    given = arguments.parse_args()
    if given.serve:
        serve(Path(given.serve[0]), *given.serve[1:])
    else:
        main(given.servers, given.shards, given.rounds, given.batches)
