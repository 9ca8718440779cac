"""Translate Sigma rules and correlations into our rules and playbooks, as data, and report what has no equivalent.

A plain rule becomes a rule, and a playbook that finds at most once a minute. Correlations become playbooks over the
rules they name; `temporal`, which has no order, becomes one playbook for each order. All of them only monitor.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any, Literal, NamedTuple

from pyparsing import ParseBaseException
from sigma.collection import SigmaCollection
from sigma.correlations import (
    SigmaCorrelationCondition,
    SigmaCorrelationConditionOperator,
    SigmaCorrelationRule,
    SigmaCorrelationType,
)
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule, SigmaStatus

from sentinel.compat.sigma.conditions import Fields, Inexpressible, UnknownFields, where
from sentinel.core.duration import SECOND, format_duration
from sentinel.core.errors import SentinelError

MOST_ORDERED = 3  # rules of a `temporal`: three have 13 orders, events that match several of them counted in
_SEVERITIES = {"informational": "info", "low": "low", "medium": "medium", "high": "high", "critical": "critical"}
_SOURCES = {("category", "webserver"), ("category", "application"), ("product", "sentinel")}
_METRICS = {
    SigmaCorrelationType.VALUE_COUNT: "distinct", SigmaCorrelationType.VALUE_SUM: "sum",
    SigmaCorrelationType.VALUE_AVG: "avg",
}  # fmt: skip
_NOTES = {
    "sum": "negative numbers are passed over in a sum",
    "avg": "a mean is judged once, when an event arrives",
}
_STEPS = "a `sequence` has steps with a `count`; or let one playbook `emit` what another counts"
FILE = "file"  # the attribute of a Sigma rule that says where it was read
Document = dict[str, Any]


class Report(NamedTuple):
    """Something the author should know of one Sigma rule; with `lost` nothing was made of it.

    `file` is empty where `rule` is the name of the file itself.
    """

    rule: str
    message: str
    lost: bool = True
    file: str = ""

    def __str__(self) -> str:
        place = f"{self.file}: {self.rule}" if self.file else self.rule
        return f"{place}: {'not imported' if self.lost else 'note'}: {self.message}"


@dataclass
class Imported:
    """What came of a collection. `origins` has the Sigma rule that a document's id came from.

    `unknown` counts the rules that ask for a field of which nobody said what it is here.
    """

    rules: list[Document] = field(default_factory=list)
    playbooks: list[Document] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    origins: dict[str, Any] = field(default_factory=dict)
    unknown: Counter[str] = field(default_factory=Counter)


def translate(collection: SigmaCollection, fields: Fields, any_source: bool = False) -> Imported:
    """Return what a collection amounts to. Its references are not resolved yet; `any_source` takes any log source."""
    return _Translation(collection, fields, any_source).made()


class _Translation:
    """One collection on its way: the ids given so far, and what each Sigma rule became."""

    def __init__(self, collection: SigmaCollection, fields: Fields, any_source: bool) -> None:
        self._collection = collection
        self._fields = fields
        self._any_source = any_source
        self._imported = Imported()
        self._conditions: dict[int, str] = {}
        self._ids: dict[int, str] = {}
        self._taken: set[str] = set()
        self._named = Counter(name for one in collection.rules for name in (one.name, one.id and str(one.id)) if name)

    def made(self) -> Imported:
        """Translate everything, the rules before what refers to them."""
        rules = [one for one in self._collection.rules if isinstance(one, SigmaRule)]
        correlations = [one for one in self._collection.rules if isinstance(one, SigmaCorrelationRule)]
        silent = {id(rule) for one in correlations if not one.generate for rule in self._referenced(one)}
        for rule in rules:
            self._try(rule, self._rule)
        for rule in rules:
            if id(rule) in self._ids and id(rule) not in silent:
                self._add(rule, {"rule": self._ids[id(rule)], "group_by": [], "window": "1m", "when": {"count": 1}})
        for correlation in correlations:
            self._try(correlation, self._correlation)
        return self._imported

    def _try(self, rule: Any, make: Any) -> None:
        told = len(self._imported.reports)
        try:
            if rule.errors:
                raise Inexpressible(str(rule.errors[0]))
            self._standing(rule)
            make(rule)
        except (SentinelError, SigmaError, ParseBaseException, RecursionError) as error:
            self._imported.reports[told:] = [report(rule, error)]  # what else there is to say of it nobody needs
            self._imported.unknown.update(error.names if isinstance(error, UnknownFields) else ())

    def _note(self, rule: Any, message: str) -> None:
        self._imported.reports.append(report(rule, message, lost=False))

    def _standing(self, rule: Any) -> None:
        """Say what a rule says of itself that is no part of its condition."""
        if rule.status is SigmaStatus.UNSUPPORTED:
            raise Inexpressible("its status is `unsupported`: its author says that it cannot be used as it is")
        if rule.status is SigmaStatus.DEPRECATED:
            self._note(rule, "its status is `deprecated`: its author says that another rule took its place")
        if rule.taxonomy != "sigma":
            self._note(rule, f"its taxonomy is `{rule.taxonomy[:40]}`: its fields are taken for Sigma's or ours")

    def _rule(self, rule: SigmaRule) -> None:
        self._source(rule)
        condition = where(rule, self._fields)
        self._ids[id(rule)] = name = self._id(rule)
        self._conditions[id(rule)] = condition
        self._imported.rules.append({"rule": name, "title": _title(rule), "where": condition})

    def _source(self, rule: SigmaRule) -> None:
        source = rule.logsource
        said = [(key, value) for key in ("category", "product", "service") if (value := getattr(source, key))]
        if not self._any_source and not any(one in _SOURCES for one in said):
            told = ", ".join(f"{key} {value}" for key, value in said)
            hint = "`--any-source` takes it all the same"
            raise Inexpressible(f"it is about logs of {told[:80]}, not about events", hint)
        if said and said != [("product", "sentinel")]:
            self._note(rule, "its log source is not part of the condition: it looks at every event")

    def _referenced(self, correlation: SigmaCorrelationRule) -> list[Any]:
        """Return the rules a correlation names; those that are not there are left out."""
        found = []
        for one in correlation.rules or ():
            try:
                one.resolve(self._collection)
            except SigmaError:
                continue
            found.append(one.rule)
        return found

    def _correlation(self, rule: SigmaCorrelationRule) -> None:
        parts = self._referenced(rule)
        if rule.rules is None or not isinstance(rule.condition, SigmaCorrelationCondition):
            raise Inexpressible("a condition of words over rules")
        if len(parts) != len(rule.rules):
            missing = next(one.reference for one in rule.rules if getattr(one, "rule", None) is None)
            raise Inexpressible(f"it names `{missing[:60]}`, a rule that is not in these files")
        for one in rule.rules:
            if self._named[one.reference] > 1:
                raise Inexpressible(f"`{one.reference[:60]}`, which it needs, is the name of several rules")
        for part in parts:
            if isinstance(part, SigmaCorrelationRule):
                raise Inexpressible(f"`{_name(part)}`, which it needs, is a correlation", _STEPS)
            if id(part) not in self._ids:
                raise Inexpressible(f"`{_name(part)}`, which it needs, was not imported")
        base = {"group_by": self._group(rule), "window": format_duration(rule.timespan.seconds * SECOND)}
        if rule.type is SigmaCorrelationType.TEMPORAL_ORDERED:
            _all_of_them(rule)
            self._add(rule, base | {"sequence": [{"rule": self._ids[id(part)]} for part in parts]})
        elif rule.type is SigmaCorrelationType.TEMPORAL:
            _all_of_them(rule)
            self._temporal(rule, base, parts)
        else:
            self._add(rule, self._selected(parts, "or") | base | {"when": self._when(rule, rule.condition)})

    def _group(self, rule: SigmaCorrelationRule) -> list[str]:
        aliases = rule.aliases.aliases
        found: list[str] = []
        for name in rule.group_by or ():
            if name in aliases:
                meant = {self._fields(one) for one in aliases[name].mapping.values()}
                if len(meant) > 1:
                    raise Inexpressible(f"the alias `{name}` of different fields", "send them as one field")
                found += meant
            else:
                found.append(self._fields(name))
        return found

    def _selected(self, parts: Sequence[Any], joint: Literal["and", "or"]) -> Document:
        """Return which events are meant: those of the one rule, or of several, all or any of which hold."""
        if len(parts) == 1:
            return {"rule": self._ids[id(parts[0])]}
        return {"where": f" {joint} ".join(f"({self._conditions[id(part)]})" for part in parts)}

    def _when(self, rule: SigmaCorrelationRule, condition: SigmaCorrelationCondition) -> Document:
        words = {SigmaCorrelationConditionOperator.GTE: "gte", SigmaCorrelationConditionOperator.GT: "gt"}
        word = words.get(condition.op)
        if word is None:
            raise Inexpressible(f"`{condition.op.name.lower()}`: a playbook asks for at least so many, never for fewer")
        if rule.type is SigmaCorrelationType.EVENT_COUNT:
            return {"count": {word: condition.count}}
        metric = _METRICS.get(rule.type)
        if metric is None:
            raise Inexpressible(
                f"`{rule.type.name.lower()}`", "a playbook knows counts, values, sums, means and shares"
            )
        if not isinstance(condition.fieldref, str):
            raise Inexpressible("it counts the values of several fields together, or of none")
        if metric in _NOTES:
            self._note(rule, _NOTES[metric])
        return {metric: {self._fields(condition.fieldref): {word: condition.count}}}

    def _temporal(self, rule: SigmaCorrelationRule, base: Document, parts: Sequence[Any]) -> None:
        """Add a playbook for each order; one event may stand for several of the rules at once."""
        if len(parts) > MOST_ORDERED:
            raise Inexpressible(f"`temporal` over {len(parts)} rules, at most {MOST_ORDERED}", "use temporal_ordered")
        orders = [order for order in _orders(parts) if all(self._may_hold(block) for block in order)]
        self._note(rule, f"no order: {len(orders)} playbooks, one for each order")
        for order in orders:
            steps = [self._selected(block, "and") for block in order]
            detector = {"sequence": steps} if len(steps) > 1 else steps[0] | {"when": {"count": 1}}
            self._add(rule, base | detector)

    def _may_hold(self, block: Sequence[Any]) -> bool:
        """Say whether one event may match all of some rules: not where each asks for an event of another name."""
        names = {_event_of(self._conditions[id(part)]) for part in block}
        return len(names - {None}) <= 1

    def _add(self, rule: Any, detector: Document) -> None:
        playbook = self._id(rule)
        about = {"playbook": playbook, "title": _title(rule), "description": _about(rule), "mode": "monitor"}
        level = rule.level.name.lower() if rule.level else "medium"
        self._imported.playbooks.append(about | {"severity": _SEVERITIES[level]} | detector)

    def _id(self, rule: Any) -> str:
        """Return an id that no other document has, from the rule's name or title."""
        plain = re.sub(r"[^a-z0-9]+", "-", (rule.name or rule.title).lower()).strip("-")[:50].strip("-") or "sigma"
        found, number = plain, 2
        while found in self._taken:
            found, number = f"{plain}-{number}", number + 1
        self._taken.add(found)
        self._imported.origins[found] = rule
        return found


