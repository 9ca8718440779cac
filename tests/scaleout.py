"""Several real servers over one real PostgreSQL and one real Valkey, and an embedded one to compare them with."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

from sentinel.content import folder
from tests import postgres, valkey
from tests.api.served import Answer, Client, wait_for
from tests.process import Forked

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
GEO = ("--geo", str(folder("geo") / "demo-city.mmdb"))


class Site:
    """One database, one Valkey that writes down what it answers, and servers over both."""

    def __init__(self, home: Path, *flags: str, state: tuple[str, ...] = DURABLE) -> None:
        self.home = home
        self.database = postgres.Server()
        self.state = valkey.Server(*state)
        self.flags = flags
        self.servers: dict[str, Any] = {}

    def begin(self, *names: str) -> list[Any]:
        """Start servers of these names, all at once."""
        failed: list[BaseException] = []
        threads = [threading.Thread(target=self._begin, args=(name, failed)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]
        return [self.servers[name] for name in names]

    def _begin(self, name: str, failed: list[BaseException]) -> None:
        try:
            place = self.home / name
            place.mkdir(exist_ok=True)
            shared = ("--database", self.database.url("postgres"), "--windows", self.state.url)
            self.servers[name] = Forked(place, *shared, *self.flags)
        except BaseException as error:  # raised again by whoever started the threads
            failed.append(error)

    @property
    def key(self) -> str:
        """The first key, which one of the servers was told."""
        (told,) = (one for one in self.servers.values() if (one.data / "first-start.txt").exists())
        return str(told.first_key)

    def kill(self, name: str) -> None:
        """Kill a server."""
        self.servers[name].end(signal.SIGKILL)

    def end(self) -> None:
        """End everything."""
        for server in self.servers.values():
            server.end(signal.SIGKILL)
        self.state.end()
        self.database.end()


class Turns:
    """Sends each batch to the next server."""

    def __init__(self, clients: Iterable[Client]) -> None:
        self._clients: Iterator[Client] = cycle(clients)

    def post(self, batch: list[dict[str, Any]]) -> Answer:
        """Send a batch, again where it is to be sent again, and see that all of it was taken."""
        client = next(self._clients)
        answer = wait_for(lambda: (one := client.post("/v1/events", batch)).status != 503 and one)
        assert isinstance(answer, Answer)
        assert answer.status == 200 and answer.json["rejected"] == [], answer.body
        return answer


def everything(server: Any, what: str) -> list[Mapping[str, Any]]:
    """Return all rows of one of the API's lists, of the app `default`."""
    client, rows, cursor = server.client.using(server.local["token"]), list[Mapping[str, Any]](), ""
    while cursor is not None:
        page = client.get(f"/v1/{what}?limit=200{cursor and '&cursor=' + cursor}").json
        rows += page["items"]
        cursor = page["cursor"]
    return rows
