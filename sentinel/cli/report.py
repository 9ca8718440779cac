"""The report of a backtest as text in columns, from its findings and its summary."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from sentinel.cli.terminal import many
from sentinel.core import moment
from sentinel.core.duration import SECOND, format_duration
from sentinel.core.finding import tally_texts
from sentinel.core.number import digits
from sentinel.engine.playbook import Absent
from sentinel.service.trials.backtest import Backtest
from sentinel.service.trials.harm import ADDRESSES, USERS
from sentinel.service.trials.summary import summary

SHOWN = 50
WIDEST = 60  # characters of a cell
EACH = {USERS: "user", ADDRESSES: "address"}


def write_report(run: Backtest, say: Callable[[str], None]) -> None:
    """Write the report of a finished run, line by line."""
    total = summary(run)
    for part in (
        head(total),
        _findings(run, total),
        _playbooks(total),
        _effects(total),
        _busiest(total),
        _rest(total),
    ):
        for line in part:
            say(line)


def head(total: Mapping[str, Any]) -> Iterator[str]:
    """Give what was judged, and as what."""
    span = total["span"]
    yield f"{many(total['events'], 'event')}, {total['order']}" + (f", {_spanned(span)}" if span else "")
    if total["judged_as"] == "enforce":
        yield "every playbook is judged as if its mode were `enforce`"
    if total["left_out"]:
        yield f"left out, because they are off: {', '.join(total['left_out'])}"


def _spanned(span: Mapping[str, Any]) -> str:
    rate = f", {span['events_per_s']:,g} a second" if span["events_per_s"] else ""
    return f"{span['from']} to {span['to']} ({_time(span['seconds'])}{rate})"


def _findings(run: Backtest, total: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield many(total["findings"], "finding")
    rows = [finding_row(json.loads(line)) for line in islice(run.findings.lines(), SHOWN)]
    yield from columns(rows)
    if total["findings"] > SHOWN:
        yield f"  … and {number(total['findings'] - SHOWN)} more (--format json tells all)"
    if late := _after_the_end(run, total):
        unknown = "what came then is not known, and may have ended it before"
        yield f"  {many(late, 'wait')} ended after the last event: {unknown}"


def _after_the_end(run: Backtest, total: Mapping[str, Any]) -> int:
    """Return how many findings lie behind all that was read: time was let run on for what did not come."""
    if not any(isinstance(judge.playbook.detector, Absent) for judge in run.engine.judges.values()):
        return 0
    end = moment.parse(total["span"]["to"]) if total["span"] else 0
    return sum(moment.parse(json.loads(line)["at"]) > end for line in run.findings.lines())


def finding_row(found: Mapping[str, Any]) -> Sequence[str]:
    """Return a finding as the cells of a row."""
    tally = ", ".join(f"{name} {text}" for name, text in tally_texts(found["tally"], _figure).items())
    actions = ", ".join(_action(one) for one in found["actions"])
    return found["at"], found["playbook"], _group(found["group"]), tally, actions


def _figure(value: float) -> str:
    return digits(value, ",")


def _action(action: Mapping[str, Any]) -> str:
    target = f" {action['target']}" if action["target"] else ""
    return f"{action['kind']}{target}" + (f" for {_time(action['for_s'])}" if action["for_s"] is not None else "")


def _playbooks(total: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    rows = [("playbook", "mode", "events matched", "findings")]
    for name, one in total["playbooks"].items():
        rows.append((name, one["mode"], number(one["matched"]), number(one["findings"])))
    yield from columns(rows)


def _effects(total: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    rows = [("would have been acted on", "times", "different", "for, in all")]
    rows += [(what, "", number(total[what]["targets"]), _covered(total[what])) for what in EACH]
    for kind, one in total["actions"].items():
        rows.append((kind, number(one["times"]), number(one["targets"]) if "targets" in one else "", _covered(one)))
    yield from columns(rows)
    for kind, reasons in total["held_back"].items():
        for reason, times in reasons.items():
            yield f"  {kind} was held back {many(times, 'time')}: {reason}"
    yield from _harm(total["harm"])


def _harm(harm: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    for what, word in EACH.items():
        one = harm[what]
        like = "its owner" if one["blocked"] == 1 else "their owners"
        yield (
            f"harm: of {many(one['blocked'], word)} blocked, {number(one['owners'])} later looked like {like} "
            "(a successful login from a place familiar before the finding)"
        )
    if harm["users"]["owners"] or harm["addresses"]["owners"]:
        yield f"      {many(harm['refused'], 'user')} would not have been let in; the others' places are spared"


def _busiest(total: Mapping[str, Any]) -> Iterator[str]:
    if total["busiest"]:
        yield ""
        rows = [("busiest groups", "", "findings")]
        rows += [(one["playbook"], _group(one["group"]), number(one["findings"])) for one in total["busiest"]]
        yield from columns(rows)


def _rest(total: Mapping[str, Any]) -> Iterator[str]:
    """Tell what was passed over."""
    lines = []
    for name, one in total["playbooks"].items():
        lines += [f"{name} skipped {many(count, 'event')}: {reason}" for reason, count in one["skipped"].items()]
        lines += [f"{name} failed on {many(count, 'event')}: {text}" for text, count in one["errors"].items()]
    lines += [f"{number(count)} {reason}" for reason, count in total["dropped"].items()]
    counted = (
        ("repeats", "repeated event", "counted once"),
        ("historical", "finding", "too late to act on"),
        ("approximate", "finding", "with an approximate tally"),
        ("retracted", "finding", "taken back by what came late"),
    )
    lines += [f"{many(total[key], what)} {text}" for key, what, text in counted if total[key]]
    bad = total["bad_lines"]
    if bad["count"]:
        lines.append(f"{many(bad['count'], 'line')} {'is no event' if bad['count'] == 1 else 'are no events'}:")
        lines += [f"  {number(count)} × {reason}" for reason, count in bad["reasons"].items()]
        lines += [f"  {line}" for line in bad["first"]]
    yield from ["", *lines] if lines else []


def columns(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Give rows as text in columns, the last one as wide as it likes."""
    rows = [[*(_short(cell) for cell in row[:-1]), row[-1]] for row in rows]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _short(cell: str) -> str:
    return cell if len(cell) <= WIDEST else cell[: WIDEST - 1] + "…"


def _group(group: Mapping[str, Any]) -> str:
    return ", ".join(f"{field} {value}" for field, value in group.items()) or "everybody"


def _covered(one: Mapping[str, Any]) -> str:
    if "targets" not in one:
        return ""
    forever = f"{number(one['forever'])} for ever" if one["forever"] else ""
    return ", ".join(filter(None, (_time(one["seconds"]) if one["seconds"] else "", forever)))


def _time(seconds: float) -> str:
    return format_duration(round(seconds) * SECOND)


def number(number: int) -> str:
    """Return a number as people read it."""
    return f"{number:,}"
