"""`sentinel demo`: its exit code is its verdict. What it tells and how it judges are in `tests/demo`."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from sentinel.cli import demo
from sentinel.cli.demo import INTERRUPTED
from sentinel.cli.program import run


@pytest.fixture
def story(monkeypatch):
    """Let the story be told at once, without its server and its shop; `problems` is what went wrong in it."""

    class Told:
        problems = ()
        told_by = visited_by = lambda: None

        def __init__(self, *_: object) -> None: ...

        @contextmanager
        def told(self):
            Told.told_by()
            yield

        def visit(self):
            Told.visited_by()

    monkeypatch.setattr(demo, "Story", Told)
    return Told


def interrupt():
    raise KeyboardInterrupt


@pytest.mark.parametrize(("problems", "code"), [([], 0), (["Brute force was not stopped"], 1), (["one", "two"], 1)])
def test_once_it_ends_with_0_where_all_went_well_and_1_where_not(story, problems, code):
    story.problems = problems
    story.visited_by = lambda: pytest.fail("it does not go on")
    assert run(["demo", "--once"]) == code


@pytest.mark.parametrize(("problems", "code"), [([], 0), (["Brute force was not stopped"], 1)])
def test_ended_by_hand_after_the_story_it_still_says_how_it_went(story, problems, code):
    story.problems, story.visited_by = problems, interrupt
    assert run(["demo"]) == code


def test_ended_by_hand_before_the_verdict_it_has_none(story):
    story.told_by = interrupt
    assert run(["demo", "--once"]) == INTERRUPTED
