"""Whom Moesif's middlewares refuse: our bans in the form of the configuration and the rules that they fetch.

Clients fetch rules once a minute, so rules hardly change; the users they apply to are in the configuration, which
clients fetch when the tag beside an answer changed. That tag changes every minute: the middleware for Go skips a tag
equal to the one before the last, and would go on refusing whoever was let go. Middlewares in Python fail on a rule,
or skip it, where a field is missing or a value is not a text: every rule has all fields, every value is a text. One
of them fills in nested objects of a rule in place, once for everybody, so bodies are flat.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from sentinel.compat.moesif.calls import COMPANY
from sentinel.core import identity
from sentinel.core.decision import Place, place
from sentinel.core.duration import MINUTE
from sentinel.service.bans import Ban, Bans, Table, Target

USER_RULE = "sentinel-user"
COMPANY_RULE = "sentinel-company"
ADDRESS_RULE = "sentinel-address"
MOST = 20_000  # users and companies each; who is refused longest is told
MOST_PLACES = 1_000
TURN = MINUTE  # after which all is told anew, under another tag
_REFUSAL = {
    "status": 403,
    "headers": {"Content-Type": "application/json", "Cache-Control": "no-store"},
    "body": {"error": "blocked", "message": "this request was refused", "reference": "{{0}}"},
}
_CONFIG: Mapping[str, Any] = {
    "sample_rate": 100, "block_bot_traffic": False, "user_sample_rate": {}, "company_sample_rate": {},
    "ip_addresses_blocked_by_name": {}, "regex_config": [], "billing_config_jsons": {},
}  # fmt: skip


class Told(NamedTuple):
    """What clients are told, as JSON, and the tags of it. `left_out` counts whom there was no room for."""

    config: bytes
    config_tag: str
    rules: bytes
    rules_tag: str
    left_out: int


class _Kept(NamedTuple):
    number: int
    turn: int
    told: Told


class Rulebook:
    """What the clients of each app are told, made anew when bans changed; may be asked from any thread.

    `clock` gives microseconds since 1970.
    """

    def __init__(self, bans: Bans, clock: Callable[[], int]) -> None:
        self._bans = bans
        self._clock = clock
        self._kept: dict[tuple[str, str, bool], _Kept] = {}
        self._lock = threading.Lock()

    def fresh(self, app: str, identifier: str, addresses: bool) -> Told | None:
        """Return what was told last if it still holds, else None; this asks no store and never waits."""
        table = self._bans.fresh(app)
        kept = self._kept.get((app, identifier, addresses))
        now = None if table is None else (table.number, self._clock() // TURN)
        return kept.told if kept is not None and kept[:2] == now else None

    def told(self, app: str, identifier: str, addresses: bool) -> Told:
        """Return what is told now; raises StoreBusy where that is not known."""
        table = self._bans.table(app)
        with self._lock:
            kept = self._kept.get((app, identifier, addresses))
            number, turn = table.number, self._clock() // TURN
            if kept is None or kept[:2] != (number, turn):
                told = _told(table, identifier, addresses, turn)
                kept = self._kept[app, identifier, addresses] = _Kept(number, turn, told)
            return kept.told


def decided(table: Table, rule: str, keys: Mapping[str, str], ip: str | None) -> tuple[str, str | None] | None:
    """Return the scope and the decision of a call that was refused by a rule of ours, None for others' rules.

    `keys` are the user's and the company's by rule. The decision is None where it has ended since.
    """
    if rule == ADDRESS_RULE:
        found = table.covering(place(ip)) if ip else []
        return "ip", found[-1][1].decision if found else None
    if rule not in (USER_RULE, COMPANY_RULE):
        return None
    ban = table.bans.get(keys.get(rule, ""))
    return "user", ban.decision if ban is not None else None


def _told(table: Table, identifier: str, addresses: bool, turn: int) -> Told:
    bans = table.bans.copy()
    users, more = _listed(bans, f"{identity.key_type(identifier)}:", USER_RULE)
    companies, others = _listed(bans, f"{COMPANY}:", COMPANY_RULE)
    places = sorted(one for one, ban in bans.items() if isinstance(one, Place) and ban.kind == "block")
    patterns = [pattern for one in places if (pattern := _pattern(one)) is not None] if addresses else []
    rules = [_rule(USER_RULE, "user", "user_id"), _rule(COMPANY_RULE, "company", "company_id")]
    if patterns:
        rules.append(_address_rule(patterns[:MOST_PLACES]))
    config = msgspec.json.encode({**_CONFIG, "user_rules": users, "company_rules": companies})
    written = msgspec.json.encode(rules)
    rules_tag = _tag(written, turn)
    left_out = more + others + max(0, len(patterns) - MOST_PLACES)
    return Told(config, _tag(config + written, turn), written, rules_tag, left_out)


def _listed(bans: Mapping[Target, Ban], prefix: str, rule: str) -> tuple[dict[str, Any], int]:
    """Return the users or companies that a rule applies to, by id, and how many there was no room for."""
    found = [
        (ban.until, target, ban)
        for target, ban in bans.items()
        if isinstance(target, str) and ban.kind == "block" and target.startswith(prefix)
    ]
    found.sort(key=lambda one: (-one[0], one[1]))
    chosen = sorted(found[:MOST], key=lambda one: one[1])
    listed = {target[len(prefix) :]: [{"rules": rule, "values": {"0": ban.decision}}] for _, target, ban in chosen}
    return listed, max(0, len(found) - MOST)


def _rule(id: str, kind: str, path: str) -> dict[str, Any]:
    return {
        "_id": id, "name": f"Sentinel: refused {kind}", "type": kind, "block": True, "applied_to": "matching",
        "applied_to_unidentified": False, "regex_config": [], "variables": [{"name": "0", "path": path}],
        "response": _REFUSAL,
    }  # fmt: skip


def _address_rule(patterns: list[str]) -> dict[str, Any]:
    """Return the rule for addresses. Some clients call their field `request.ip`, one `request.ip_address`."""
    whole = f"^(?:::ffff:)?(?:{'|'.join(patterns)})$"
    fields = ("request.ip", "request.ip_address")
    refusal = {**_REFUSAL, "body": {"error": "blocked", "message": "this request was refused"}}
    return {
        **_rule(ADDRESS_RULE, "regex", ""), "name": "Sentinel: refused addresses", "variables": [], "response": refusal,
        "regex_config": [{"conditions": [{"path": field, "value": whole}]} for field in fields],
    }  # fmt: skip


def _pattern(place: Place) -> str | None:
    """Return an address or IPv4 network as a regular expression, None for what has too many spellings."""
    if place.version == 6:
        return str(place).partition("/")[0] if place.alone else None
    whole, rest = divmod(place.length, 8)
    octets = place.first.to_bytes(4, "big")
    parts = [str(octet) for octet in octets[:whole]]
    if rest:
        first = octets[whole]
        parts.append(f"(?:{'|'.join(str(first + step) for step in range(1 << (8 - rest)))})")
    parts += ["[0-9]{1,3}"] * (4 - len(parts))
    return "[.]".join(parts)


def _tag(data: bytes, turn: int) -> str:
    return f'"{blake2b(data + turn.to_bytes(8), digest_size=12).hexdigest()}"'
