"""What tests of replay, backtest and file tests share: playbooks from a few lines, events from a few words."""

from functools import lru_cache

from sentinel.core.event import read
from sentinel.core.moment import parse
from sentinel.loader.assembly import assemble
from sentinel.loader.content import shipped_rules
from sentinel.windows.groups import Limits
from sentinel.windows.memory import MemoryWindows

START = parse("2026-01-05T00:00:00Z")
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@lru_cache
def playbooks(*texts):
    """Return the playbooks of YAML texts, beside the shipped rules."""
    files = {f"p{n}.yaml": text.encode() for n, text in enumerate(texts)}
    return tuple(assemble(files, base=shipped_rules()).playbooks.values())


def playbook(id="p", mode="enforce", rule="login-failed", group_by="ip", when="{count: 3}", window="10m", **more):
    """Return the YAML of a playbook; `more` are further lines, by key."""
    lines = [f"playbook: {id}", "title: A test", f"mode: {mode}", f"rule: {rule}", f"group_by: {group_by}"]
    lines += [f"window: {window}", f"when: {when}", *(f"{key}: {value}" for key, value in more.items())]
    return "\n".join(lines) + "\n"


def raw(id, after, event="auth", **fields):
    """Return an event as JSON, so many seconds after the start."""
    return {"id": id, "event": event, "timestamp": (START + after * SECOND) / SECOND} | fields


def failed(id, after, user="u", ip="203.0.113.9", **fields):
    return raw(id, after, success=False, user=user, ip=ip, **fields)


def passed(id, after, user="u", ip="203.0.113.9", **fields):
    return raw(id, after, success=True, user=user, ip=ip, **fields)


def events(raws):
    return [read(one, enriched=True) for one in raws]


def windows(watches, lateness=10 * MINUTE):
    return MemoryWindows(watches, Limits(lateness=lateness))
