"""Random expressions and random events: well-typed ones, incomplete ones and hostile ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from sentinel.core.event import Event
from tests.engine.expression_events import ATTRIBUTES, MAPPINGS, make

Source = st.SearchStrategy[str]

# The fields expressions are made of, by kind, and values of that kind. `properties.o` is an object and its part.
TEXTS = st.sampled_from(
    ["", "a", "A", "ab", "FR", "10.0.0.1", "x@a.com", "192.0.2.0/24", "http://A.com:80/x?y", "7", "-2.5", "é"]
)
NUMBERS = st.sampled_from([0, 1, -1, 2, 3, 7, 0.0, 1.0, 0.5, -2.5, 1000, 1e6])
BOOLS = st.booleans()
LISTS = st.lists(TEXTS | NUMBERS | BOOLS, max_size=3)
TYPED: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "event": ("text", TEXTS),
    "user": ("text", st.sampled_from(["id:1", "id:a", "email:x@a.com"])),
    "user.email": ("text", TEXTS),
    "ip": ("text", st.sampled_from(["10.0.0.1", "192.0.2.1", "2001:db8::1"])),
    "request.path": ("text", TEXTS),
    "geo.country": ("text", TEXTS),
    "properties.t": ("text", TEXTS),
    "properties.o.t": ("text", TEXTS),
    "timestamp": ("number", st.sampled_from([0.0, 0.5, 1_767_571_200.0, 1_767_657_599.999])),
    "request.status": ("number", st.sampled_from([200, 401])),
    "geo.lat": ("number", NUMBERS),
    "properties.n": ("number", NUMBERS),
    "properties.o.n": ("number", NUMBERS),
    "success": ("bool", BOOLS),
    "agent.bot": ("bool", BOOLS),
    "properties.b": ("bool", BOOLS),
    "user.labels": ("list", st.lists(TEXTS, max_size=3).map(tuple)),
    "properties.l": ("list", LISTS),
}
ANY = (
    "properties.n",
    "properties.t",
    "properties.b",
    "properties.l",
    "properties.o",
    "properties.o.n",
    "request.params.q",
)


@dataclass(frozen=True)
class Options:
    """What expressions may hold: fields of unknown kind, comparisons with None and coalesce, numbers that overflow."""

    any_kind: bool = True
    none: bool = True
    large: bool = True


def text(options: Options) -> dict[str, Source]:
    """Return sources by kind: `bool`, `number`, `text`, `list` and `any`."""
    leaves = {kind: _fields(kind) | _literals(kind, options) for kind in ("bool", "number", "text", "list")}
    leaves["any"] = st.sampled_from(ANY) if options.any_kind else st.nothing()
    grown = leaves
    for _ in range(3):
        grown = _grow(leaves, grown, options)
    return grown


def _fields(kind: str) -> Source:
    derived = ["ip.network"] if kind == "text" else []
    return st.sampled_from([path for path, (of, _) in TYPED.items() if of == kind] + derived)


def _literals(kind: str, options: Options) -> Source:
    large = ["1e308", "9223372036854775807"] if options.large else []
    numbers = st.sampled_from(["0", "1", "2", "7", "-1", "0.5", "1.0", "1000", *large])
    texts = TEXTS.map(repr)
    return {
        "bool": st.sampled_from(["True", "False"]),
        "number": numbers,
        "text": texts,
        "list": _written(texts) | _written(numbers) | _written(texts | numbers | st.just("True")),
    }[kind]


def _written(items: Source) -> Source:
    return st.lists(items, min_size=1, max_size=10).map(lambda found: f"[{', '.join(found)}]")


def _join(form: str, *parts: Source) -> Source:
    return st.tuples(*parts).map(lambda found: form.format(*found))


def _grow(leaves: dict[str, Source], inner: dict[str, Source], options: Options) -> dict[str, Source]:
    boolean, number, words, items = (inner[kind] | inner["any"] for kind in ("bool", "number", "text", "list"))
    anything = inner["any"]
    choice = {kind: _join("({} if {} else {})", inner[kind], boolean, inner[kind]) for kind in inner}
    coalesce = {kind: _join("coalesce({}, {})", inner[kind], inner[kind]) for kind in inner}
    grown = {
        "bool": st.one_of(*_conditions(inner, boolean, number, words, items, anything, options)),
        "number": st.one_of(*_numbers(number, words, items)),
        "text": st.one_of(*(_join(form, words) for form in ("lower({})", "upper({})", "domain({})"))),
        "list": _written(words) | _written(number),
        "any": st.nothing(),
    }
    merged = {kind: leaves[kind] | grown[kind] | choice[kind] for kind in inner}
    return {kind: merged[kind] | coalesce[kind] for kind in inner} if options.none else merged


def _numbers(number: Source, words: Source, items: Source) -> Iterable[Source]:
    for form in ("({} + {})", "({} - {})", "({} * {})", "({} / {})", "({} % {})", "min({}, {})", "max({}, {}, 2)"):
        yield _join(form, number, number)
    for form in ("(-{})", "abs({})", "round({})", "floor({})", "hour({})", 'weekday({}, "Asia/Kolkata")'):
        yield _join(form, number)
    yield _join("number({})", words | number)
    yield _join("len({})", words | items)


def _conditions(
    inner: dict[str, Source],
    boolean: Source,
    number: Source,
    words: Source,
    items: Source,
    any_: Source,
    options: Options,
) -> Iterable[Source]:
    yield _join("(not {})", boolean)
    yield st.lists(boolean, min_size=2, max_size=4).map(lambda found: f"({' and '.join(found)})")
    yield st.lists(boolean, min_size=2, max_size=4).map(lambda found: f"({' or '.join(found)})")
    equality, order = st.sampled_from(["==", "!="]), st.sampled_from(["<", "<=", ">", ">="])
    membership = st.sampled_from(["in", "not in"])
    for same in (boolean, number, words, items):
        yield _join("({} {} {})", same, equality, same)
    for same in (number, words):
        yield _join("({} {} {})", same, order, same)
        yield _join("({} {} {} {} {})", same, order | equality, same, order | equality, same)
        yield _join("({} {} {})", same, membership, _written(same))
    yield _join("({} {} {})", number | words, membership, _fields("list") | any_)
    yield _join("({} {} {})", words, membership, words)
    yield _join("contains({}, {})", items | words, words)
    yield _join("startswith({}, {})", words, words)
    yield _join("endswith({}, {})", words, words)
    yield _join('matches({}, r"^[a-z]\\w*$")', words)
    yield _join('cidr({}, ["10.0.0.0/8", "2001:db8::/32"])', words)
    yield _join('in_list({}, "names")', words | number)
    if options.none:
        yield _join("({} {} None)", st.sampled_from([*TYPED, "ip.network", *ANY]).filter(_is_field), equality)


def _is_field(path: str) -> bool:
    return path != "properties.o"


COMPLETE = st.fixed_dictionaries({path: values for path, (_, values) in TYPED.items()})


@st.composite
def reduced(draw: st.DrawFn, complete: dict[str, Any]) -> dict[str, Any]:
    """Return a complete event's fields without some of them; an event always has its name and time.

    Labels go only with their user: of a user who is there they are known.
    """
    gone = draw(st.sets(st.sampled_from([path for path in complete if path not in ("event", "timestamp")])))
    gone = gone if "user" in gone else gone - {"user.labels"}
    return {path: value for path, value in complete.items() if path not in gone}


_HOSTILE_TEXTS = (
    st.text(max_size=5) | TEXTS | st.sampled_from(["\ud800", "\x00", "%1000000000d", "9" * 40, "[::1", "@"])
)
_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), _HOSTILE_TEXTS, NUMBERS,
    st.sampled_from([2**63, -(2**63), 1.7e308, 5e-324]) | st.just(400).map(lambda digits: 10**digits),
)  # fmt: skip
JSON = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("tnbloq"), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def hostile(draw: st.DrawFn) -> Event:
    """Return an event whose objects hold anything under the names the expressions read."""
    names = {"request": ["path", "status", "params"], "geo": ["country", "lat"], "agent": ["bot"], "user": ["email"]}
    fields: dict[str, Any] = {"event": draw(TEXTS)}
    for path in ("user", "ip", "device"):
        fields[path] = draw(st.none() | _HOSTILE_TEXTS)
    fields["success"] = draw(st.none() | st.booleans())
    fields["user.labels"] = draw(st.none() | st.lists(TEXTS, max_size=2).map(tuple))
    event = make(fields)
    event.at = draw(st.sampled_from([0, 1, 1_767_571_200_000_000, 253_402_300_799_999_999]))
    for top, keys in names.items():
        setattr(event, MAPPINGS[top], {key: draw(JSON) for key in keys if draw(st.booleans())})
    event.properties = {key: draw(JSON) for key in "tnblo" if draw(st.booleans())}
    return event


assert set(ATTRIBUTES) >= {path for path in TYPED if "." not in path} - {"timestamp"}
