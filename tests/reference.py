"""The product's meaning, naively: every event kept, every window counted anew. What the machines must agree with.

`Reference` takes plain dictionaries {"id", "at", **fields}, in their order of arrival, and a playbook as a
dictionary {"where", "group_by", "window", "cooldown"} with "when" {(metric, field): (sign, threshold)} or with
"sequence" [(where, count, distinct field, distinct), …] and maybe "until"; `findings` holds {group: [(at, id), …]}.
"""

from fractions import Fraction

MISSING = object()


def field(event, path):
    value = event
    for part in path.split("."):
        value = value.get(part, MISSING) if isinstance(value, dict) else MISSING
    return None if value is MISSING else value


def is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def same(value):
    """A value as distinct and group_by tell values apart: a boolean is no number, a text is neither."""
    return ("number" if is_number(value) else type(value).__name__, value)


def numbers(events, path):
    return [Fraction(str(field(e, path))).limit_denominator(10**6) for e in events if is_number(field(e, path))]


def metric(kind, of, events):
    """What one metric of `when` amounts to over the events of a window; None where it has no value."""
    if kind == "count":
        return len(events)
    if kind == "distinct":
        return len({same(field(e, of)) for e in events if field(e, of) is not None})
    if kind == "sum":
        return sum(n for n in numbers(events, of) if n >= 0)
    if kind == "max":
        return max(numbers(events, of), default=None)
    if kind == "avg":
        found = numbers(events, of)
        return sum(found) / Fraction(len(found)) if found else None
    if kind == "ratio":
        return Fraction(sum(1 for e in events if of(e)), len(events))
    raise ValueError(kind)


def reached(when, events):
    for (kind, of), (sign, threshold) in when.items():
        value = metric(kind, of, events)
        wanted = Fraction(str(threshold))
        if value is None or not (value > wanted if sign == "gt" else value >= wanted):
            return False
    return True


def order(event):
    return event["at"], event["id"]


def completes(start, events, steps, until):
    """The event at which the steps, filled greedily from `start` on, are all filled; None if they are not."""
    steps, filled = list(steps), []
    for e in events:
        if order(e) > order(start) and until(e):
            return None
        where, count, of, distinct = steps[0]
        if order(e) >= order(start) and where(e):
            filled.append(e)
            if len(filled) >= count and (not of or metric("distinct", of, filled) >= distinct):
                steps, filled = steps[1:], []
        if not steps:
            return e
    return None


class Reference:
    """One playbook over one app's stream."""

    def __init__(self, playbook):
        self.playbook = playbook
        self.seen = {}  # group -> {id: event}
        self.findings = {}
        self.skipped = 0

    def deliver(self, event):
        playbook = self.playbook
        if not playbook["where"](event):
            return
        values = [field(event, path) for path in playbook["group_by"]]
        if None in values:
            self.skipped += 1
            return
        group = tuple(map(same, values))
        known = self.seen.setdefault(group, {})
        repeat = event["id"] in known
        known[event["id"]] = event
        on_arrival = any(kind in ("avg", "ratio") for kind, _ in playbook.get("when", ()))
        if "until" in playbook:  # one that comes late takes back what it had prevented
            valid = [f for f in self.findings.get(group, []) if f in self.crossings(group)]
            self.findings.update({group: valid} if group in self.findings else {})
        for candidate in self.examined(event, known, on_arrival, repeat):
            if self.is_crossing(candidate, known) and not self.is_held(group, candidate):
                self.findings.setdefault(group, []).append(order(candidate))

    def examined(self, event, known, on_arrival, repeat):
        """Each delivery brings up the events from its own time to one window later, in order."""
        if on_arrival:
            return [] if repeat else [event]
        end = event["at"] + self.playbook["window"]
        return sorted((e for e in known.values() if event["at"] <= e["at"] < end), key=order)

    def is_crossing(self, candidate, known):
        """The window of z is (t(z) - w, t(z)]; events of equal time are in it together."""
        start = candidate["at"] - self.playbook["window"]
        if "sequence" in self.playbook:
            asked = self.playbook["sequence"], self.playbook.get("until", lambda e: False)
            ordered = sorted(known.values(), key=order)
            starts = [e for e in ordered if start < e["at"] <= candidate["at"] and asked[0][0][0](e)]
            return any(completes(s, ordered, *asked) is candidate for s in starts)
        return reached(self.playbook["when"], [e for e in known.values() if start < e["at"] <= candidate["at"]])

    def is_held(self, group, candidate):
        """Findings of a group are anchored at least a cooldown apart, on either side."""
        anchors = self.findings.get(group, [])
        return any(abs(at - candidate["at"]) < self.playbook["cooldown"] for at, _ in anchors)

    def crossings(self, group):
        known = self.seen[group]
        return sorted(order(e) for e in known.values() if self.is_crossing(e, known))
