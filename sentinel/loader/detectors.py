"""The detectors as files write them: `when`, and the others beside it.

Shapes only. Values that make no sense are found in impossible.py; what values become is in playbook.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sentinel.engine.kinds import Kind
from sentinel.engine.problems import quote
from sentinel.loader import words
from sentinel.loader.desk import Desk, Json, Shape, Wrong
from sentinel.loader.shapes import MOST_ITEMS, Key, Listing, OneOrMore, Record, Table
from sentinel.loader.source import Mapping as MappingNode
from sentinel.loader.source import Node
from sentinel.loader.words import BOOLEAN, CONDITION, EVENT_NAME, above, duration, field_name, whole

LARGEST_THRESHOLD = 1_000_000  # what windows keep of a group grows with it
MOST_STEPS = 16
MOST_LEARNT = 1_000  # earlier events of a group that `first_seen` remembers
NAMES = ("when", "sequence", "first_seen", "travel", "absent", "spike")
WINDOWED = ("when", "sequence", "spike")


class Bound(NamedTuple):
    """A threshold: reached at `value`, or with `strict` only past it."""

    value: int | float
    strict: bool


class Threshold(Shape):
    """`n`, `{gte: n}` or `{gt: n}`; with the keys of `more` beside these it is read as (Bound, Reading).

    `past` is the shape of the number behind `gt`, where that is another than `number`, that behind `gte`.
    """

    def __init__(
        self, number: Shape, past: Shape | None = None, more: Mapping[str, Key] | None = None,
        hint: str = "such as `{gte: 10}`",
    ) -> None:  # fmt: skip
        bounds = {"gte": Key(number, "Reached at this value."), "gt": Key(past or number, "Reached past this value.")}
        self.number = number
        self.more = dict(more or {})
        self.record = Record("a threshold", self.more | bounds, one_of=(("gte", "gt"),), hint=hint)

    def read(self, node: Node, desk: Desk) -> Any:
        if not isinstance(node, MappingNode):
            if not self.more:
                return Bound(self.number.read(node, desk), False)
        elif under := next((name for name, _ in node.entries if name.text in ("lt", "lte")), None):
            hint = "ask for the share of the others, with `gte`" if self.more else "`absent` asks what did not happen"
            what = "what is found is too much, never too little"
            raise Wrong(f"{quote(under.text)} is no threshold: {what}", hint, under.spot)
        found = self.record.read(node, desk)
        if found.written("gte") and found.written("gt"):
            raise Wrong("`gte` and `gt` cannot stand together", "`gte` is reached at the value, `gt` past it")
        strict = found.written("gt")
        name = "gt" if strict else "gte"
        if found[name] is None:
            raise Wrong
        bound = Bound(found[name], strict)
        return (bound, found) if self.more else bound

    def schema(self) -> Json:
        record = self.record.schema() | {"not": {"required": ["gte", "gt"]}}
        return record if self.more else {"anyOf": [self.number.schema(), record]}


def _of(field: Shape, bound: Shape, example: str, most: int = MOST_ITEMS) -> Table:
    return Table("a field and its threshold", field, bound, most=most, hint=f"such as `{{{example}}}`")


NUMBERS = field_name("be added up or compared", Kind.NUMBER)
SCALARS = field_name("be counted")
COUNTS = Threshold(whole(1, LARGEST_THRESHOLD), past=whole(0, LARGEST_THRESHOLD))
METRICS = Record(
    "a condition on the window",
    {
        "count": Key(COUNTS, "At least so many matching events."),
        "distinct": Key(_of(SCALARS, COUNTS, "user: 10"), "At least so many values of a field."),
        "max": Key(_of(NUMBERS, Threshold(words.NUMBER), "properties.amount: 500"), "The largest value."),
        "sum": Key(_of(NUMBERS, Threshold(words.NUMBER), "properties.rows: 10000"), "The sum of a field."),
        "avg": Key(_of(NUMBERS, Threshold(words.NUMBER), "properties.score: 0.5"), "The mean of a field."),
        "ratio": Key(
            Threshold(
                words.NUMBER,
                more={"where": Key(CONDITION, "Of which events.", required=True)},
                hint="such as `{where: not success, gte: 0.9}`",
            ),
            "The share of events for which a condition is true; use it with `count`.",
        ),
    },
    one_of=(("count", "distinct", "max", "sum", "avg", "ratio"),),
    synonyms={
        "gte": "count",
        "events": "count",
        "unique": "distinct",
        "cardinality": "distinct",
        "mean": "avg",
        "total": "sum",
    },
    elsewhere=dict.fromkeys(("any", "or", "any_of"), "each of them alone: make a playbook of each")
    | dict.fromkeys(("all", "and", "all_of"), "all that stand here must be reached: write them beside each other")
    | dict.fromkeys(("median", "percentile", "stddev"), "`spike` compares with what is usual for a group"),
    hint="such as `{count: 10}` or `{distinct: {user: 10}}`",
)

SELECTOR: dict[str, Key] = {
    "rule": Key(words.text("a rule's id"), "The rule whose events are meant."),
    "event": Key(OneOrMore(EVENT_NAME, "an event's name"), "A name, a list of names, or a glob: `payment.*`."),
    "where": Key(CONDITION, "A condition on the event."),
}
_WHICH = (("rule", "event", "where"),)
STEP = Record(
    "a step",
    SELECTOR
    | {
        "count": Key(COUNTS, "So many events fill the step; by default one."),
        "distinct": Key(_of(SCALARS, COUNTS, "ip: 2", most=1), "They must have so many values of a field."),
    },
    one_of=_WHICH,
    synonyms={"events": "event", "repeat": "count", "times": "count", "condition": "where", "with": "count"},
    elsewhere=dict.fromkeys(("by", "group_by"), "all steps are of one group; a label can join what others name")
    | dict.fromkeys(("not", "missing", "without"), "`until` ends what was begun, `absent` asks what did not happen")
    | dict.fromkeys(("within", "window", "maxspan"), "all steps lie in the one `window` of the playbook"),
    hint="such as `{rule: login-failed, count: 5}`",
)
UNTIL = Record("an end", SELECTOR, one_of=_WHICH, hint="such as `{rule: password-reset}`")
FIRST_SEEN = Record(
    "a search for what is new",
    {
        "field": Key(SCALARS, "The field whose value must be new for the group.", required=True),
        "history": Key(duration(), "How far back a value counts as known.", required=True),
        "after": Key(whole(1, MOST_LEARNT), "With fewer earlier events a group is still learning.", required=True),
    },
    synonyms={"value": "field", "window": "history", "min": "after", "learning": "after"},
    hint="such as `{field: geo.country, history: 30d, after: 5}`",
)
TRAVEL = Record(
    "a journey",
    {
        "faster_than": Key(above(0), "In kilometres an hour, as the crow flies.", required=True),
        "anonymous": Key(BOOLEAN, "Take addresses of anonymising networks into account, too.", default=False),
    },
    synonyms={"speed": "faster_than", "kmh": "faster_than", "max_speed": "faster_than"},
    elsewhere=dict.fromkeys(("distance", "min_distance"), "what lies less than 100 km apart is never compared"),
    hint="such as `{faster_than: 900}`",
)
ABSENT = Record(
    "an absence",
    SELECTOR | {"within": Key(duration(), "How long is waited for it.", required=True)},
    one_of=_WHICH,
    synonyms={"window": "within", "after": "within", "events": "event"},
    hint="such as `{event: invoice.paid, within: 14d}`",
)
SPIKE = Record(
    "a spike",
    {
        "factor": Key(above(1), "So many times the usual count of a window.", required=True),
        "baseline": Key(duration(), "The time before the window that says what is usual.", required=True),
        "min": Key(whole(1, LARGEST_THRESHOLD), "Fewer events in the window are never a spike.", required=True),
    },
    synonyms={"history": "baseline", "times": "factor", "count": "min", "least": "min"},
    elsewhere=dict.fromkeys(("field", "sum", "distinct"), "a spike counts events: let `where` pick those that matter"),
    hint="such as `{factor: 5, baseline: 7d, min: 20}`",
)
DETECTORS: dict[str, Key] = {
    "when": Key(METRICS, "What one window must reach, such as `{count: 10}`."),
    "sequence": Key(
        Listing(STEP, "a list of steps", fewest=2, most=MOST_STEPS), "What must happen one after the other in a window."
    ),
    "until": Key(UNTIL, "What, between the first step and the last, means that all is well."),
    "first_seen": Key(FIRST_SEEN, "A value that is new for the group."),
    "travel": Key(TRAVEL, "Two places that nobody gets to in the time between."),
    "absent": Key(ABSENT, "What should have followed each event and did not."),
    "spike": Key(SPIKE, "Far more events in a window than is usual for the group."),
}
