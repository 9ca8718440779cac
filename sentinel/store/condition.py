"""Conditions of the rules' language as SQL over the stored events.

Each condition becomes a pair: events that *may* meet it, and those that *must*. Between the two lie events of which the
database cannot say exactly what Python would: these are evaluated one by one. Mostly there are none, and both are the
same SQL. As in codegen, each node has SQL that is true exactly where the node is true, and SQL for where it is false:
what is unknown is in neither, and NULL never has to be negated. Functions are in `calls`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sentinel.engine.kinds import Kind
from sentinel.engine.nodes import (
    MIRRORED,
    And,
    Arithmetic,
    Call,
    Choice,
    Comparator,
    Compare,
    Field,
    ListOf,
    Literal,
    Missing,
    Negative,
    Node,
    Not,
    Or,
)
from sentinel.store import calls
from sentinel.store.sql import FALSE, TRUE, Dialect, Sql, every, some, sql
from sentinel.store.values import EXACT, KINDS, SCALARS, UNKNOWABLE, Slot, Value, literal, of_field

FEW = 4  # texts that are looked for one after the other
LONGEST = 1 << 16  # characters of SQL; what would become longer is looked at event by event
_OPPOSITE: Mapping[Comparator, str] = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}


class Pair(NamedTuple):
    """Two conditions for one: every event that meets it meets `may`, and every event that meets `must` meets it."""

    may: Sql
    must: Sql

    @property
    def exact(self) -> bool:
        """Whether both are the same, so that no event has to be evaluated by itself."""
        return self.may == self.must


ANYTHING, NOTHING = Pair(TRUE, FALSE), Pair(FALSE, FALSE)


def translate(tree: Node, dialect: Dialect, slots: Mapping[str, Slot]) -> Pair:
    """Return the SQL of a condition; `slots` are the columns of properties that have one, by path."""
    return _Translation(dialect, slots).truth(tree, True)


def judged(holds: Sql, doubts: Iterable[Sql]) -> Pair:
    """Return the pair of a piece of SQL that is right for every event for which none of `doubts` holds."""
    doubt = some(doubts)
    if doubt == FALSE:
        return Pair(holds, holds)
    if doubt == TRUE:
        return ANYTHING
    return Pair(some((holds, doubt)), every((holds, sql("({}) IS NOT TRUE", doubt))))


class _Translation:
    """Translates one tree, each node at most twice as a condition and once as a value."""

    def __init__(self, dialect: Dialect, slots: Mapping[str, Slot]) -> None:
        self._dialect = dialect
        self._slots = slots
        self._truths: dict[tuple[int, bool], Pair] = {}
        self._values: dict[int, Value] = {}

    def truth(self, node: Node, wanted: bool) -> Pair:
        """Return the SQL that holds where a node is true, or with `wanted` False where it is false."""
        key = (id(node), wanted)
        if key not in self._truths:
            found = self._truth(node, wanted)
            self._truths[key] = found if len(found.may.text) + len(found.must.text) <= LONGEST else ANYTHING
        return self._truths[key]

    def value(self, node: Node) -> Value:
        """Return the SQL of a node's value."""
        if id(node) not in self._values:
            found = self._value(node)
            size = sum(len(part.text) for part in (*found.parts.values(), *found.doubts))
            self._values[id(node)] = found if size <= LONGEST else UNKNOWABLE
        return self._values[id(node)]

    def _truth(self, node: Node, wanted: bool) -> Pair:
        match node:
            case And(parts=parts) | Or(parts=parts):
                join = every if isinstance(node, And) is wanted else some
                found = [self.truth(part, wanted) for part in parts]
                return Pair(join(one.may for one in found), join(one.must for one in found))
            case Not(operand=operand):
                return self.truth(operand, not wanted)
            case Compare():
                return self._compare(node, wanted)
            case Choice(test=test, then=then, otherwise=otherwise):
                return self._choose(test, then, otherwise, wanted)
            case Missing(field=read, negated=negated):
                value = self.value(read)
                known = value.known()
                return judged(known if negated is wanted else sql("({}) IS NOT TRUE", known), value.doubts)
            case Call(function=name, arguments=arguments) if name in calls.TESTS:
                return self._test(name, arguments, wanted)
            case Call(function="contains", arguments=(container, item)):
                return self._within(self.value(item), container, wanted)
            case _:
                return self._boolean(self.value(node), wanted)

    def _boolean(self, value: Value, wanted: bool) -> Pair:
        part = value.part(Kind.BOOL)
        return judged(part if wanted else sql("NOT {}", part), value.doubts)

    def _choose(self, test: Node, then: Node, otherwise: Node, wanted: bool) -> Pair:
        yes, no = self.truth(test, True), self.truth(test, False)
        first, second = self.truth(then, wanted), self.truth(otherwise, wanted)
        may = some((every((yes.may, first.may)), every((no.may, second.may))))
        return Pair(may, some((every((yes.must, first.must)), every((no.must, second.must)))))

    def _test(self, name: str, arguments: Sequence[Node], wanted: bool) -> Pair:
        subject, *rest = arguments
        found = calls.TESTS[name](self._dialect, self.value(subject), *map(self._operand, rest))
        return judged(found.holds if wanted else found.fails, found.doubts)

    def _operand(self, node: Node) -> Value | Node:
        return node if calls.prepared(node) else self.value(node)

    def _compare(self, node: Compare, wanted: bool) -> Pair:
        join = every if wanted else some
        found = [self._pair(*pair, wanted) for pair in node.pairs()]
        return Pair(join(one.may for one in found), join(one.must for one in found))

    def _pair(self, left: Node, operator: Comparator, right: Node, wanted: bool) -> Pair:
        match operator:
            case "==" | "!=":
                return self._equal(self.value(left), self.value(right), wanted is (operator == "=="))
            case "in" | "not in":
                return self._within(self.value(left), right, wanted is (operator == "in"))
            case _:
                return self._ordered(self.value(left), operator, self.value(right), wanted)

    def _equal(self, left: Value, right: Value, wanted: bool) -> Pair:
        """Return the SQL that holds where two values are known and equal, or known and different."""
        if left.literal is not None:
            left, right = right, left
        shared = [kind for kind in SCALARS if kind in left.parts and kind in right.parts]
        same = some(self._same(left, right, kind) for kind in shared)
        doubts = [*_numbers(left, right), *(every((left.of(kind), right.of(kind))) for kind in KINDS[3:])]
        if wanted:
            return judged(same, doubts)
        if [*left.parts] == [*right.parts] == shared and len(shared) == 1:
            return judged(sql("{} <> {}", left.parts[shared[0]], right.parts[shared[0]]), doubts)
        return judged(every((left.known(), right.known(), sql("({}) IS NOT TRUE", same))), doubts)

    def _same(self, left: Value, right: Value, kind: Kind) -> Sql:
        equal = sql("{} = {}", left.parts[kind], right.parts[kind])
        if kind is not Kind.TEXT or not isinstance(right.literal, str):
            return equal
        site = calls.by_site(self._dialect, left, right.literal)
        if site is not None:
            return site
        hashed = calls.by_hash(self._dialect, left, right.literal)
        return _after(self._spelt(left, [right]), equal) if hashed is None else every((hashed, equal))

    def _ordered(self, left: Value, operator: Comparator, right: Value, wanted: bool) -> Pair:
        if left.literal is not None and right.literal is None:
            return self._ordered(right, MIRRORED[operator], left, wanted)
        sign = operator if wanted else _OPPOSITE[operator]
        found = []
        if Kind.NUMBER in left.parts and Kind.NUMBER in right.parts:
            found.append(sql(f"{{}} {sign} {{}}", left.parts[Kind.NUMBER], right.parts[Kind.NUMBER]))
        if Kind.TEXT in left.parts and Kind.TEXT in right.parts:
            order = self._dialect.words.get("order", "{} %s {}") % sign
            found.append(sql(order, left.parts[Kind.TEXT], right.parts[Kind.TEXT]))
        return judged(some(found), _numbers(left, right))

    def _within(self, item: Value, container: Node, wanted: bool) -> Pair:
        if isinstance(container, ListOf):
            return self._among(item, container.items, wanted)
        return self._inside(item, self.value(container), wanted)

    def _among(self, item: Value, items: Sequence[Node], wanted: bool) -> Pair:
        """Return the SQL that holds where a value is among others; literals of one kind become one IN list."""
        written = [self.value(one) for one in items if isinstance(one, Literal)]
        found = [self._equal(item, self.value(one), wanted) for one in items if not isinstance(one, Literal)]
        if written:
            found.append(self._one_of(item, written, wanted))
        join = some if wanted else every
        return Pair(join(one.may for one in found), join(one.must for one in found))

    def _one_of(self, item: Value, written: Sequence[Value], wanted: bool) -> Pair:
        tests = []
        for kind in SCALARS:
            same = [one.parts[kind] for one in written if kind in one.parts]
            if same and kind in item.parts:
                among = sql("{} IN (" + ", ".join("{}" for _ in same) + ")", item.parts[kind], *same)
                tests.append(_after(self._spelt(item, written), among) if kind is Kind.TEXT else among)
        doubts = item.doubts if all(one.exact or Kind.NUMBER not in one.parts for one in written) else item.inexact()
        doubts = (*doubts, *(doubt for one in written if not one.exact for doubt in _large(one)))
        if wanted:
            return judged(some(tests), doubts)
        return judged(every((item.known(), sql("({}) IS NOT TRUE", some(tests)))), doubts)

    def _spelt(self, item: Value, written: Sequence[Value]) -> Sql | None:
        """Return quick SQL that holds at least where a value is one of a few texts, None where there is none."""
        texts = [one.literal for one in written if isinstance(one.literal, str)]
        quick = [calls.by_spelling(self._dialect, item, text) for text in texts] if len(texts) <= FEW else [None]
        return None if None in quick else some(one for one in quick if one is not None)

    def _inside(self, item: Value, container: Value, wanted: bool) -> Pair:
        """Return the SQL that holds where a text is part of another, or a value is in a list of the event."""
        found, doubts = [], [*item.doubts, *container.doubts]
        if Kind.TEXT in item.parts and Kind.TEXT in container.parts:
            test = self._dialect.says("contains", container.parts[Kind.TEXT], item.parts[Kind.TEXT])
            found.append(test if wanted else sql("NOT {}", test or FALSE))
        if Kind.LIST in container.parts:
            held = container.parts[Kind.LIST]
            gaps = self._dialect.says("gaps", held) or FALSE
            doubts += item.inexact()
            for kind, part in item.parts.items():
                word = "counts" if kind is Kind.NUMBER else "holds" if kind in SCALARS else ""
                holds = self._dialect.says(word, held, part)
                if holds is None:
                    doubts.append(every((item.of(kind), container.of(Kind.LIST))))
                else:
                    found.append(holds if wanted else sql("(NOT {} AND NOT {})", holds, gaps))
        holds = some(part or FALSE for part in found)
        quick = None
        if wanted and isinstance(item.literal, str):
            quick = calls.by_spelling(self._dialect, container, item.literal, "contains")
        return judged(_after(quick, holds), doubts)

    def _value(self, node: Node) -> Value:
        match node:
            case Literal(value=value):
                return literal(self._dialect, value)
            case Field(path=path):
                return of_field(path, self._dialect, self._slots)
            case Arithmetic(operator=operator, left=left, right=right):
                return calls.arithmetic(self._dialect, operator, self.value(left), self.value(right))
            case Negative(operand=operand):
                return calls.negative(self.value(operand))
            case Choice(test=test, then=then, otherwise=otherwise):
                return self._chosen(test, self.value(then), self.value(otherwise))
            case Call(function=name, arguments=arguments) if name in calls.VALUES:
                return calls.VALUES[name](self._dialect, *map(self._operand, arguments))
            case Not() | And() | Or() | Compare() | Missing() | Call():
                return self._answer(node)
            case _:
                return UNKNOWABLE

    def _answer(self, node: Node) -> Value:
        """Return a condition as a value."""
        yes, no = self.truth(node, True), self.truth(node, False)
        part = sql("CASE WHEN {} THEN TRUE WHEN {} THEN FALSE END", yes.must, no.must)
        return Value({Kind.BOOL: part}, _between(yes, no))

    def _chosen(self, test: Node, then: Value, otherwise: Value) -> Value:
        yes, no = self.truth(test, True), self.truth(test, False)
        form = "CASE WHEN {} THEN {} WHEN {} THEN {} END"
        kinds = [kind for kind in KINDS if kind in then.parts or kind in otherwise.parts]
        parts = {kind: sql(form, yes.must, then.part(kind), no.must, otherwise.part(kind)) for kind in kinds}
        doubts = (*_between(yes, no), *then.doubts, *otherwise.doubts)
        return Value(parts, doubts, exact=then.exact and otherwise.exact)


def _after(quick: Sql | None, test: Sql) -> Sql:
    """Return a test that is made only where a quicker one holds.

    It is a CASE because databases may evaluate both sides of an AND that stands for a value.
    """
    return test if quick is None else sql("CASE WHEN {} THEN {} END", quick, test)


def _between(*pairs: Pair) -> tuple[Sql, ...]:
    """Return the SQL that holds where events have to be evaluated by themselves, for each pair that is not exact."""
    return tuple(every((pair.may, sql("({}) IS NOT TRUE", pair.must))) for pair in pairs if not pair.exact)


def _numbers(left: Value, right: Value) -> tuple[Sql, ...]:
    """Return the doubts of a comparison: beside a small number as written, a double is as good as the number itself."""
    if Kind.NUMBER not in left.parts or Kind.NUMBER not in right.parts:
        return (*left.doubts, *right.doubts)
    if any(one.exact and one.literal is not None for one in (left, right)):
        return (*left.doubts, *right.doubts)
    return (*left.inexact(), *right.inexact())


def _large(written: Value) -> tuple[Sql, ...]:
    return (TRUE,) if Kind.NUMBER in written.parts and abs(written.literal) >= EXACT else ()
