"""Run the tests that rules and playbooks carry: the real engine, decisions and verdicts, on a virtual clock.

A playbook's test runs that playbook, and those it names, as if the mode of each were `enforce` for every group. How the
outcome is printed is up to the command.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from itertools import chain, zip_longest
from operator import attrgetter
from typing import NamedTuple

from sentinel.core import moment
from sentinel.core.decision import Decision, Delta, Subject
from sentinel.core.decisions import Decisions
from sentinel.core.duration import MINUTE, SECOND, format_duration
from sentinel.core.event import Event, read
from sentinel.core.finding import Effect, Finding
from sentinel.core.repeats import Identity, identity
from sentinel.engine.emit import emitted
from sentinel.engine.engine import Engine
from sentinel.engine.judge import Judge, prepare
from sentinel.engine.memory import Memory
from sentinel.engine.playbook import Expectation, Metric, Place, Playbook, PlaybookTest, Request, Rule, RuleTest
from sentinel.engine.windows import Detector, Steps, Threshold, Watch, Windows
from sentinel.loader.testcase import copy_of
from sentinel.service.marks import matter
from sentinel.service.trials.replay import EVER, Answer, Replay, Retraction, nothing
from sentinel.service.trials.uncounted import uncounted

START = moment.parse("2026-01-05T00:00:00Z")  # a Monday
LATENESS = 10 * MINUTE
SHUFFLES = 20
AT_LOGINS = ", which only a login gets: failed logins may count, and their users are only claimed"

MakeWindows = Callable[[Iterable[Watch], int], Windows]


class Arrival(NamedTuple):
    """One event of a test and when it arrives, in microseconds since 1970."""

    received: int
    event: Event


@dataclass(frozen=True, slots=True)
class Outcome:
    """One test and what was wrong, line by line: nothing if it passed."""

    owner: str
    name: str
    place: Place
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs tests. `make_windows(watches, lateness)` gives fresh windows; times in microseconds.

    `enrich` adds to an event what a server reads from the event alone. `playbooks` are those, by id, that tests may
    run with.
    """

    make_windows: MakeWindows
    lateness: int = LATENESS
    enrich: Callable[[Event], object] = nothing
    playbooks: Mapping[str, Playbook] = field(default_factory=dict)

    def rule(self, rule: Rule, wanted: str = "") -> Iterator[Outcome]:
        """Give the outcome of each test of a rule."""
        for number, test in enumerate(rule.tests, 1):
            name = f"event {number}"
            if _is_wanted(wanted, rule.id, name):
                yield Outcome(rule.id, name, test.place, tuple(self._judge_rule(rule, test)))

    def playbook(self, playbook: Playbook, wanted: str = "") -> Iterator[Outcome]:
        """Give the outcome of each test of a playbook."""
        for test in playbook.tests:
            if _is_wanted(wanted, playbook.id, test.name):
                yield Outcome(playbook.id, test.name, test.place, tuple(self._run(playbook, test)))

    def shuffled(self, playbook: Playbook, seeds: Sequence[int], wanted: str = "") -> Iterator[Outcome]:
        """Give the outcome of each test whose events arrive late and repeated: the same groups must have findings.

        Each seed is one order, in which no event comes more than the lateness behind a newer one. Left out are tests in
        which the playbook asks for labels, or counts events, that one of those it runs with puts on or makes: who comes
        first decides.
        """
        judge = prepare(playbook)
        if not _keeps_groups(judge.watch.detector):
            return
        for test in playbook.tests:
            company = self._company(playbook, test)
            if _is_wanted(wanted, playbook.id, test.name) and not matter(company) and not _fed(judge, company):
                faults = tuple(self._shuffle(playbook, test, seeds))
                yield Outcome(playbook.id, f"{test.name} (shuffled {len(seeds)} times)", test.place, faults)

    def _judge_rule(self, rule: Rule, test: RuleTest) -> Iterator[str]:
        timed = {"id": "test", "timestamp": moment.to_text(START)} | dict(test.event)
        event = read(timed, enriched=True, reserved=True)  # of no arrival, which would cut what is later than it
        self.enrich(event)
        alone = Playbook(
            id=rule.id, title=rule.title, mode="monitor", severity="info", rule=rule, events=(), where=None,
            group_by=(), window=MINUTE, when=(Metric("count", 1),), cooldown=MINUTE, place=rule.place, version="",
            trust="any",
        )  # fmt: skip
        matched = Engine([alone]).match([event])
        yield from (error for _, error in matched.errors)
        if bool(matched.hits) != test.matches:
            yield "the rule matches this event and should not" if matched.hits else "the rule does not match this event"

    def _shuffle(self, playbook: Playbook, test: PlaybookTest, seeds: Sequence[int]) -> Iterator[str]:
        company = self._company(playbook, test)
        in_order = self._groups(company, sorted(_arrivals(test), key=lambda one: (one.event.at, one.event.id)))
        for seed in seeds:
            found = self._groups(company, _late(list(_arrivals(test)), self.lateness, random.Random(seed)))  # noqa: S311
            if found.keys() != in_order.keys():
                yield f"seed {seed}: {_difference(in_order, found)}"

    def _groups(self, company: Sequence[Playbook], arrivals: Iterable[Arrival]) -> dict[str, str]:
        """Return the groups of the first that have findings: what is shown of each, by key."""
        trial = Trial(company, self)
        for arrival in arrivals:
            trial.deliver(arrival)
        trial.end()
        own = company[0].id
        return {finding.key: _group(finding.group) for finding in trial.findings if finding.playbook == own}

    def _run(self, playbook: Playbook, test: PlaybookTest) -> Iterator[str]:
        """Give what is wrong: verdicts as their requests come, then findings."""
        missing = [id for id in test.beside if id not in self.playbooks]
        if missing:
            yield from (f"it runs with `{id}`, which these paths do not hold: name its file, too" for id in missing)
            return
        trial = Trial(self._company(playbook, test), self)
        requests, arrivals = list(test.requests), list(_arrivals(test))
        for arrival in arrivals:
            while requests and START + requests[0].at < arrival.received:
                yield from trial.ask(requests.pop(0))
            trial.deliver(arrival)
        for request in requests:
            yield from trial.ask(request)
        trial.end()
        for id, said in trial.faults:
            yield f"{'the playbook' if id == playbook.id else f'`{id}`'} fails: {said}"
        own = playbook.id
        expected = [replace(one, playbook=one.playbook or own) for one in test.expect]
        yield from _compare(expected, trial.findings, own)
        if _number(trial.findings, own) < _number(expected, own):
            events = [arrival.event for arrival in arrivals]
            yield from uncounted(playbook, events, START, alone=not test.beside)

    def _company(self, playbook: Playbook, test: PlaybookTest) -> list[Playbook]:
        """Return a playbook, and those that one of its tests runs with."""
        return [playbook, *(self.playbooks[id] for id in test.beside if id in self.playbooks)]


