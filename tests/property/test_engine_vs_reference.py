"""The whole engine (events, conditions, groups, windows, findings) says what the reference says."""

from __future__ import annotations

from ipaddress import ip_interface
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.event import read
from sentinel.engine.engine import Engine
from sentinel.engine.expression import compile_expression
from sentinel.engine.keys import key_text
from sentinel.engine.memory import Memory
from sentinel.engine.playbook import Metric, Place, Playbook, Rule
from sentinel.windows.groups import Limits
from sentinel.windows.memory import MemoryWindows
from tests.reference import Reference, field, is_number

SECOND = 1_000_000
BASE = 1_700_000_000
LATENESS = 60
HERE = Place("test.yaml", 1, 1)

# Each condition in the language and, for the reference, as plain Python on the raw event.
CONDITIONS = [
    (None, lambda e: True),
    ("not success", lambda e: e.get("success") is False),
    ("properties.amount >= 2", lambda e: is_number(amount := field(e, "properties.amount")) and amount >= 2),
    ('properties.kind != "b"', lambda e: (kind := field(e, "properties.kind")) is not None and kind != "b"),
    ('success or user == "u1"', lambda e: e.get("success") is True or e.get("user") == "id:u1"),
    ('not (properties.kind in ["a", "b"] and success)', lambda e: _not_and(e)),
    ('ip.network != "198.51.100.0/24"', lambda e: e.get("network") not in (None, "198.51.100.0/24")),
    ('cidr(ip, "203.0.113.0/31")', lambda e: e.get("ip") in ("203.0.113.0", "203.0.113.1")),
]
NAMES: list[tuple[tuple[str, ...], Any]] = [
    ((), lambda e: True),
    (("auth",), lambda e: e["event"] == "auth"),
    (("pay.*", "auth"), lambda e: True),
    (("pay.*",), lambda e: e["event"].startswith("pay.")),
]
GROUPS = [
    (),
    ("user",),
    ("ip",),
    ("properties.kind",),
    ("user", "ip"),
    ("properties.amount",),
    ("ip.network",),
    ("ip.network", "user"),
]
# Of two /24 networks, and of two /48 in three /64.
IPS = ["203.0.113.0", "203.0.113.1", "203.0.113.9", "198.51.100.1", "2001:db8::1", "2001:db8:0:1::1", "2001:db8:1::1"]
METRICS = ["count", "distinct", "sum", "max", "avg", "ratio"]
DISTINCT = ["user", "ip.network", "properties.kind", "properties.amount", "success"]


def _not_and(e: dict[str, Any]) -> bool:
    kind, success = field(e, "properties.kind"), e.get("success")
    return (kind is not None and (type(kind) is not str or kind not in ("a", "b"))) or success is False


@st.composite
def raw_events(draw: Any) -> list[dict[str, Any]]:
    """Draw events as they are sent: fields missing, ties, repeats, up to the lateness out of order."""
    at, events = BASE, []
    for number in range(draw(st.integers(1, 40))):
        at += draw(st.sampled_from([0, 0, 1, 3, 7]))
        event: dict[str, Any] = {"id": f"{draw(st.integers(0, 9))}-{number}", "timestamp": at}
        event["event"] = draw(st.sampled_from(["auth", "auth", "pay.card"]))
        if event["event"] == "auth" and draw(st.booleans()):
            event["success"] = draw(st.booleans())
        event |= draw(st.fixed_dictionaries({}, optional={
            "user": st.sampled_from(["u1", "u2", "u3"]),
            "ip": st.sampled_from(IPS),
            "properties": st.fixed_dictionaries({}, optional={
                "kind": st.sampled_from(["a", "b", 1, True, "1"]),
                "amount": st.sampled_from([1, 2, 2.0, 0.5, -1, "2", True]),
            }),
        }))  # fmt: skip
        events.append(event)
    late = draw(st.booleans())
    delays = [draw(st.integers(0, LATENESS if late else 0)) for _ in events]
    order = sorted(range(len(events)), key=lambda i: (events[i]["timestamp"] + delays[i], events[i]["id"]))
    arrived = [events[index] for index in order]
    return arrived + [arrived[-1]] * draw(st.integers(0, 2))


