"""A finding: the crossing that a playbook answers to, with its evidence and its effects."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal, get_args

from sentinel.core.decision import Decision
from sentinel.core.number import whole

Severity = Literal["info", "low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)  # each worse than those before it
TRIPPED = "guard.tripped"  # what programs are told when a guard begins to hold a playbook back

# Metrics that windows count no further than they must: once reached, there may have been more.
_COUNTED = ("count", "distinct.", "step.", "earlier")
_NUMBER = re.compile(r"(>=?) (\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Effect:
    """Something to be done, as data; nothing here has happened yet.

    `target` is the user key, address or network acted on, None for notify, webhook and emit. `length` is in
    microseconds, None for ever. `decisions` are what enforcement points would be told. `held` says why
    nothing is done although the playbook asks for it: `monitor`, `guard`, `allowlisted` …; None where it acts.
    `event` is what emit makes, as the JSON object that `event.read(…, enriched=True)` reads.
    """

    kind: str
    target: str | None = None
    length: int | None = None
    decisions: tuple[Decision, ...] = ()
    label: str | None = None
    channel: str | None = None
    held: str | None = None
    event: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One episode: which playbook, for which group, anchored at which event, with which tally.

    `at` and `event_id` are the anchor's; `group` maps each field of `group_by` to its value; `tally` maps each
    metric to its value at the anchor (count and distinct: at least so many), `threshold` to what it had to reach.
    `events` are ids of the events it rests on, oldest first; of many, the newest few.
    `acted` says whether any effect on a user or address was carried out.
    """

    id: str
    playbook: str
    version: str
    severity: str
    mode: str
    key: str
    group: Mapping[str, object]
    at: int
    event_id: str
    tally: Mapping[str, int | float]
    threshold: Mapping[str, str]
    title: str = ""
    user: str | None = None
    ip: str | None = None
    approximate: bool = False
    historical: bool = False
    effects: tuple[Effect, ...] = ()
    acted: bool = False
    events: tuple[str, ...] = ()


def finding_id(app: str, playbook: str, key: str, at: int, event_id: str) -> str:
    """Return the id of a finding: 32 hex digits, the same whenever the same crossing is found again."""
    parts = (app, playbook, key, str(at), event_id)
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def guarded(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a finding made into the news that its playbook's guard holds; it is no second finding.

    `guard` is the finding's id, the effects are those that the guard held back, and the severity is at least medium.
    """
    severity = "medium" if told["severity"] in ("info", "low") else told["severity"]
    return {
        **told, "id": f"{told['id']}-guard", "guard": told["id"], "severity": severity, "acted": False,
        "title": f"{told['title'] or told['playbook']} – held back by its guard",
        "effects": [effect for effect in told["effects"] if effect.get("held") == "guard"],
    }  # fmt: skip


def tally_texts(
    tally: Mapping[str, Any], write: Callable[[Any], str], threshold: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """Return the texts of a tally by metric: `>= 10` where counting stopped at ten and there may be more.

    `write` makes the text of one value; whole floats come to it as integers. Without `threshold` every metric is taken
    to have been reached, as in a finding.
    """
    tally = {name: whole(value) if isinstance(value, float) else value for name, value in tally.items()}
    return {
        name: f">= {write(value)}" if _is_floor(name, value, tally, threshold) else write(value)
        for name, value in tally.items()
    }


def _is_floor(name: str, value: Any, tally: Mapping[str, Any], threshold: Mapping[str, Any] | None) -> bool:
    if not name.startswith(_COUNTED) or not isinstance(value, int | float) or not value or "mean" in tally:
        return False  # a spike is measured, not counted up to a number
    if threshold is None:
        return True
    asked = _NUMBER.fullmatch(str(threshold.get(name, "")))
    return asked is not None and (value > float(asked[2]) if asked[1] == ">" else value >= float(asked[2]))
