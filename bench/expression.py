"""How long one condition takes on one event: compiled expressions beside simpleeval with its tree parsed beforehand.

simpleeval gets the event as the nested dict it wants, made before the clock starts.
usage: python bench/expression.py
"""

from __future__ import annotations

import timeit
from collections.abc import Callable

from simpleeval import EvalWithCompoundTypes

from sentinel.core.event import Event, read
from sentinel.engine.expression import compile_expression

RAW = {
    "id": "e1", "event": "auth", "timestamp": 1_767_571_200, "success": False, "ip": "203.0.113.9",
    "request": {"path": "/login", "status": 401}, "properties": {"amount": 21, "cart": {"total": 99.5}},
    "geo": {"country": "US"},
}  # fmt: skip
CONDITIONS = {
    "three clauses": 'event == "auth" and not success and geo.country not in ["FR", "DE"]',
    "one clause": 'event == "auth"',
    "the last of ten": " or ".join([f'event == "other{number}"' for number in range(9)] + ["not success"]),
    "nested, with numbers": "properties.cart.total * 2 > 100 and 400 <= request.status < 500",
    "functions": 'startswith(request.path, "/log") and len(request.path) < 20',
}
ROUNDS, REPEATS = 20_000, 7


def main() -> None:
    """Print a line for each condition: microseconds of both, and how many times faster ours is."""
    event = read(RAW, enriched=True)
    print(f"{'condition':22}{'compiled µs':>13}{'simpleeval µs':>15}{'ratio':>8}")
    for name, source in CONDITIONS.items():
        ours, theirs = compiled(source, event), parsed_before(source)
        print(f"{name:22}{ours:13.3f}{theirs:15.3f}{theirs / ours:8.1f}")
    source = CONDITIONS["three clauses"]
    once = best(lambda: compile_expression(source), 200)
    print(f"compiling the three clauses takes {once:.0f} µs, once")


def compiled(source: str, event: Event) -> float:
    """Return the microseconds of `matches` on one event."""
    matches = compile_expression(source).matches
    assert matches(event)
    return best(lambda: matches(event))


def parsed_before(source: str) -> float:
    """Return the microseconds of simpleeval on the same event."""
    evaluator = EvalWithCompoundTypes(names=dict(RAW), functions={"startswith": str.startswith, "len": len})
    tree = evaluator.parse(source)
    assert evaluator.eval(source, previously_parsed=tree)
    return best(lambda: evaluator.eval(source, previously_parsed=tree), ROUNDS // 10)


def best(call: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the microseconds of one call in the quickest of several runs, less those of an empty one."""
    empty = min(timeit.repeat(lambda: None, number=rounds, repeat=REPEATS))
    return (min(timeit.repeat(call, number=rounds, repeat=REPEATS)) - empty) / rounds * 1e6


main()