@st.composite
def playbooks(draw: Any) -> tuple[Playbook, dict[str, Any]]:
    """Draw a playbook and the same for the reference."""
    (where, says), (rule_where, rule_says) = draw(st.tuples(*[st.sampled_from(CONDITIONS)] * 2))
    (events, named), (rule_events, rule_named) = draw(st.tuples(*[st.sampled_from(NAMES)] * 2))
    rule = Rule("r", "", rule_events, compile_expression(rule_where) if rule_where else None, HERE)
    with_rule = draw(st.booleans())
    metrics, when = [], {}
    for kind in draw(st.lists(st.sampled_from(METRICS), min_size=1, max_size=2, unique=True)):
        metric, key, wanted = draw(metrics_of(kind))
        metrics.append(metric)
        when[key] = wanted
    window = draw(st.integers(1, 40))
    cooldown = draw(st.sampled_from([window, max(1, window // 2)]))
    playbook = Playbook(
        id="p", title="", mode="enforce", severity="low", rule=rule if with_rule else None, events=events,
        where=compile_expression(where) if where else None, group_by=draw(st.sampled_from(GROUPS)),
        window=window * SECOND, when=tuple(metrics), cooldown=cooldown * SECOND, place=HERE, version="1",
    )  # fmt: skip
    reference = {
        "where": lambda e: says(e) and named(e) and (not with_rule or (rule_says(e) and rule_named(e))),
        "group_by": [in_reference(path) for path in playbook.group_by],
        "window": window * SECOND, "cooldown": cooldown * SECOND, "when": when,
    }  # fmt: skip
    return playbook, reference


@st.composite
def metrics_of(draw: Any, kind: str) -> Any:
    sign = draw(st.sampled_from(["gte", "gt"]))
    if kind == "count":
        threshold: Any = draw(st.integers(1, 5))
        return Metric("count", threshold, strict=sign == "gt"), ("count", None), (sign, threshold)
    if kind == "distinct":
        threshold, of = draw(st.integers(1, 3)), draw(st.sampled_from(DISTINCT))
        return (
            Metric("distinct", threshold, field=of, strict=sign == "gt"),
            ("distinct", in_reference(of)),
            (sign, threshold),
        )
    if kind == "ratio":
        threshold = draw(st.sampled_from([0.25, 0.5, 1]))
        where = compile_expression("success")
        metric = Metric("ratio", threshold, where=where, strict=sign == "gt")
        return metric, ("ratio", lambda e: e.get("success") is True), (sign, threshold)
    threshold = draw(st.sampled_from([0.5, 1, 2, 4.5]))
    of = "properties.amount"
    return Metric(kind, threshold, field=of, strict=sign == "gt"), (kind, of), (sign, threshold)


def in_reference(path: str) -> str:
    return "network" if path == "ip.network" else path


def as_reference(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a sent event as the reference takes it: its time in microseconds, its user as a key, its networks."""
    event = raw | {"at": raw["timestamp"] * SECOND}
    if ip := raw.get("ip"):
        own, wider = (64, 48) if ":" in ip else (32, 24)
        event["network"] = str(ip_interface(f"{ip}/{wider}").network)
        event["ip"] = str(ip_interface(f"{ip}/{own}").network).removesuffix("/32")
    return event | {"user": f"id:{raw['user']}"} if "user" in raw else event


def key_of(group: tuple[Any, ...]) -> str:
    texts = [key_text(value) for _, value in group]
    return (texts[0] or "") if len(texts) == 1 else "".join(f"{len(t or '')}:{t}" for t in texts)


@given(playbooks(), raw_events(), st.integers(1, 7))
def test_the_engine_finds_what_the_reference_finds(asked: Any, raw: list[dict[str, Any]], size: int) -> None:
    """For every batch size, in order and out of order, with repeats, ties and missing fields."""
    playbook, plain = asked
    reference = Reference(plain)
    for one in raw:
        reference.deliver(as_reference(one))
    engine = Engine([playbook], lateness=LATENESS * SECOND)
    windows = MemoryWindows(engine.watches(), Limits(lateness=LATENESS * SECOND))
    found: dict[str, list[Any]] = {}
    newest, skipped, memory = 0, 0, Memory()
    for start in range(0, len(raw), size):
        events = [read(dict(one)) for one in raw[start : start + size]]
        matched = engine.match(events, newest)
        newest = matched.newest
        assert not matched.errors
        skipped += matched.skipped["p", "a group field is missing"]
        for finding in engine.respond(windows.hit(matched.hits, newest), events, memory, newest).findings:
            anchors = found.setdefault(finding.key, [])
            if (finding.at, finding.event_id) not in anchors:
                anchors.append((finding.at, finding.event_id))
    assert found == {key_of(group): anchors for group, anchors in reference.findings.items()}
    assert skipped == reference.skipped
