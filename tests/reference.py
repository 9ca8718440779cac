"""The product's meaning, naively: every event kept, every window counted anew. What the machines must agree with.

`Reference` takes plain dictionaries {"id", "at", **fields}, in their order of arrival, and a playbook as a dictionary
{"where", "group_by", "window", "cooldown"} with one detector: "when" {(metric, field): (sign, threshold)}; "sequence"
[(where, count, distinct field, distinct), …] and maybe "until"; "first_seen" (field, history, after); "spike" (factor,
baseline, fewest); "travel" (distance in km, km/h); "absent" (begins, ends, within). `findings`: {group: [(at, id), …]}.
"""

from fractions import Fraction

HOUR = 3_600_000_000
ON_ARRIVAL = ("first_seen", "spike", "travel")


def field(event, path):
    value = event
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def same(value):
    """A value as distinct and group_by tell values apart: a boolean is no number, a text is neither."""
    return ("number" if is_number(value) else type(value).__name__, value)


def order(event):
    return event["at"], event["id"]


def between(events, after, upto):
    return [e for e in events if after < e["at"] <= upto]


def metric(kind, of, events):
    """What one metric of `when` amounts to over the events of a window; None where it has no value."""
    if kind == "count":
        return len(events)
    if kind == "ratio":
        return Fraction(sum(1 for e in events if of(e)), len(events))
    values = [field(e, of) for e in events if field(e, of) is not None]
    if kind == "distinct":
        return len(set(map(same, values)))
    numbers = [Fraction(str(value)).limit_denominator(10**6) for value in values if is_number(value)]
    if kind == "sum":
        return sum(n for n in numbers if n >= 0)
    if kind == "max":
        return max(numbers, default=None)
    return sum(numbers) / Fraction(len(numbers)) if numbers else None  # avg


def when(z, events, playbook):
    """Every metric reaches its threshold in (t - w, t]; events of equal time are in it together."""
    window = between(events, z["at"] - playbook["window"], z["at"])
    for (kind, of), (sign, threshold) in playbook["when"].items():
        value, wanted = metric(kind, of, window), Fraction(str(threshold))
        if value is None or not (value > wanted if sign == "gt" else value >= wanted):
            return False
    return True


def completes(start, events, steps, until):
    """The event at which the steps, filled greedily from `start` on, are all filled; None if they are not."""
    steps, filled = list(steps), []
    for e in (e for e in events if order(e) >= order(start)):
        if e is not start and until(e):
            return None
        where, count, of, distinct = steps[0]
        if where(e):
            filled.append(e)
            if len(filled) >= count and (not of or metric("distinct", of, filled) >= distinct):
                steps, filled = steps[1:], []
        if not steps:
            return e
    return None


def sequence(z, events, playbook):
    events, steps = sorted(events, key=order), playbook["sequence"]
    starts = [e for e in between(events, z["at"] - playbook["window"], z["at"]) if steps[0][0](e)]
    return any(completes(s, events, steps, playbook.get("until", lambda e: False)) is z for s in starts)


def first_seen(z, events, playbook):
    of, history, after = playbook["first_seen"]
    earlier = [e for e in between(events, z["at"] - history, z["at"]) if e["at"] < z["at"]]
    known = [same(field(e, of)) for e in earlier]
    return field(z, of) is not None and len(earlier) >= after and same(field(z, of)) not in known


def spike(z, events, playbook):
    (factor, baseline, fewest), window = playbook["spike"], playbook["window"]
    start = z["at"] - window
    count, before = len(between(events, start, z["at"])), len(between(events, start - baseline, start))
    full = between(events, start - 7 * baseline, start - baseline)  # six baselines back an event still shows it
    return bool(full) and count >= fewest and count * baseline >= factor * before * window


