"""Make data/demo.ndjson.gz: one Monday of a small web shop, with honest people and the attacks of CAUGHT.

Run it to write the file again; the same events come out on every machine. All addresses are of the documentation
ranges, all mail domains reserved. The day itself is in HONEST and ATTACKS; what a playbook is, is not known here.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeVar

FILE = Path(__file__).with_name("demo.ndjson.gz")
MIDNIGHT = datetime(2026, 3, 9, tzinfo=timezone.utc)
MINUTE, HOUR, DAY = 60, 3600, 86400
CUSTOMERS, PRODUCTS = 1100, 900
# How many sessions begin in each hour of the day.
CURVE = (22, 12, 7, 6, 6, 11, 25, 48, 72, 87, 90, 87, 100, 92, 82, 80, 82, 92, 107, 125, 135, 122, 87, 48)
AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/145.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_3 like Mac OS X) AppleWebKit/605.1.15 Version/19.3 Mobile/15E148",
    "Mozilla/5.0 (Linux; Android 16; Pixel 10) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/145.0.0.0 Mobile",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 15_3) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.3",
    "Mozilla/5.0 (X11; Linux x86_64; rv:147.0) Gecko/20100101 Firefox/147.0",
)
SCRIPT = "python-requests/2.32.5"
MISSING = ("/favicon.ico", "/apple-touch-icon.png", "/sale/winter", "/blog/2019/hello")
PROBES = ("/.env", "/.git/config", "/admin", "/backup", "/config", "/phpinfo", "/server-status", "/wp-login", "/xmlrpc")

# Which playbook answers to whom: these groups and no others.
CAUGHT: dict[str, tuple[dict[str, str], ...]] = {
    "account-brute-force": ({"user": "id:42"},),
    "address-brute-force": ({"ip": "198.51.100.23"},),
    "bulk-export": ({"user": "id:311"},),
    "card-testing-by-address": ({"ip": "198.51.100.61"}, {"ip": "198.51.100.88"}),
    "card-testing-by-user": ({"user": "id:9001"},),
    "coupon-abuse": ({"ip": "198.51.100.140", "properties.code": "WELCOME10"},),
    "coupon-guessing": ({"user": "id:512"},),
    "credential-stuffing": ({"ip": "198.51.100.23"},),
    "disposable-signups": ({"ip": "198.51.100.140"},),
    "invitation-spam": ({"user": "id:9002"},),
    "login-failure-storm": ({},),
    "many-signups-from-one-address": ({"ip": "198.51.100.140"},),
    "neighbours-stuffing": ({"ip.network": "2001:db8:b07::/48"},),
    "new-device": ({"user": "id:640"},),
    "one-account-many-addresses": ({"user": "id:640"},),
    "page-probing": ({"ip": "198.51.100.200"},),
    "weak-spots-probed": ({"ip": "198.51.100.200"},),
    "password-reset-abuse": ({"ip": "198.51.100.31"},),
    "password-reset-flood": ({"user": "id:99"},),
    "password-spraying": ({"ip": "198.51.100.23"}, {"ip": "198.51.100.77"}),
    "scraping-by-user": ({"user": "id:777"},),
    "signup-then-spam": ({"user": "id:9002"},),
    "slow-brute-force": ({"user": "id:42"},),
    "failed-payments": ({"user": "id:9001"},),
    "success-after-attack": ({"ip": "198.51.100.23"},),
}

T = TypeVar("T")


class Dice:
    """Chance that falls alike in every Python: of the standard generator only `random()` is used."""

    def __init__(self, seed: int) -> None:
        self._next = random.Random(seed).random  # noqa: S311 (a demo, not a secret)

    def below(self, n: int) -> int:
        """Return an integer from 0 to n - 1."""
        return int(self._next() * n)

    def between(self, low: int, high: int) -> int:
        """Return an integer from `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def chance(self, share: float) -> bool:
        """Say yes with the given probability."""
        return self._next() < share

    def pick(self, values: Sequence[T]) -> T:
        """Return one of the values."""
        return values[self.below(len(values))]


@dataclass(frozen=True)
class Visitor:
    """Somebody in front of a browser: the account if there is one, an address, a user agent."""

    id: int | None
    ip: str
    agent: str = AGENTS[0]

    @property
    def login(self) -> dict[str, str]:
        """The identifiers of a login, for which the shop looked up the account."""
        return {"id": str(self.id), "email": mailbox(self.id or 0)}


@dataclass
class Day:
    """The events so far, and the people they are about; times are seconds since midnight."""

    dice: Dice
    people: list[Visitor] = field(default_factory=list)
    events: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    def add(self, at: int, event: str, who: Visitor, user: Any = None, path: str = "", **rest: Any) -> None:
        """Write down what somebody did; `path` and the status say which request it was."""
        about: dict[str, Any] = {"event": event}
        if user or who.id is not None:
            about["user"] = user or {"id": str(who.id)}
        about["ip"] = who.ip
        request = {"path": path, "status": rest.pop("status", 200), "user_agent": who.agent} if path else {}
        about.update(rest, **({"request": request} if request else {}))
        if at < DAY:
            self.events.append((at, about))

    def auth(self, at: int, who: Visitor, success: bool, user: Any = None) -> None:
        """Write down a login."""
        self.add(at, "auth", who, user or who.login, "/login", success=success, status=200 if success else 401)

    def ticks(self, start: int, count: int, low: int, high: int) -> Iterator[int]:
        """Give `count` moments from `start`, `low` to `high` seconds apart."""
        at = start
        for _ in range(count):
            yield at
            at += self.dice.between(low, high)


def mailbox(id: int) -> str:
    """Return the e-mail address of an account."""
    return f"user{id}@example.{'com' if id % 3 else 'org'}"


def populate(day: Day) -> None:
    """Give every customer a home: an IPv6 network of their own, or an IPv4 address that neighbours may share."""
    dice = day.dice
    for id in range(1, CUSTOMERS + 1):
        v4 = f"{dice.pick(('192.0.2', '203.0.113'))}.{dice.between(100, 249)}"
        ip = f"2001:db8:{dice.between(1, 40):x}:{id:x}::{dice.between(2, 9)}" if dice.chance(0.4) else v4
        day.people.append(Visitor(id, ip, dice.pick(AGENTS)))


# Honest people.


def customers(day: Day) -> None:
    """The ordinary traffic: sessions through the day, most of them short."""
    for hour, sessions in enumerate(CURVE):
        for _ in range(sessions):
            session(day, hour * HOUR + day.dice.below(HOUR), day.dice.pick(day.people))


def session(day: Day, at: int, who: Visitor) -> None:
    """One visit: perhaps a login, some pages, perhaps an order."""
    dice = day.dice
    if dice.chance(0.3):
        browse(day, at, Visitor(None, who.ip, who.agent), dice.between(2, 9))
        return
    if dice.chance(0.6):
        at = log_in(day, at, who)
    at = browse(day, at, who, dice.between(3, 18))
    if dice.chance(0.22):
        buy(day, at, who)


def log_in(day: Day, at: int, who: Visitor) -> int:
    """A login with the mistakes people make: mostly none, sometimes one to four; return when it is done."""
    dice = day.dice
    mistakes = dice.pick((0,) * 16 + (1, 1, 1, 2)) if dice.chance(0.97) else dice.between(3, 4)
    for moment in day.ticks(at, mistakes, 6, 25):
        day.auth(moment, who, success=False)
    at += mistakes * 26
    if mistakes > 2:
        day.add(at, "password.reset_requested", who, path="/reset")
        day.add(at + 150, "password.changed", who, path="/reset/confirm")
        at += 170
    day.auth(at, who, success=True)
    return at + dice.between(2, 9)


def browse(day: Day, at: int, who: Visitor, pages: int, low: int = 8, high: int = 70) -> int:
    """Look at pages, now and then at one that is not there; return when it is done."""
    dice = day.dice
    for at in day.ticks(at, pages, low, high):  # noqa: B020 (the last moment is what counts)
        if dice.chance(0.008):
            day.add(at, "page.viewed", who, path=dice.pick(MISSING), status=404)
        else:
            day.add(at, "page.viewed", who, path=f"/shoes/{dice.below(dice.between(1, PRODUCTS))}")
    return at + dice.between(low, high)


def buy(day: Day, at: int, who: Visitor) -> None:
    """Check out: perhaps a coupon, a card that may be declined once or twice, an order, an invoice."""
    dice = day.dice
    amount = 29 + 10 * dice.below(18)
    if dice.chance(0.12):
        day.add(at, "coupon.rejected", who, properties={"code": dice.pick(("SPRING24", "HELLO", "SAVE5"))})
    if dice.chance(0.08):
        day.add(at + 20, "coupon.redeemed", who, properties={"code": dice.pick(("SPRING26", "NEWS5", "WELCOME10"))})
    declined = dice.pick((0,) * 14 + (1, 1, 2))
    for card in range(declined + 1):
        outcome = "payment.failed" if card < declined else "payment.succeeded"
        properties = {"instrument": f"pm_{who.id}_{card}", "amount": amount}
        day.add(at + 60 + 35 * card, outcome, who, path="/checkout", properties=properties)
    done = at + 62 + 35 * declined
    day.add(done, "order.placed", who, path="/checkout/done", properties={"amount": amount})
    if dice.chance(0.3):
        day.add(done + 30, "invoice.downloaded", who, properties={"rows": 1})


def newcomers(day: Day) -> None:
    """Sign-ups through the day, each from a home of its own; three people guard their privacy."""
    for n in range(90):
        at = 6 * HOUR + day.dice.below(17 * HOUR)
        who = Visitor(2000 + n, f"2001:db8:77:{n:x}::5", day.dice.pick(AGENTS))
        user = who.login | ({"email": f"n{n}@disposable.example.com"} if n % 30 == 7 else {})
        day.add(at, "signup", who, user, "/signup")
        browse(day, at + 20, who, day.dice.between(2, 8))


def office(day: Day) -> None:
    """Sixty colleagues behind one address on a Monday morning; some still type last week's password."""
    for n in range(60):
        who = Visitor(3000 + n, "192.0.2.10", AGENTS[n % 2 * 3])
        at = 8 * HOUR + 40 * MINUTE + day.dice.below(50 * MINUTE)
        if n % 5 == 0:
            day.auth(at - 15, who, success=False)
        day.auth(at, who, success=True)
        browse(day, at + 9, who, day.dice.between(1, 6))
        if n % 9 == 0:
            buy(day, 12 * HOUR + day.dice.below(HOUR), who)


def near_misses(day: Day) -> None:
    """People who look a little like an attack, each below the threshold they come near to."""
    forgetful, owner, accountant, collector = (day.people[n] for n in (150, 250, 350, 450))
    for at in day.ticks(10 * HOUR, 7, 20, 70):
        day.auth(at, forgetful, success=False)
    for at in day.ticks(10 * HOUR + 9 * MINUTE, 3, 60, 90):
        day.add(at, "password.reset_requested", forgetful, path="/reset")
    day.auth(10 * HOUR + 14 * MINUTE, forgetful, success=True)
    for n, at in enumerate(day.ticks(11 * HOUR, 14, 10, 40)):
        day.add(at, "invitation.sent", owner, properties={"email": f"colleague{n}@example.org"})
    for at in day.ticks(16 * HOUR, 12, 60, 120):
        day.add(at, "export.created", accountant, properties={"rows": 500})
    browse(day, 20 * HOUR, collector, 160, 2, 4)
    for n, at in enumerate(day.ticks(13 * HOUR, 8, 60, 200)):  # a class of eight
        pupil = Visitor(2200 + n, "192.0.2.77", AGENTS[2])
        day.add(at, "signup", pupil, pupil.login, "/signup")
    for n in range(3):  # a family that heard of the same coupon
        member = Visitor(2300 + n, "203.0.113.30")
        day.add((18 + n) * HOUR, "coupon.redeemed", member, properties={"code": "NEWS5"})


# Attackers.


def stuffing(day: Day) -> None:
    """A list of stolen names and passwords from one address at night; two of them fit, and one account is emptied."""
    thief = Visitor(None, "198.51.100.23", SCRIPT)
    start = 2 * HOUR + 13 * MINUTE
    for n, at in enumerate(day.ticks(start, 260, 1, 4)):
        known = day.people[n * 4 % CUSTOMERS] if n % 3 == 0 else None
        day.auth(at, thief, success=False, user=known.login if known else {"email": f"stolen{n}@example.org"})
    for id, after in ((311, 210), (640, 480)):
        day.auth(start + after, thief, success=True, user=day.people[id - 1].login)
    loot = Visitor(311, "198.51.100.24", SCRIPT)
    for at in day.ticks(start + 20 * MINUTE, 40, 5, 12):
        day.add(at, "export.created", loot, path="/export", properties={"rows": 500})


def resale(day: Day) -> None:
    """The other account is sold, and its buyers log in from all over."""
    for n, at in enumerate(day.ticks(5 * HOUR, 9, 120, 420)):
        day.auth(at, Visitor(640, f"2001:db8:5e11:{n:x}::1", day.dice.pick(AGENTS)), success=True)


def brute_force(day: Day) -> None:
    """One account, sixty passwords, a new address for each; its owner comes home in the middle and notices nothing."""
    owner = day.people[41]
    day.auth(12 * HOUR, owner, success=True)
    for n, at in enumerate(day.ticks(14 * HOUR + 5 * MINUTE, 60, 15, 40)):
        day.auth(at, Visitor(42, f"2001:db8:bad:{n:x}::1", SCRIPT), success=False)
    day.auth(14 * HOUR + 25 * MINUTE, owner, success=True)
    browse(day, 14 * HOUR + 26 * MINUTE, owner, 6)


def spraying(day: Day) -> None:
    """One password, one try an account, every quarter of an hour through the whole day."""
    for n, at in enumerate(day.ticks(30 * MINUTE, 100, 660, 900)):
        day.auth(at, Visitor(900 + n, "198.51.100.77", AGENTS[0]), success=False)


def botnet(day: Day) -> None:
    """Stolen passwords again, from so many addresses that none of them stands out."""
    for n, at in enumerate(day.ticks(21 * HOUR + 10 * MINUTE, 300, 1, 1)):
        bot = Visitor(None, f"2001:db8:b07:{n * 7 % 150:x}::1", AGENTS[n % 5])
        day.auth(at, bot, success=False, user={"email": f"leak{n}@example.org"})


def signup_fraud(day: Day) -> None:
    """Forty accounts with throw-away mailboxes, each for one welcome coupon."""
    for n, at in enumerate(day.ticks(3 * HOUR + 40 * MINUTE, 40, 20, 45)):
        fake = Visitor(9100 + n, "198.51.100.140", SCRIPT)
        day.add(at, "signup", fake, {"id": str(fake.id), "email": f"z{n}@disposable.example.com"}, "/signup")
        day.add(at + 400, "coupon.redeemed", fake, properties={"code": "WELCOME10"})


def card_testing(day: Day) -> None:
    """Stolen cards with small payments: thirty on one account, fifty as a guest."""
    for start, who, cards in (
        (4 * HOUR + 20 * MINUTE, Visitor(9001, "198.51.100.61", SCRIPT), 30),
        (19 * HOUR + 30 * MINUTE, Visitor(None, "198.51.100.88", SCRIPT), 50),
    ):
        for n, at in enumerate(day.ticks(start, cards, 8, 30)):
            outcome = "payment.succeeded" if n % 9 == 8 else "payment.failed"
            properties = {"instrument": f"pm_x{start}_{n}", "amount": 1}
            day.add(at, outcome, who, path="/checkout", properties=properties)


def scraper(day: Day) -> None:
    """A program with an account reads the whole catalogue, a page a second."""
    who = Visitor(777, "198.51.100.150", SCRIPT)
    day.auth(15 * HOUR + 29 * MINUTE, who, success=True)
    for n, at in enumerate(day.ticks(15 * HOUR + 30 * MINUTE, PRODUCTS, 1, 1)):
        day.add(at, "page.viewed", who, path=f"/shoes/{n}")


def invitation_spam(day: Day) -> None:
    """A fresh account invites strangers."""
    who = Visitor(9002, "198.51.100.170", AGENTS[4])
    day.add(17 * HOUR, "signup", who, who.login, "/signup")
    for n, at in enumerate(day.ticks(17 * HOUR + 5 * MINUTE, 60, 8, 16)):
        day.add(at, "invitation.sent", who, properties={"email": f"stranger{n}@example.com"})


def probing(day: Day) -> None:
    """A scanner looks for known holes."""
    who = Visitor(None, "198.51.100.200", SCRIPT)
    for n, at in enumerate(day.ticks(6 * HOUR + 45 * MINUTE, 90, 1, 3)):
        path = f"{PROBES[n % len(PROBES)]}{n // len(PROBES) or ''}"
        day.add(at, "page.viewed", who, path=path, status=403 if n % 9 == 2 else 404)


def resets(day: Day) -> None:
    """The reset form as a weapon: a walk through a list of addresses, and one flooded mailbox."""
    walker = Visitor(None, "198.51.100.31", SCRIPT)
    for n, at in enumerate(day.ticks(9 * HOUR + 20 * MINUTE, 40, 10, 30)):
        day.add(at, "password.reset_requested", walker, {"email": f"guess{n}@example.com"}, "/reset")
    for n, at in enumerate(day.ticks(22 * HOUR, 9, 120, 300)):
        day.add(at, "password.reset_requested", Visitor(99, f"2001:db8:f10d:{n:x}::1", SCRIPT), path="/reset")


def coupon_guessing(day: Day) -> None:
    """A program tries the codes of a public list."""
    who = Visitor(512, "198.51.100.190", AGENTS[3])
    for n, at in enumerate(day.ticks(18 * HOUR + 10 * MINUTE, 25, 3, 9)):
        day.add(at, "coupon.rejected", who, properties={"code": f"SAVE{n * 5}"})


HONEST: tuple[Callable[[Day], None], ...] = (customers, newcomers, office, near_misses)
ATTACKS: tuple[Callable[[Day], None], ...] = (
    stuffing, resale, brute_force, spraying, botnet, signup_fraud, card_testing, scraper, invitation_spam, probing,
    resets, coupon_guessing,
)  # fmt: skip


def lines() -> Iterator[str]:
    """Give the day's events in the order of time, one JSON object a line."""
    day = Day(Dice(20260309))
    populate(day)
    for scene in HONEST + ATTACKS:
        scene(day)
    for n, (at, about) in enumerate(sorted(day.events, key=lambda one: one[0])):
        timestamp = (MIDNIGHT + timedelta(seconds=at)).strftime("%Y-%m-%dT%H:%M:%SZ")
        event = {"id": f"demo-{n:05d}", "timestamp": timestamp, **about}
        yield json.dumps(event, separators=(",", ":")) + "\n"


def main() -> None:
    """Write the file."""
    text = "".join(lines()).encode()
    FILE.write_bytes(gzip.compress(text, compresslevel=9, mtime=0))
    sys.stdout.write(f"{FILE}: {text.count(10)} events, {FILE.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
