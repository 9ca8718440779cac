"""Ask the running engine and the store why: about an event, a group, a decision. The answer is made by `why`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from sentinel.core import address, identity
from sentinel.core.errors import SentinelError
from sentinel.core.record import App, KeptDecision, KeptEvent, KeptFinding
from sentinel.engine.problems import suggest
from sentinel.loader.assembly import Content
from sentinel.service.pipeline import Pipeline
from sentinel.service.ports import Store
from sentinel.service.sparing import Spared
from sentinel.service.tenant import Tenant
from sentinel.service.why import Judged, Nearness, Part, judged, nearness, rule

SHOWN = 20


class EventWhy(NamedTuple):
    """A stored event, and whether and why each rule and each playbook matches it."""

    event: KeptEvent
    rules: list[Part]
    playbooks: list[Judged]


class DecisionWhy(NamedTuple):
    """A decision, the finding that led to it, and that one's newest events; a decision by hand may have neither."""

    decision: KeptDecision
    finding: KeptFinding | None
    events: list[KeptEvent]


class Explainer:
    """Answers from any thread. `content` gives the rules and playbooks as they are loaded now."""

    def __init__(self, pipeline: Pipeline, store: Store, content: Callable[[], Content]) -> None:
        self._pipeline = pipeline
        self._store = store
        self._content = content

    def event(self, app: str, id: str, at: int | None = None) -> EventWhy | None:
        """Return what rules and playbooks make of a stored event; None for an unknown id."""
        kept = self._store.events.get(app, id, at)
        if kept is None:
            return None
        content = self._content()
        rules = [rule(one, kept.event) for one in content.rules.values()]
        return EventWhy(kept, rules, [judged(one, kept.event) for one in content.playbooks.values()])

    def group(self, app: str, given: Iterable[str], now: int) -> list[Nearness]:
        """Return how near a group is to the next finding of each playbook that groups by its fields.

        `given` names the group by texts `field=value`; raises SentinelError for one that cannot be read.
        """
        with self._pipeline.lock:
            tenant = self._pipeline.tenant(app)
        wanted = self._values(tenant, given)
        with self._pipeline.lock:
            engine = tenant.engine
            moment = max(now, tenant.newest)
            found = nearness(engine.judges.values(), tenant.windows, wanted, engine.acts, moment)
        (user,) = wanted.get("user", [None])
        spared = self._spared(tenant, user, now)
        return [replace(one, spared=spared.among(one.group, now)) for one in found]

    def _spared(self, tenant: Tenant, user: str | None, now: int) -> Spared:
        """Return the allowlist; of users it knows only the keys of `user`, which all stand for `user`."""
        app = tenant.app.id
        own = frozenset(self._store.people.keys(app, user)) if user is not None else frozenset()
        allowances = self._store.allow.list(app, now)
        return Spared(tenant.never, allowances, lambda keys: [user if key in own else None for key in keys])

    def decision(self, app: str, id: str) -> DecisionWhy | None:
        """Return what a decision rests on; None for an unknown id."""
        kept = self._store.decisions.get(app, id)
        if kept is None:
            return None
        of = kept.decision.finding
        finding = self._store.findings.get(app, of) if of else None
        ids = finding.finding.events if finding else ()
        return DecisionWhy(kept, finding, list(self._store.events.some(app, ids[-SHOWN:])))

    def _values(self, tenant: Tenant, given: Iterable[str]) -> dict[str, list[Any]]:
        fields = sorted({field for judge in tenant.engine.judges.values() for field in judge.playbook.group_by})
        found: dict[str, list[Any]] = {}
        for pair in given:
            field, equals, text = pair.partition("=")
            if not equals or not text:
                raise SentinelError(f"`group`: `{pair[:64]}` is not FIELD=VALUE", "such as `ip=203.0.113.9`")
            if field not in fields:
                known = ", ".join(f"`{one}`" for one in fields) or "nothing"
                hint = suggest(field[:64], fields) or f"they group by {known}"
                raise SentinelError(f"`group`: no playbook groups by `{field[:64]}`", hint)
            found[field] = self._meant(tenant.app, field, text)
        return found

    def _meant(self, app: App, field: str, text: str) -> list[Any]:
        """Return the values of a field that a text may mean, the likeliest first."""
        if field == "ip":
            exact = address.normalise(text.partition("/")[0])
            if exact is None:
                raise SentinelError(f"`group`: `{text[:64]}` is not an address", "write `203.0.113.9`")
            return [address.network_of(exact, app.ipv6) if ":" in exact else exact]
        if field == "ip.network":
            around = address.site(text.partition("/")[0])
            if around is None or text not in (around, text.partition("/")[0]):
                raise SentinelError(f"`group`: `{text[:64]}` is no network of `ip.network`", "write `203.0.113.0/24`")
            return [around]
        if field == "user":
            person = self._store.people.get(app.id, key := identity.read_key(text))
            return [person.key if person else key]
        try:
            other = json.loads(text)
        except (ValueError, RecursionError):
            return [text]
        return [text, other] if isinstance(other, bool | int | float) else [text]