_NAMED = re.compile(r"\(*lower\(event\) == ('[^']*')(?: and |\)*$)")


def _event_of(condition: str) -> str | None:
    """Return the one event's name that a condition holds for, None where that cannot be seen at its beginning."""
    found = _NAMED.match(condition)
    return None if found is None or " or " in condition else found[1]


def _orders(parts: Sequence[Any]) -> Iterator[list[list[Any]]]:
    """Give every order of things in which some may come together: each block is what comes at once."""
    if not parts:
        yield []
        return
    seen = set()
    for order in permutations(range(len(parts))):
        for cuts in range(1 << (len(parts) - 1)):
            blocks: list[list[int]] = [[order[0]]]
            for at, part in enumerate(order[1:]):
                if cuts >> at & 1:
                    blocks.append([part])
                else:
                    blocks[-1].append(part)
            key = tuple(tuple(sorted(block)) for block in blocks)
            if key not in seen:
                seen.add(key)
                yield [[parts[one] for one in block] for block in key]


def _all_of_them(rule: SigmaCorrelationRule) -> None:
    condition, number = rule.condition, len(rule.rules or ())
    assert isinstance(condition, SigmaCorrelationCondition)
    if condition.op is not SigmaCorrelationConditionOperator.GTE or condition.count != number:
        raise Inexpressible("it asks for some of its rules, not for all")