def travel(z, events, playbook):
    (distance, speed), place = playbook["travel"], sorted(events, key=order).index(z)
    others = [sorted(events, key=order)[i] for i in (place - 1, place + 1) if 0 <= i < len(events)]
    journeys = [(distance(z, e), abs(z["at"] - e["at"])) for e in others]
    return any(km >= 100 and km * HOUR > speed * elapsed for km, elapsed in journeys)


DETECTORS = {"when": when, "sequence": sequence, "first_seen": first_seen, "spike": spike, "travel": travel}


class Reference:
    """One playbook over one app's stream."""

    def __init__(self, playbook):
        self.playbook = playbook
        self.seen = {}  # group -> {id: event}
        self.findings = {}
        self.skipped = 0

    def deliver(self, event):
        if not self.playbook["where"](event):
            return
        values = [field(event, path) for path in self.playbook["group_by"]]
        if None in values:
            self.skipped += 1
            return
        group = tuple(map(same, values))
        known = self.seen.setdefault(group, {})
        repeat, until = event["id"] in known, self.playbook.get("until", lambda e: False)(event)
        before = set(self.crossings(group)) if until else set()
        known[event["id"]] = event
        if until and group in self.findings:  # one that comes late takes back what it prevents
            prevented = before - set(self.crossings(group))
            self.findings[group] = [f for f in self.findings[group] if f not in prevented]
        for candidate in self.examined(event, known, repeat):
            if self.is_crossing(candidate, known):
                self.open(group, order(candidate))

    def examined(self, event, known, repeat):
        """Each delivery brings up the events from its own time to one window later, in order."""
        kinds = [*self.playbook, *(kind for kind, _ in self.playbook.get("when", ()))]
        if any(kind in (*ON_ARRIVAL, "avg", "ratio") for kind in kinds):
            return [] if repeat else [event]
        end = event["at"] + self.playbook["window"]
        return sorted((e for e in known.values() if event["at"] <= e["at"] < end), key=order)

    def is_crossing(self, candidate, known):
        kinds = [kind for kind in DETECTORS if kind in self.playbook]
        return any(DETECTORS[kind](candidate, list(known.values()), self.playbook) for kind in kinds)

    def open(self, group, anchor):
        """Findings of a group are anchored at least a cooldown apart, on either side."""
        anchors = self.findings.get(group, [])
        if all(abs(at - anchor[0]) >= self.playbook["cooldown"] and (at, id) != anchor for at, id in anchors):
            self.findings.setdefault(group, []).append(anchor)

    def passed(self, watermark):
        """Time has passed: what was awaited up to now and did not come is found, in the order it was due."""
        begins, ends, within = self.playbook["absent"]
        for group, known in self.seen.items():
            for e in sorted(filter(begins, known.values()), key=order):
                came = any(ends(other) for other in between(known.values(), e["at"], e["at"] + within))
                if e["at"] + within < watermark and not came:
                    self.open(group, (e["at"] + within, e["id"]))

    def crossings(self, group):
        known = self.seen[group]
        return sorted(order(e) for e in known.values() if self.is_crossing(e, known))

    def users(self, group, at):
        """Whom `block_users` acts on: all whom the events of the finding's window name."""
        return {e.get("user") for e in between(self.seen[group].values(), at - self.playbook["window"], at)} - {None}


class Chain:
    """Playbooks that count what others make: "emit" names an event, about whom the completing event is about."""

    def __init__(self, references):
        self.references = references

    def deliver(self, event, depth=0):
        made = []
        for one in self.references:
            before = [(group, found) for group, anchors in one.findings.items() for found in anchors]
            one.deliver(event)
            after = [(group, found) for group, anchors in one.findings.items() for found in anchors]
            new = [found for found in after if found not in before]
            made += [(one.playbook.get("emit"), at + 1, f"{group} {id}") for group, (at, id) in new]
        for name, at, id in made if depth < 4 else ():
            who = {"user": event.get("user"), "ip": event.get("ip")}
            self.deliver({"event": name, "id": f"{name} {id}", "at": at} | who, depth + 1)
