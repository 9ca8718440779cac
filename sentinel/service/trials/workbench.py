"""Where a draft is tried before it is a file: its mistakes, its own tests, and what it would have done.

All results are plain JSON values, so that the API and the console show the same. A draft stands in for one file; rules,
lists and the other playbooks are those in use.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from sentinel.core import moment
from sentinel.core.duration import DAY, HOUR, MINUTE, SECOND
from sentinel.core.errors import Conflict, SentinelError
from sentinel.core.event import Event
from sentinel.core.record import Filter
from sentinel.engine.playbook import Playbook
from sentinel.loader.assembly import Content
from sentinel.loader.mistakes import Mistake, PlaybookErrors
from sentinel.loader.notes import note_json, notes
from sentinel.loader.source import LARGEST
from sentinel.service.library import Library
from sentinel.service.ports import Store
from sentinel.service.trials.backtest import Backtest, MakeWindows, Plan
from sentinel.service.trials.filetests import Outcome, Runner
from sentinel.service.trials.meters import measures
from sentinel.service.trials.suggest import Asked, Suggest
from sentinel.service.trials.summary import summary
from sentinel.service.trials.swift import Reading, Swift

DRAFT = "draft.yaml"
LONGEST = 10.0  # seconds an answer may take
LONGEST_TIME = 90 * DAY
AT_ONCE = 2  # backtests of all users
SHOWN = 50  # findings
FITTING = (90.0, 99.0, 99.9, 100.0)  # percentages of groups that stay below a threshold
BARS = 60
STEPS = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY)
LEFT_OUT = ("bad_lines", "repeats", "order", "span", "events", "judged_as", "playbooks")


class Superseded(Conflict):
    """The same user asked again before the answer was there."""


class Workbench:
    """Checks, tests and backtests drafts.

    `steady` is a clock in seconds that never goes back; `add_agent` adds to an event what its user agent says.
    """

    def __init__(
        self, library: Library, store: Store, make_windows: MakeWindows, clock: Callable[[], int],
        steady: Callable[[], float], lateness: int, add_agent: Callable[[Event], None],
    ) -> None:  # fmt: skip
        self._library = library
        self._store = store
        self._make_windows = make_windows
        self._clock = clock
        self._steady = steady
        self._lateness = lateness
        self._add_agent = add_agent
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._lock = threading.Lock()
        self._newest: dict[str, object] = {}

    def cancel(self, who: str) -> None:
        """Let go of what a user asked to be judged: the draft has changed."""
        with self._lock:
            if who in self._newest:
                self._newest[who] = object()

    def check(self, text: str, file: str | None = None) -> dict[str, Any]:
        """Return every mistake of a draft, and what is in it where there are none."""
        try:
            content, name = self._content(text, file)
        except PlaybookErrors as errors:
            return {
                "ok": False,
                "mistakes": [mistake_json(one) for one in errors.mistakes],
                "notes": [],
                "playbooks": [],
                "rules": [],
            }
        return {
            "ok": True, "mistakes": [],
            "notes": [
                note_json(one) | {"file": Path(name).name} for one in notes(content) if one.place.file == name
            ],
            "playbooks": [
                {"id": one.id, "title": one.title, "mode": one.mode, "version": one.version, "tests": len(one.tests)}
                for one in _own(content, name)
            ],
            "rules": [one.id for one in content.rules.values() if one.place.file == name],
        }  # fmt: skip

    def test(self, text: str, file: str | None = None) -> dict[str, Any]:
        """Run a draft's own tests and return each one's outcome; raises PlaybookErrors for what cannot be read."""
        content, name = self._content(text, file)
        until = self._steady() + LONGEST
        found: list[Outcome] = []
        runner = Runner(self._make_windows, self._lateness, self._add_agent, content.playbooks)
        for outcome in _outcomes(content, name, runner):
            found.append(outcome)
            if self._steady() > until:
                break
        failed = sum(1 for one in found if one.faults)
        asked = sum(len(one.tests) for one in _own(content, name))
        asked += sum(len(one.tests) for one in content.rules.values() if one.place.file == name)
        return {
            "ok": not failed and len(found) == asked, "passed": len(found) - failed, "failed": failed,
            "not_run": asked - len(found), "outcomes": [_outcome(one) for one in found],
        }  # fmt: skip

    def backtest(self, app: str, who: str, text: str, since: int, file: str | None = None) -> dict[str, Any]:
        """Return what a draft's playbooks would have found and done since so many microseconds, were they enforced.

        Of one user's questions the newest is answered: it raises Superseded for those before. Raises PlaybookErrors
        for a draft with mistakes, SentinelError where there is nothing to judge.
        """
        content, name = self._content(text, file)
        playbooks = _own(content, name)
        if all(one.mode == "off" for one in playbooks):
            hint = "its mode is `off`" if playbooks else "rules alone find nothing"
            raise SentinelError("there is no playbook to judge", hint)
        if not 0 < since <= LONGEST_TIME:
            raise SentinelError(f"`since`: at most {LONGEST_TIME // DAY} days")
        now = self._clock()
        with self._turn(who) as gone:
            plan = Plan(playbooks, self._make_windows, self._lateness)
            began, until = self._steady(), self._steady() + LONGEST
            swift = Swift(self._store.events, app, now - since, now, lambda: gone() or self._steady() > until)
            with closing(Backtest(plan)) as run:
                reading = swift.judge(run)
                if gone():
                    raise Superseded("the draft changed meanwhile: the newer one is judged")
                total = self._store.events.count(app, Filter(since=now - since, until=now))
                report = _report(run, reading, total, now - since, now)
            return report | {"seconds": round(self._steady() - began, 3)}

    def suggest(self, app: str, who: str, text: str, since: int, until: int, file: str | None = None) -> dict[str, Any]:
        """Return how high each group came between two moments by what a draft's playbooks count, and what fits.

        For each metric there are thresholds by the percentage of groups that stay below, with how many would fire.
        Raises what `backtest` raises.
        """
        content, name = self._content(text, file)
        playbooks = [one for one in _own(content, name) if measures(one) and one.mode != "off"]
        if not playbooks:
            raise SentinelError("there is no threshold to suggest", "a `sequence` has none, nor what is off")
        if not until - LONGEST_TIME <= since < until:
            raise SentinelError(f"`since`: at most {LONGEST_TIME // DAY} days")
        with self._turn(who) as gone:
            began, end = self._steady(), self._steady() + LONGEST
            run = Suggest(Asked(playbooks, self._lateness))
            reading = Swift(self._store.events, app, since, until, lambda: gone() or self._steady() > end).measure(run)
            if gone():
                raise Superseded("the draft changed meanwhile: the newer one is judged")
            return {
                "from": moment.to_text(since), "to": moment.to_text(until), "read": reading.events,
                "partial": reading.partial,
                "judged_until": moment.to_text(reading.judged_until) if reading.judged_until is not None else None,
                "measures": _thresholds(run), "seconds": round(self._steady() - began, 3),
            }  # fmt: skip

    def _content(self, text: str, file: str | None) -> tuple[Content, str]:
        name = DRAFT if file is None else file
        if len(text) > LARGEST:
            raise SentinelError(f"`text`: longer than {LARGEST:,} characters")
        return self._library.with_text(name, text), name

    @contextmanager
    def _turn(self, who: str) -> Iterator[Callable[[], bool]]:
        """Wait for a turn; gives what says whether the same user has asked again."""
        mine = object()
        with self._lock:
            self._newest[who] = mine

        def gone() -> bool:
            return self._newest.get(who) is not mine

        until = self._steady() + LONGEST
        while not self._turns.acquire(timeout=0.1):
            if gone():
                raise Superseded("the draft changed meanwhile: the newer one is judged")
            if self._steady() > until:
                raise SentinelError("others are judging their drafts", "try again in a moment")
        try:
            yield gone
        finally:
            self._turns.release()
            with self._lock:
                if not gone():
                    del self._newest[who]


def _own(content: Content, name: str) -> list[Playbook]:
    return [one for one in content.playbooks.values() if one.place.file == name]


def _outcomes(content: Content, name: str, runner: Runner) -> Iterator[Outcome]:
    for rule in content.rules.values():
        if rule.place.file == name:
            yield from runner.rule(rule)
    for playbook in _own(content, name):
        yield from runner.playbook(playbook)


def mistake_json(one: Mistake) -> dict[str, Any]:
    """Return a mistake with its line and a caret under the place, as the command shows it."""
    place = one.place
    shown = str(replace(one, place=replace(place, file=Path(place.file).name)))
    return {
        "file": Path(place.file).name, "line": place.line, "column": place.column, "width": one.width,
        "message": one.message, "hint": one.hint, "shown": shown,
    }  # fmt: skip


def _thresholds(run: Suggest) -> list[dict[str, Any]]:
    """Return each metric with the thresholds that percentages of its groups stay below, each once, lowest first."""
    found = [{name: one[name] for name in one if name != "suggested"} | {"options": []} for one in run.report(100)]
    for percentile in FITTING:
        for one, asked in zip(found, run.report(percentile), strict=True):
            fits, options = asked["suggested"], one["options"]
            if fits is not None:
                same = bool(options) and options[-1]["threshold"] == fits["threshold"]
                options[len(options) - same :] = [fits]
    return found


def _outcome(one: Outcome) -> dict[str, Any]:
    return {"of": one.owner, "name": one.name, "line": one.place.line, "faults": list(one.faults)}


def _report(run: Backtest, reading: Reading, total: int, since: int, until: int) -> dict[str, Any]:
    found = summary(run)
    times: Counter[int] = Counter()
    step = next((one for one in STEPS if (until - since) // one < BARS), STEPS[-1])
    shown: list[dict[str, Any]] = []
    for line in run.findings.lines():
        one = msgspec.json.decode(line)
        times[moment.parse(one["at"]) // step * step] += 1
        shown = [*shown[-SHOWN + 1 :], one]
    return {
        "from": moment.to_text(since), "to": moment.to_text(until), "events": total, "read": reading.events,
        "partial": reading.partial,
        "judged_until": moment.to_text(reading.judged_until) if reading.judged_until is not None else None,
        "summary": {name: value for name, value in found.items() if name not in LEFT_OUT},
        "chart": {
            "step": step // SECOND,
            "counts": [[at // SECOND, times[at]] for at in range(since // step * step, until, step)],
        },
        "findings": shown[::-1],
    }  # fmt: skip
