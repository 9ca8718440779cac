"""Why somebody was blocked, in one sentence that can be sent to them.

It is made of times and titles of playbooks, and never of what came with events or what colleagues wrote to one another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Literal

from sentinel.core.decision import Decision
from sentinel.core.record import KeptDecision
from sentinel.service.about import overruled, standing

Of = Literal["account", "address", "network"]
_LONGEST_TITLE = 120
_BESIDE = '"“”<>`'
_DID: Mapping[str, str] = {
    "block": "was blocked", "redirect": "was led to another page", "challenge": "was asked for a further proof",
}  # fmt: skip
_AT_LOGINS: Mapping[str, str] = {
    "block": "was blocked from logging in", "redirect": "was led to another page at logins",
    "challenge": "was asked for a further proof at logins",
}  # fmt: skip
_WHERE: Mapping[str, str] = {"user+ip": " at one address", "user+device": " on one device"}
_HOLDS: Mapping[str, str] = {"block": "the block", "redirect": "this", "challenge": "this"}


def answer(decisions: Iterable[KeptDecision], titles: Mapping[str, str], now: int, of: Of = "account") -> str:
    """Return the sentence about the decision that matters: the strictest in force, else the last made.

    A decision by hand overrules those of playbooks. `titles` are the playbooks' titles by id.
    """
    decisions = list(decisions)
    over = overruled(decisions, now)
    against = [kept for kept in decisions if kept.decision.kind != "allow"]
    held = standing((kept for kept in against if kept.decision.id not in over), now)
    if held:
        kept = held[0]
        return f"{_began(kept.decision, titles, of)}, and {_end(kept.decision)} {_reference(kept.decision)}."
    if against:
        kept = max(against, key=lambda one: (one.decision.id in over, one.decision.made))
        ended = _over(kept, over.get(kept.decision.id))
        return f"{_began(kept.decision, titles, of)}, which {ended} {_reference(kept.decision)}."
    if of == "network":
        return (
            "Your network as a whole is not blocked, and we have no record that it was; single addresses in it may be."
        )
    return f"Your {of} is not blocked, and we have no record that it was."


def _began(decision: Decision, titles: Mapping[str, str], of: Of) -> str:
    did = (_AT_LOGINS if decision.logins_only else _DID)[decision.kind] + _WHERE.get(decision.scope, "")
    return f"Your {of} {did} on {_when(decision.made)} because {_cause(decision, titles, of)}"


def _cause(decision: Decision, titles: Mapping[str, str], of: Of) -> str:
    if decision.playbook is None:
        return "a member of our team decided so"
    title = _plain(titles.get(decision.playbook, "")) or _plain(decision.playbook)
    seen = "activity on it" if of == "account" else "activity from it"
    return f"{seen} looked like what our protection calls “{title}”"


def _end(decision: Decision) -> str:
    what = _HOLDS[decision.kind]
    if decision.until is None:
        return f"{what} lasts until our team lifts it"
    return f"{what} ends by itself on {_when(decision.until)}"


def _over(kept: KeptDecision, overruling: KeptDecision | None) -> str:
    if overruling is not None:
        return f"our team lifted on {_when(overruling.decision.made)}"
    if kept.lifted is not None:
        return f"our team lifted on {_when(kept.lifted)}"
    until = kept.decision.until
    return "is over" if until is None else f"ended on {_when(until)}"


def _reference(decision: Decision) -> str:
    return f"(reference {_plain(decision.id)})"


def _when(at: int) -> str:
    moment = datetime.fromtimestamp(at // 1_000_000, UTC)
    return f"{moment.day} {moment:%B %Y} at {moment:%H:%M} UTC"


def _plain(text: str) -> str:
    """Return a text without characters that steer, mark up or end a quotation."""
    kept = "".join(char for char in text if char.isprintable() and char not in _BESIDE)
    return " ".join(kept.split())[:_LONGEST_TITLE]
