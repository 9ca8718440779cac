"""The result of a backtest, as the one JSON object that ends its report; the command's table is made from it too."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sentinel.core import moment
from sentinel.core.duration import SECOND
from sentinel.engine.playbook import Playbook
from sentinel.service.trials.backtest import BUSIEST, Backtest
from sentinel.service.trials.harm import ADDRESSES, USERS, Coverage


def summary(backtest: Backtest) -> dict[str, Any]:
    """Return what a finished run came to; the same files and playbooks give the same object."""
    plan, findings, account = backtest.plan, backtest.findings, backtest.account
    judged = [one for one in plan.playbooks if one.id in backtest.engine.judges]
    return {
        "events": account.events,
        "repeats": backtest.sorting.repeats,
        "order": backtest.order,
        "span": _span(backtest),
        "bad_lines": {"count": account.bad.total(), "reasons": dict(account.bad.most_common()), "first": account.shown},
        "judged_as": "own" if plan.own_modes else "enforce",
        "left_out": [one.id for one in plan.playbooks if one.id not in backtest.engine.judges],
        "playbooks": {one.id: _playbook(backtest, one) for one in judged},
        "findings": findings.count.total(),
        "historical": findings.historical,
        "approximate": findings.approximate,
        "retracted": findings.retracted,
        "dropped": dict(backtest.windows.dropped()),
        "users": _coverage(findings.coverage[USERS]),
        "addresses": _coverage(findings.coverage[ADDRESSES]),
        "actions": {
            kind: {"times": times} | (_coverage(findings.by_kind[kind]) if kind in findings.by_kind else {})
            for kind, times in sorted(findings.done.items())
        },
        "held_back": _nested(findings.held),
        "busiest": [
            {"playbook": group[0], "group": findings.shown[group], "findings": count}
            for group, count in findings.groups.most_common(BUSIEST)
            if count
        ],
        "harm": {
            what: {"blocked": len(backtest.harm.blocked[what]), "owners": len(backtest.harm.owners[what])}
            for what in (USERS, ADDRESSES)
        }
        | {"refused": len(backtest.harm.refused)},
    }


def _playbook(backtest: Backtest, playbook: Playbook) -> dict[str, Any]:
    replay = backtest.replay
    return {
        "mode": playbook.mode,
        "version": playbook.version,
        "matched": replay.matched[playbook.id],
        "findings": backtest.findings.count[playbook.id],
        "skipped": _of(playbook.id, replay.skipped),
        "errors": _of(playbook.id, replay.errors),
    }


def _of(playbook: str, counted: Counter[tuple[str, str]]) -> dict[str, int]:
    return {reason: count for (owner, reason), count in counted.most_common() if owner == playbook}


def _span(backtest: Backtest) -> dict[str, Any] | None:
    oldest, newest = backtest.oldest, backtest.replay.newest
    if oldest is None:
        return None
    seconds = (newest - oldest) / SECOND
    rate = round(backtest.account.events / seconds, 3) if seconds else None
    return {"from": moment.to_text(oldest), "to": moment.to_text(newest), "seconds": seconds, "events_per_s": rate}


def _coverage(coverage: Coverage) -> dict[str, int]:
    return {"targets": coverage.targets, "seconds": coverage.covered // SECOND, "forever": coverage.forever}


def _nested(counted: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (outer, inner), count in sorted(counted.items()):
        found.setdefault(outer, {})[inner] = count
    return found
