"""The functions that an expression may call: one table of names, signatures, documentation and examples.

What they do is in calls.py; how their literal arguments are prepared is in arguments.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sentinel.engine import arguments, calls
from sentinel.engine.kinds import Kind

TEXT, NUMBER, BOOL, LIST, ANY = Kind.TEXT, Kind.NUMBER, Kind.BOOL, Kind.LIST, Kind.ANY


class Param(NamedTuple):
    """One parameter; with `prepare` it takes only a literal, made ready when the expression is compiled."""

    name: str
    kind: Kind
    prepare: arguments.Prepare | None = None
    optional: bool = False


class Function(NamedTuple):
    """One function. `returns` None means whatever its arguments are; `many` lets the last parameter repeat."""

    call: Callable[..., Any]
    params: tuple[Param, ...]
    returns: Kind | None
    doc: str
    example: str
    many: bool = False

    @property
    def fewest(self) -> int:
        """The smallest number of arguments."""
        return sum(not param.optional for param in self.params)

    def param(self, index: int) -> Param | None:
        """Return the parameter an argument at `index` stands for, or None if there are too many arguments."""
        if index < len(self.params):
            return self.params[index]
        return self.params[-1] if self.many else None


_HAYSTACK = Param("haystack", TEXT | LIST)
_TEXT = Param("text", TEXT)
_NUMBER = Param("x", NUMBER)
_TIMESTAMP = Param("timestamp", NUMBER)
_ZONE = Param("zone", TEXT, arguments.zone, optional=True)

FUNCTIONS: Mapping[str, Function] = {
    "lower": Function(
        calls.lower, (_TEXT,), TEXT,
        "The text in lower case.",
        'endswith(lower(user.email), "@example.com")',
    ),
    "upper": Function(
        calls.upper, (_TEXT,), TEXT,
        "The text in upper case.",
        'upper(properties.currency) == "EUR"',
    ),
    "len": Function(
        calls.length, (Param("value", TEXT | LIST),), NUMBER,
        "How many characters a text has, or items a list.",
        "len(properties.items) > 100",
    ),
    "contains": Function(
        calls.contains, (_HAYSTACK, Param("needle", ANY)), BOOL,
        "Whether a text holds another, or a list holds a value: `needle in haystack`.",
        'contains(request.path, "/admin")',
    ),
    "startswith": Function(
        calls.startswith, (_TEXT, Param("prefix", TEXT)), BOOL,
        "Whether the text starts with the prefix.",
        'startswith(request.path, "/api/")',
    ),
    "endswith": Function(
        calls.endswith, (_TEXT, Param("suffix", TEXT)), BOOL,
        "Whether the text ends with the suffix.",
        'endswith(request.path, ".php")',
    ),
    "matches": Function(
        calls.matches, (_TEXT, Param("pattern", TEXT, arguments.pattern)), BOOL,
        "Whether the RE2 pattern is found anywhere in the text; `(?i)` at its start ignores case.",
        r'matches(request.user_agent, "(?i)sqlmap|nikto")',
    ),
    "cidr": Function(
        calls.cidr, (Param("ip", TEXT), Param("networks", TEXT | LIST, arguments.network_set)), BOOL,
        "Whether the address lies in the network, or in one of a list of networks.",
        'cidr(ip, ["198.51.100.0/24", "2001:db8::/32"])',
    ),
    "in_list": Function(
        calls.in_list, (Param("value", TEXT | NUMBER), Param("name", TEXT, arguments.named_list)), BOOL,
        "Whether the value is on a list of `rules/lists`, or is an address in one of the list's networks.",
        'in_list(domain(user.email), "disposable-email-domains")',
    ),
    "domain": Function(
        calls.domain, (Param("address", TEXT),), TEXT,
        "The host of a URL or an e-mail address, in lower case, without a port.",
        'domain(request.referer) != "shop.example"',
    ),
    "hour": Function(
        calls.hour, (_TIMESTAMP, _ZONE), NUMBER,
        "The hour of the day, 0 to 23, in UTC or in a time zone.",
        'hour(timestamp, "Europe/Paris") < 6',
    ),
    "weekday": Function(
        calls.weekday, (_TIMESTAMP, _ZONE), NUMBER,
        "The day of the week, 0 for Monday to 6 for Sunday, in UTC or in a time zone.",
        "weekday(timestamp) in [5, 6]",
    ),
    "coalesce": Function(
        calls.coalesce, (Param("a", ANY), Param("b", ANY)), None,
        "The first argument that is not missing.",
        "coalesce(properties.amount, 0) > 1000",
        many=True,
    ),
    "number": Function(
        calls.number, (Param("value", TEXT | NUMBER),), NUMBER,
        "The number a text spells in decimal digits, such as a request parameter.",
        "number(request.params.amount) > 1000",
    ),
    "abs": Function(
        calls.absolute, (_NUMBER,), NUMBER,
        "The number without its sign.",
        "abs(properties.balance_change) >= 500",
    ),
    "min": Function(
        calls.smallest, (_NUMBER, Param("y", NUMBER)), NUMBER,
        "The smallest of the numbers.",
        "min(properties.width, properties.height) < 10",
        many=True,
    ),
    "max": Function(
        calls.largest, (_NUMBER, Param("y", NUMBER)), NUMBER,
        "The largest of the numbers.",
        "max(properties.width, properties.height) > 10000",
        many=True,
    ),
    "round": Function(
        calls.rounded, (_NUMBER,), NUMBER,
        "The nearest whole number; of two equally near ones the even.",
        "round(properties.score) == 3",
    ),
    "floor": Function(
        calls.floored, (_NUMBER,), NUMBER,
        "The next whole number downwards.",
        "floor(properties.total) == properties.total",
    ),
}  # fmt: skip


def signature(name: str) -> str:
    """Return how a function is called: `hour(timestamp: a number, zone?: text) -> a number`."""
    function = FUNCTIONS[name]
    params = [f"{param.name}{'?' if param.optional else ''}: {param.kind}" for param in function.params]
    params += ["…"] if function.many else []
    returns = "one of them" if function.returns is None else str(function.returns)
    return f"{name}({', '.join(params)}) -> {returns}"
