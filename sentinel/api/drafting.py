"""/v1/playbooks/check, /test, /backtest and /suggest: try the text of a playbook before it is a file."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from sentinel.api.context import ASKED_IN_TURN, Admin, Here
from sentinel.api.models import CONFLICT, FlawView, Model, Moment
from sentinel.api.parts import Word
from sentinel.core.number import plural
from sentinel.edge.errors import ApiError
from sentinel.engine.playbook import Mode
from sentinel.loader.mistakes import PlaybookErrors
from sentinel.loader.source import LARGEST
from sentinel.service.hand import lasting
from sentinel.service.trials.workbench import mistake_json

router = APIRouter(tags=["playbooks"])


class Draft(Model):
    """The text of a file of rules and playbooks; `file` names the one it would replace, as `GET /v1/playbooks` does."""

    text: Annotated[str, Field(max_length=LARGEST)]
    file: Annotated[Word, Field(max_length=512)] | None = None


class Judged(Draft):
    """A draft, and of how long the stored events are: at most 90 days."""

    since: Annotated[str, Field(max_length=20)] = "30d"


class DraftedView(Model):
    """A playbook in a draft."""

    id: str
    title: str
    mode: Mode
    version: str
    tests: int


class NoteView(Model):
    """A field that a draft asks for and SDKs leave out as a secret: no mistake, but it is one text for everybody."""

    file: str
    line: int
    column: int
    field: str
    message: str
    hint: str


class CheckView(Model):
    """Every mistake of a draft; what is in it, where there are none."""

    ok: bool
    mistakes: list[FlawView]
    notes: list[NoteView]
    playbooks: list[DraftedView]
    rules: list[str]


class OutcomeView(Model):
    """One test of a draft, and what was wrong, line by line: nothing if it passed."""

    of: str
    name: str
    line: int
    faults: list[str]


class TestsView(Model):
    """What the tests in a draft came to."""

    ok: bool
    passed: int
    failed: int
    not_run: int
    outcomes: list[OutcomeView]


class ChartView(Model):
    """Findings over time: pairs of seconds since 1970 and a number, `step` seconds apart."""

    step: int
    counts: list[tuple[int, int]]


class BacktestView(Model):
    """What a draft would have found. `read` of the `events` of the time were looked at: no other could matter.

    With `partial` the time for an answer was over: all is as of the events up to `judged_until`. `findings` are the
    newest ones; `summary` is that of `sentinel backtest`.
    """

    from_: Annotated[Moment, Field(alias="from")]
    to: Moment
    events: int
    read: int
    partial: bool
    judged_until: Moment | None
    summary: dict[str, Any]
    chart: ChartView
    findings: list[dict[str, Any]]
    seconds: float


class FittingView(Model):
    """A threshold that a percentage of groups stays below, and how many groups would reach it."""

    percentile: float
    threshold: float
    fires: int
    needs: int


class NowView(Model):
    """The threshold of the draft; `strict`: it must be exceeded."""

    threshold: float
    strict: bool
    fires: int


class HighView(Model):
    """A group that came high."""

    group: dict[str, Any]
    value: float


class MeasureView(Model):
    """One threshold of a draft: how high its groups came, as `sentinel suggest` says it, and which others would fit."""

    playbook: str
    metric: str
    unit: str
    groups: int
    measured: int
    never: int
    sampled: bool
    percentiles: dict[str, float | None]
    now: NowView
    options: list[FittingView]
    highest: list[HighView]


class SuggestView(Model):
    """Which thresholds fit a draft; with `partial` all is as of the events up to `judged_until`."""

    from_: Annotated[Moment, Field(alias="from")]
    to: Moment
    read: int
    partial: bool
    judged_until: Moment | None
    measures: list[MeasureView]
    seconds: float


@router.post("/v1/playbooks/check", response_model=CheckView, dependencies=ASKED_IN_TURN)
def check_draft(here: Here, caller: Admin, draft: Draft) -> Any:
    """Return every mistake of a draft, as if it were a file beside those in use."""
    return here.workbench.check(draft.text, draft.file)


@router.post("/v1/playbooks/test", response_model=TestsView, dependencies=ASKED_IN_TURN)
def test_draft(here: Here, caller: Admin, draft: Draft) -> Any:
    """Run the tests in a draft; one with mistakes is refused, with each of them."""
    try:
        return here.workbench.test(draft.text, draft.file)
    except PlaybookErrors as errors:
        raise _mistaken(errors) from None


@router.post("/v1/playbooks/backtest", response_model=BacktestView, responses=CONFLICT, dependencies=ASKED_IN_TURN)
def backtest_draft(here: Here, caller: Admin, draft: Judged) -> Any:
    """Judge the app's stored events by a draft as if it were enforced; a caller's newer question ends the older."""
    try:
        return here.workbench.backtest(
            caller.app, f"{caller.app} {caller.by}", draft.text, lasting("since", draft.since), draft.file
        )
    except PlaybookErrors as errors:
        raise _mistaken(errors) from None


@router.post("/v1/playbooks/suggest", response_model=SuggestView, responses=CONFLICT, dependencies=ASKED_IN_TURN)
def suggest_thresholds(here: Here, caller: Admin, draft: Judged) -> Any:
    """Return how high groups came by what a draft counts, and the thresholds that most of them stay below."""
    now, who = here.clock(), f"{caller.app} {caller.by} thresholds"
    try:
        return here.workbench.suggest(caller.app, who, draft.text, now - lasting("since", draft.since), now, draft.file)
    except PlaybookErrors as errors:
        raise _mistaken(errors) from None


def _mistaken(errors: PlaybookErrors) -> ApiError:
    number = len(errors.mistakes)
    message = f"the draft has {number} {plural(number, 'mistake')}"
    return ApiError("invalid", message, None, problems=[mistake_json(one) for one in errors.mistakes])
