"""What Sigma rules and correlations mean, as plainly as can be: over the decoded YAML itself, event by event.

Written from the Sigma specification alone; it knows neither pySigma nor our language.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from typing import Any

MISSING = object()


def value_of(event: dict[str, Any], path: str) -> Any:
    """The value of a dotted path, MISSING where there is none."""
    found: Any = event
    for part in path.split("."):
        if not isinstance(found, dict) or found.get(part) is None:
            return MISSING
        found = found[part]
    return found


def matches(rule: dict[str, Any], event: dict[str, Any]) -> bool:
    """Whether an event matches a rule whose condition is made of `and`, `or`, `not`, brackets and selections."""
    detection = rule["detection"]
    words = re.findall(r"[()]|\w+", detection["condition"])
    told = {name: selection(one, event) for name, one in detection.items() if name != "condition"}
    plain = " ".join(word if word in ("and", "or", "not", "(", ")") else str(told[word]) for word in words)
    return bool(eval(plain))


def selection(what: Any, event: dict[str, Any]) -> bool:
    """A list is any of its maps, a map all of its fields."""
    if isinstance(what, list):
        return any(selection(one, event) for one in what)
    return all(item(key, value, event) for key, value in what.items())


def item(key: str, values: Any, event: dict[str, Any]) -> bool:
    """One field with its modifiers: any of its values, or with `all` every one."""
    path, *modifiers = key.split("|")
    found = value_of(event, path)
    every = "all" in modifiers
    listed = values if isinstance(values, list) else [values]
    return (all if every else any)(one_value(found, one, modifiers) for one in listed)


def one_value(found: Any, value: Any, modifiers: list[str]) -> bool:
    if "exists" in modifiers:
        return (found is not MISSING) == value
    if value is None:
        return found is MISSING
    if found is MISSING:
        return False
    for word, test in {"gt": found_gt, "gte": found_gte, "lt": found_lt, "lte": found_lte}.items():
        if word in modifiers:
            return number(found) and test(found, value)
    if "cidr" in modifiers:
        return inside(found, value)
    if "re" in modifiers:
        return isinstance(found, str) and re.search(value, found, re.IGNORECASE if "i" in modifiers else 0) is not None
    if not isinstance(value, str):
        return type(value) is type(found) and found == value
    return isinstance(found, str) and text(found, value, modifiers)


def number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def found_gt(found: Any, value: Any) -> bool:
    return found > value


def found_gte(found: Any, value: Any) -> bool:
    return found >= value


def found_lt(found: Any, value: Any) -> bool:
    return found < value


def found_lte(found: Any, value: Any) -> bool:
    return found <= value


def inside(found: Any, network: str) -> bool:
    try:
        return ipaddress.ip_address(found) in ipaddress.ip_network(network)
    except ValueError:
        return False


def text(found: str, pattern: str, modifiers: list[str]) -> bool:
    """A text with wildcards, its case of no account unless `cased`."""
    if "cased" not in modifiers:
        found, pattern = found.lower(), pattern.lower()
    if "contains" in modifiers:
        pattern = f"*{pattern}*"
    if "startswith" in modifiers:
        pattern = f"{pattern}*"
    if "endswith" in modifiers:
        pattern = f"*{pattern}"
    return re.fullmatch(fnmatch.translate(pattern.replace("[", "[[]")), found) is not None


def fires(
    correlation: dict[str, Any], rules: dict[str, dict[str, Any]], events: list[dict[str, Any]], window: int
) -> set[tuple[Any, ...]]:
    """The groups for which a correlation holds at some time, `window` in seconds; events have a `timestamp`."""
    named = correlation["rules"] if isinstance(correlation["rules"], list) else [correlation["rules"]]
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for event in sorted(events, key=lambda one: (one["timestamp"], one["id"])):
        key = tuple(value_of(event, path) for path in correlation.get("group-by", []))
        if MISSING not in key:
            groups.setdefault(key, []).append(event)
    found = set()
    for key, own in groups.items():
        hits = [(one, {name for name in named if matches(rules[name], one)}) for one in own]
        hits = [(one, names) for one, names in hits if names]
        for last in range(len(hits)):
            end = hits[last][0]["timestamp"]
            within = [hit for hit in hits[: last + 1] if hit[0]["timestamp"] > end - window]
            same = [hit for hit in hits[last + 1 :] if hit[0]["timestamp"] == end]
            if holds(correlation, named, within + same):
                found.add(key)
    return found


def holds(correlation: dict[str, Any], named: list[str], hits: list[tuple[dict[str, Any], set[str]]]) -> bool:
    """Whether the matching events of one window, in order, are what a correlation asks for."""
    kind, condition = correlation["type"], correlation.get("condition", {})
    if kind == "temporal":
        return set.union(set(), *(names for _, names in hits)) == set(named)
    if kind == "temporal_ordered":
        wanted = list(named)
        for _, names in hits:
            if wanted and wanted[0] in names:
                wanted.pop(0)
        return not wanted
    if kind == "event_count":
        return reached(len(hits), condition)
    values = [found for event, _ in hits if (found := value_of(event, condition["field"])) is not MISSING]
    if kind == "value_count":
        return reached(len(set(map(repr, values))), condition)
    numbers = [one for one in values if number(one)]
    if kind == "value_sum":
        return bool(numbers) and reached(sum(numbers), condition)
    return bool(numbers) and reached(sum(numbers) / len(numbers), condition)


def reached(value: float, condition: dict[str, Any]) -> bool:
    return value >= condition["gte"] if "gte" in condition else value > condition["gt"]
