"""The API's explanation of an event, a group or a decision, as lines of text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sentinel.cli.terminal import many
from sentinel.core.finding import tally_texts
from sentinel.core.number import digits

SIGNS = {True: "yes", False: "no ", None: "?  "}


def event_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Give what rules and playbooks make of an event; of those that do not look at its name only how many."""
    event = found["event"]
    yield f"{event['event']} {event['id']} at {event['timestamp']}"
    yield from _parts(found["rules"], "rules")
    passed = 0
    for one in found["playbooks"]:
        if not any(part["named"] for part in one["parts"]):
            passed += 1
            continue
        yield ""
        verdict = f"counts for {group(one['group'])}" if one["counts"] else f"does not count: {one['why']}"
        yield f"playbook {one['id']} ({one['mode']}) {verdict}"
        for part in one["parts"]:
            yield from _part(part, show_name=len(one["parts"]) > 1)
    if passed:
        yield ""
        yield f"{passed} playbooks do not look at events named `{event['event']}`"


def _parts(parts: list[Mapping[str, Any]], what: str) -> Iterator[str]:
    shown = [part for part in parts if part["named"]]
    if shown:
        yield ""
        yield what
    for part in shown:
        yield from _part(part, show_name=True)


def _part(part: Mapping[str, Any], show_name: bool) -> Iterator[str]:
    indent = "  "
    if show_name:
        name = part["name"] + (f" (rule {part['rule']})" if part["rule"] and part["rule"] != part["name"] else "")
        yield f"{indent}{SIGNS[part['matches']]}  {name}"
        indent += "     "
    for clause in part["clauses"] if part["named"] else ():
        values = clause["fields"] | clause["operands"]
        behind = ", ".join(f"{text} = {_value(value)}" for text, value in values.items())
        yield f"{indent}{SIGNS[clause['truth']]}  {clause['source']}" + (f"    {behind}" if behind else "")


def group_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Give how near a group is to each playbook's finding."""
    if not found["playbooks"]:
        yield "no playbook groups by that alone"
    for number, one in enumerate(found["playbooks"]):
        if number:
            yield ""
        yield f"{one['id']} ({one['mode']}), {group(one['group'])}"
        for name, text in tally_texts(one["tally"], _number, one["threshold"]).items():
            wanted = one["threshold"].get(name, "")
            about = " (approximate)" if one["approximate"] else ""
            yield f"  {name}: {text}{about}" + (f" of {wanted}" if wanted else "")
        yield f"  fires: {one['fires']}"
        if one["empties"]:
            yield f"  empties at {one['empties']}"
        if one["held"]:
            yield f"  held back until {one['held']} by an earlier finding"
        for field, why in one.get("spared", {}).items():  # a server of before does not tell
            yield f"  nobody acts on {field} {one['group'][field]}: {why}"
        for opened in one["opened"]:
            yield f"  found at {opened['at']}, {'acted' if opened['acted'] else 'acted on nobody'}"


def decision_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Give why there is a decision."""
    made, finding = found["decision"], found["finding"]
    yield f"{made['kind']} {made['scope']} {made['value']}"
    yield f"  made {made['made']} by {_author(made)}: {made['reason']}"
    yield f"  {_end(made)}"
    if made["logins_only"]:
        allowed = made["kind"] == "allow"
        yield f"  it {'lets logins through' if allowed else 'holds at logins alone: open sessions go on'}"
    if finding is None:
        return
    yield ""
    yield f"finding {finding['id']}, {finding['severity']}: {group(finding['group'])} at {finding['at']}"
    for name, text in tally_texts(finding["tally"], _number, finding["threshold"]).items():
        wanted = finding["threshold"].get(name)
        yield f"  {name}: {text}" + (f" of {wanted}" if wanted else "")
    yield f"  {many(finding['evidence'], 'event')} so far, the last at {finding['last']}"
    for event in found["events"]:
        who = ", ".join(str(event[name]) for name in ("user", "ip") if event[name])
        yield f"  {event['timestamp']}  {event['event']}  {who}  {event['id']}"


def _number(value: float | None) -> str:
    return "-" if value is None else digits(value)


def _author(made: Mapping[str, Any]) -> str:
    if made["playbook"]:
        return f"playbook {made['playbook']} (version {made['version']})"
    return str(made["by"] or "a person")


def _end(made: Mapping[str, Any]) -> str:
    if made["lifted"]:
        why = f": {made['lifted_why']}" if made["lifted_why"] else ""
        return f"lifted {made['lifted']} by {made['lifted_by']}{why}"
    if not made["in_force"]:
        return "taken back" if made["removed"] is not None else f"ended {made['until']}"
    over = f"overruled by decision {made['overruled']}, else " if made["overruled"] else ""
    return f"{over}in force until {made['until']}" if made["until"] else f"{over}in force until it is lifted"


def group(values: Mapping[str, Any] | None) -> str:
    """Return a group as people read it."""
    return ", ".join(f"{field} {value}" for field, value in (values or {}).items()) or "the whole app"


def _value(value: Any) -> str:
    return "missing" if value is None else json.dumps(value, ensure_ascii=False)
