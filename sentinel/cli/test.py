"""`sentinel test`."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from xml.etree import ElementTree

import typer

from sentinel.cli.loading import loaded, with_company, within
from sentinel.cli.options import Channels, Paths, Rules
from sentinel.cli.terminal import complain, plain, say
from sentinel.core.errors import InputError
from sentinel.enrich import agent
from sentinel.loader.assembly import Content
from sentinel.service.trials.filetests import SHUFFLES, Outcome, Runner
from sentinel.service.trials.mutants import mutants, unnoticed
from sentinel.windows.memory import windows_of

Junit = Annotated[
    Path | None, typer.Option("--junit", help="Also write the outcomes to this file, as JUnit XML.", metavar="FILE")
]
Shuffle = Annotated[
    bool, typer.Option("--shuffle", help="Also deliver events late and twice: the same groups must have findings.")
]
Seed = Annotated[int | None, typer.Option("--seed", help="Shuffle in one order only, given by this seed.")]
Mutate = Annotated[
    bool, typer.Option("--mutate", help="Change each playbook a little, and report each change that no test notices.")
]
Wanted = Annotated[
    str,
    typer.Option("-k", help="Only run tests whose name, rule or playbook contains this text.", metavar="TEXT"),
]


def test(
    paths: Paths = None,
    rules: Rules = None,
    channel: Channels = None,
    junit: Junit = None,
    shuffle: Shuffle = False,
    seed: Seed = None,
    mutate: Mutate = False,
    wanted: Wanted = "",
) -> int:
    """Run the tests inside rules and playbooks: one line for each test, exit code 1 if one fails.

    The tests of a rule run only if its file is among PATH, or if no PATH is given.
    """
    known = with_company(loaded(paths, rules, channel), paths, rules, channel)
    content, runner = within(known, paths), Runner(windows_of, enrich=agent.add, playbooks=known.playbooks)
    seeds = _seeds(shuffle, seed)
    outcomes = []
    for outcome in _outcomes(runner, content, seeds, wanted):
        outcomes.append(outcome)
        _show(outcome)
    if seeds:
        say(f"shuffled with the seeds {seeds[0]} to {seeds[-1]} (--seed repeats one)")
    failed = sum(1 for outcome in outcomes if outcome.faults)
    say(f"{len(outcomes) - failed} passed, {failed} failed")
    survivors = _mutate(runner, content) if mutate and not failed else 0
    if junit is not None:
        _write_junit(junit, outcomes)
    if not outcomes:
        none = "there are no tests (write some below `tests:` in the file)"
        complain(f"there is no test that holds `{wanted}`" if wanted else none)
    return 1 if failed or survivors or not outcomes else 0


def _seeds(shuffle: bool, seed: int | None) -> range:
    if seed is not None:
        return range(seed, seed + 1)
    first = random.randrange(1_000_000) if shuffle else 0  # noqa: S311
    return range(first, first + SHUFFLES) if shuffle else range(0)


def _outcomes(runner: Runner, content: Content, seeds: range, wanted: str) -> Iterator[Outcome]:
    """Run what is wanted, test by test."""
    for rule in content.rules.values():
        yield from runner.rule(rule, wanted)
    for playbook in content.playbooks.values():
        yield from runner.playbook(playbook, wanted)
        if seeds:
            yield from runner.shuffled(playbook, seeds, wanted)


def _mutate(runner: Runner, content: Content) -> int:
    """Tell every mutant that no test notices, and return how many there are."""
    made = survived = 0
    for playbook in content.playbooks.values():
        if playbook.tests:
            made += sum(1 for _ in mutants(playbook, content.lists))
            for mutant in unnoticed(
                playbook, content.lists, lambda one: not any(x.faults for x in runner.playbook(one))
            ):
                survived += 1
                say(f"unnoticed  {playbook.id}: {mutant.change}")
                say(f"      {playbook.place}")
    say(f"{made} changes, {survived} unnoticed")
    return survived


def _show(outcome: Outcome) -> None:
    say(f"{'FAIL' if outcome.faults else 'ok  '}  {outcome.owner}: {outcome.name}")
    if outcome.faults:
        say(f"      {outcome.place}")
    for fault in outcome.faults:
        say(f"      {fault}")


def _write_junit(file: Path, outcomes: list[Outcome]) -> None:
    failures = sum(1 for outcome in outcomes if outcome.faults)
    suite = ElementTree.Element("testsuite", name="sentinel", tests=str(len(outcomes)), failures=str(failures))
    for outcome in outcomes:
        about = {"classname": outcome.owner, "name": outcome.name, "file": outcome.place.file}
        case = ElementTree.SubElement(suite, "testcase", {name: plain(text) for name, text in about.items()})
        case.set("line", str(outcome.place.line))
        if outcome.faults:
            failure = ElementTree.SubElement(case, "failure", message=plain(outcome.faults[0]))
            failure.text = plain("\n".join([str(outcome.place), *outcome.faults]))
    try:
        ElementTree.ElementTree(suite).write(file, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise InputError(f"`{file}` cannot be written: {error.strerror or error}") from None
