"""The waits of `absent` in Redis or Valkey. One that is over is leased to one process at a time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import msgspec

from sentinel.engine.windows import Absent, Hit, Opening
from sentinel.windows.asked import Asked, opening_of
from sentinel.windows.link import Command, Link, script
from sentinel.windows.scripted import read_text, recalled, text

AT_ONCE = 1_000  # waits taken in one call
LEASE = 120_000_000  # microseconds for which what is due is one process's own
KEPT = 30.0  # seconds after which what was due is on disk, or was put back


class Waits:
    """The waits of one app's watches, `most` of each."""

    def __init__(self, link: Link, most: int) -> None:
        self._link = link
        self._most = most
        self._claimed: list[tuple[float, str, bytes]] = []  # when, the watch's waits, name of the wait

    def note(self, begun: Sequence[tuple[int, Asked, Hit]]) -> set[int]:
        """Note the waits that hits at some places begin; return the places of those there is no room for."""
        full = self._link.call([self._add(asked, hit) for _, asked, hit in begun])
        return {place for (place, _, _), answer in zip(begun, full, strict=True) if answer}

    def due(self, waiting: Sequence[Asked], watermark: int) -> list[Opening]:
        """Return what opens because nothing came in time. Events before `watermark` are not waited for any more.

        What is returned is leased to this process for LEASE microseconds; if it dies, another gets it then.
        """
        self._let_go()
        if not waiting:
            return []
        names = self._link.call(
            [script("waits", asked.waits, "claim", watermark, AT_ONCE, LEASE) for asked in waiting]
        )  # fmt: skip
        return [opening for asked, due in zip(waiting, names, strict=True) for opening in self._over(asked, due)]

    def put_back(self, found: Iterable[tuple[Asked, Hit]]) -> None:
        """Take back the waits of hits that `due` gave, since it could not be kept: they are due again."""
        commands = []
        for asked, hit in found:
            commands.append(_ask(asked, "back", asked.keys.of(hit.key), [(hit.at, text(hit.id))]))
            commands.append(self._add(asked, hit))
            self._claimed = [one for one in self._claimed if one[1:] != (asked.waits, _name(asked, hit))]
        if commands:
            self._link.call(commands)

    def _add(self, asked: Asked, hit: Hit) -> Command:
        detector = asked.watch.detector
        assert isinstance(detector, Absent)
        return script("waits", asked.waits, "add", self._most, hit.at + detector.within, _name(asked, hit))

    def _over(self, asked: Asked, names: Sequence[bytes]) -> list[Opening]:
        """Return the findings of waits that may be over, oldest first."""
        groups: dict[str, list[tuple[int, bytes, bytes]]] = {}
        for at, id, key, name in sorted(_named(name) for name in names):
            groups.setdefault(key, []).append((at, id, name))
        commands = [_ask(asked, "due", key, [(at, id) for at, id, _ in waits]) for key, waits in groups.items()]
        found = []
        for waits, answer in zip(groups.values(), self._link.call(commands) if commands else (), strict=True):
            over = {one[0]: one for one in answer or () if isinstance(one, list)}
            for place, (at, id, name) in enumerate(waits):
                self._claimed.append((time.monotonic() if place in over else -KEPT, asked.waits, name))
                if place in over:
                    hit = recalled(asked.watch.id, at, read_text(id), over[place][6][0])
                    found.append(opening_of(asked, hit, over[place])._replace(events=()))
        return sorted(found, key=lambda one: (one.at, one.id, one.hit.key))

    def _let_go(self) -> None:
        """Remove the waits claimed KEPT seconds ago: their findings are on disk by now."""
        edge = time.monotonic() - KEPT
        over = [(key, name) for since, key, name in self._claimed if since <= edge]
        self._claimed = [one for one in self._claimed if one[0] > edge]
        if over:
            self._link.later(script("waits", key, "done", name) for key, name in over)


def _ask(asked: Asked, what: str, key: str, waits: Iterable[tuple[int, bytes]]) -> Command:
    arguments = [part for wait in waits for part in wait]
    return script("absent", key, *asked.scripted.arguments(False, ""), what, *arguments)


def _name(asked: Asked, hit: Hit) -> bytes:
    return msgspec.msgpack.encode([asked.keys.of(hit.key), hit.at, text(hit.id)])


def _named(name: bytes) -> tuple[int, bytes, str, bytes]:
    """Return time and id of a wait, its group's key, and its name."""
    key, at, id = msgspec.msgpack.decode(name)
    return at, id, key, name