def report(rule: Any, message: object, lost: bool = True) -> Report:
    """Return what the author of a Sigma rule should know of it, in one line, and where it stands."""
    said = " ".join(str(message).split())[:300]
    return Report(_name(rule), said, lost, str(rule.custom_attributes.get(FILE, "")))


def _name(rule: Any) -> str:
    return str(rule.title or rule.name or rule.id or "a rule without a title")[:80]


def _title(rule: Any) -> str:
    return " ".join(_name(rule).split())


def _about(rule: Any) -> str:
    """Return what a reader of the playbook should know: where it is from, and what its author says."""
    lines = [f"Imported from the Sigma rule {rule.id or _title(rule)}."]
    lines += [" ".join(str(rule.description).split())] if rule.description else []
    lines += [f"False positives: {'; '.join(map(str, rule.falsepositives))}."] if rule.falsepositives else []
    lines += [f"Tags: {', '.join(map(str, rule.tags))}."] if rule.tags else []
    lines += [f"See {one}" for one in rule.references]
    return "\n".join(lines)


def field_names(given: Sequence[str]) -> Mapping[str, str]:
    """Return the names that `--field THEIRS=OURS` options give."""
    found = {}
    for one in given:
        theirs, equals, ours = one.partition("=")
        if not theirs or not equals or not ours:
            raise SentinelError(f"`--field`: `{one}` says no name", "write `their.name=request.path`")
        found[theirs] = ours
    return found