class Trial:
    """Playbooks on a virtual clock: events arrive, requests are judged by the decisions made so far."""

    def __init__(self, company: Iterable[Playbook], runner: Runner) -> None:
        engine = Engine([replace(one, mode="enforce", rollout=None) for one in company], runner.lateness)
        self._enrich = runner.enrich
        self._replay = Replay(engine, runner.make_windows(engine.watches(), runner.lateness), Memory())
        self._decisions = Decisions()
        self._found: dict[str, Finding] = {}

    @property
    def findings(self) -> list[Finding]:
        """What was found and not taken back, in the order of time."""
        return sorted(self._found.values(), key=attrgetter("at"))

    @property
    def faults(self) -> list[tuple[str, str]]:
        """What playbooks raised: id and text."""
        return list(self._replay.errors)

    def deliver(self, arrival: Arrival) -> None:
        """Let an event arrive."""
        self._enrich(arrival.event)
        self._note(self._replay.feed((arrival.event,), arrival.received))

    def end(self) -> None:
        """Let all time pass."""
        self._note(self._replay.wait(EVER))

    def ask(self, request: Request) -> Iterator[str]:
        """Give what is wrong with the verdict on a request."""
        now = START + request.at
        self._note(self._replay.wait(now))
        users = (request.user,) if request.user else ()
        subject = Subject(users, request.ip, request.device, request.login)
        verdict = self._decisions.match(subject, now).kind
        if verdict != request.verdict:
            who = ", ".join(filter(None, (request.user, request.ip, request.device)))
            at_login = self._decisions.match(subject._replace(login=True), now).kind
            yield (
                f"{request.place}: at {format_duration(request.at)} the request of {who} gets `{verdict}`, "
                f"not `{request.verdict}`" + (AT_LOGINS if at_login == request.verdict else "")
            )

    def _note(self, answers: Iterable[Answer]) -> None:
        for answer in answers:
            if isinstance(answer, Retraction):
                lifted = tuple(one.id for one in _made(self._found.pop(answer.finding)))
                self._change(Delta(self._decisions.revision + 1, removed=lifted))
            else:
                self._found[answer.id] = answer
                self._change(Delta(self._decisions.revision + 1, _made(answer)))

    def _change(self, delta: Delta) -> None:
        self._decisions = self._decisions.apply(delta)


def _made(finding: Finding) -> tuple[Decision, ...]:
    """Return the decisions that a finding leads to."""
    return tuple(one for effect in finding.effects if effect.held is None for one in effect.decisions)


def _is_wanted(wanted: str, owner: str, name: str) -> bool:
    return wanted.lower() in f"{owner}: {name}".lower()


def _arrivals(test: PlaybookTest) -> Iterator[Arrival]:
    """Give a test's events in the order they arrive: those of one moment by time and as they are written.

    What comes again with the id it had on that day is left out, as a server's store does.
    """
    found = []
    number = 0
    for delivery in test.events:
        late = 0 if delivery.received is None else delivery.received - delivery.at
        for copy in range(delivery.repeat):
            at = START + delivery.at + copy * delivery.every
            raw = {"id": f"e{number:08}", "timestamp": moment.to_text(at)} | copy_of(delivery.event, copy)
            found.append(Arrival(at + late, read(raw, received=at + late, enriched=True, reserved=True)))
            number += 1
    first: dict[Identity, Arrival] = {}
    for one in sorted(found, key=lambda one: (one.received, one.event.at)):
        first.setdefault(identity(one.event.sent, one.event.id), one)
    return iter(first.values())


def _late(arrivals: Sequence[Arrival], lateness: int, dice: random.Random) -> list[Arrival]:
    """Return the arrivals late by up to the lateness, and a few of them twice."""
    twice = [one for one in arrivals if dice.random() < 0.1]
    late = [Arrival(one.event.at + dice.randrange(lateness), one.event) for one in chain(arrivals, twice)]
    return sorted(late, key=lambda one: one.received)


def _keeps_groups(detector: Detector) -> bool:
    """Say whether the groups that have findings are the same for every order of arrival."""
    if isinstance(detector, Threshold):
        return not detector.on_arrival
    return isinstance(detector, Steps) and not detector.until


def _fed(judge: Judge, company: Iterable[Playbook]) -> bool:
    """Say whether a playbook may count events that one of these makes."""
    return any(judge.names(action.event) for one in company for action in one.actions if action.event is not None)


def _number(some: Iterable[Expectation | Finding], id: str) -> int:
    return sum(1 for one in some if one.playbook == id)


def _difference(wanted: dict[str, str], found: dict[str, str]) -> str:
    lost = [f"no finding for {group}" for key, group in wanted.items() if key not in found]
    return ", ".join(lost + [f"a finding for {group}" for key, group in found.items() if key not in wanted])


def _compare(expected: Sequence[Expectation], found: Sequence[Finding], own: str) -> Iterator[str]:
    """Give the difference between what a test expects and what was found, nothing where there is none.

    Findings of others than its own playbook are told with whose they are.
    """
    lines = list(_lines(expected, found, own))
    if any(not line.startswith(" ") for line in lines):
        yield "what was expected (-) is not what was found (+):"
        yield from lines


def _lines(expected: Sequence[Expectation], found: Sequence[Finding], own: str) -> Iterator[str]:
    left = [(one.at, one.playbook, _group(one.group)) for one in expected]
    right = [(_after(one), one.playbook, _group(one.group)) for one in found]
    for kind, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        for wanted, got in zip_longest(expected[a:b], found[c:d]):
            if kind == "equal" and _acts_as(got, wanted):
                yield f"  {_expected(wanted, own)}"
                continue
            if wanted is not None:
                yield f"- {_expected(wanted, own)} (line {wanted.place.line})"
            if got is not None:
                yield f"+ {_found(got, own)}"


def _after(finding: Finding) -> int:
    """Return how long after the start a finding is anchored, in whole seconds as tests are: made events lie between."""
    return (finding.at - START) // SECOND * SECOND


def _acts_as(finding: Finding, wanted: Expectation) -> bool:
    """Say whether every action that is named was done to its target."""
    done = {(effect.kind, _whom(effect)) for effect in finding.effects if effect.held is None}
    return done.issuperset((kind, target) for kind, targets in wanted.actions.items() for target in targets)


def _whom(effect: Effect) -> str | None:
    return effect.target or effect.channel or emitted(effect)


def _expected(wanted: Expectation, own: str) -> str:
    actions = "".join(f", {kind} {' '.join(targets)}" for kind, targets in wanted.actions.items())
    return f"at {format_duration(wanted.at)}: {_whose(wanted.playbook, own)}{_group(wanted.group)}{actions}"


def _found(finding: Finding, own: str) -> str:
    actions = "".join(
        f", {one.kind} {_whom(one)}" + (f" held back ({one.held})" if one.held else "") for one in finding.effects
    )
    return f"at {format_duration(_after(finding))}: {_whose(finding.playbook, own)}{_group(finding.group)}{actions}"


def _whose(playbook: str | None, own: str) -> str:
    return "" if playbook == own else f"{playbook}: "


def _group(group: Mapping[str, object]) -> str:
    return ", ".join(f"{field} {_text(value)}" for field, value in sorted(group.items())) or "everybody"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
