"""The three attacks: what is sent, from where, and what became of it.

An attacker knows nothing of playbooks and sends its whole list, refused or not. The answers tell what stopped it.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address

from sentinel.demo.customers import OWNER
from sentinel.demo.processes import Person
from sentinel.demo.visitor import Answer, Visitor

_AGENT = "python-requests/2.32.4"
_PACE = 0.04  # seconds between two tries
_PROBE = 0.004  # seconds between two looks at the shop from the attack's address
# Somebody who used one password everywhere: the list of the first attack has it, and it is right.
LEAKED = Person("Rita Twice", "rita@example.com", "rita12345")


@dataclass
class Attack:
    """One attack: `tries` are the requests that could gain something, `probes` only look whether it is refused yet.

    `aim` says what a success does with an account.
    """

    name: str
    story: str
    aim: str
    run: Callable[[Attack, str], None]
    tries: list[Answer] = field(default_factory=list)
    probes: list[Answer] = field(default_factory=list)

    @property
    def answers(self) -> list[Answer]:
        """Every answer, in the order in which they came."""
        return sorted([*self.tries, *self.probes], key=lambda answer: answer.came)

    @property
    def first_refused(self) -> Answer | None:
        """The first answer that was a refusal."""
        return next((answer for answer in self.answers if answer.refused), None)

    @property
    def after(self) -> list[Answer]:
        """What was answered to tries sent after the first refusal had come."""
        first = self.first_refused
        return [] if first is None else [answer for answer in self.tries if answer.sent >= first.came]

    @property
    def failure(self) -> str | None:
        """Why the attack was not stopped, None where it was."""
        if not self.tries or any(answer.status == 0 for answer in self.answers):
            return "the shop did not answer"
        if self.first_refused is None:
            return f"none of its {len(self.tries)} tries was refused"
        through = [answer for answer in self.after if not answer.refused]
        if through or not self.after:
            return f"{len(through)} of {len(self.after)} tries after the first refusal went through"
        return None

    def begin(self, shop: str) -> None:
        """Attack the shop, to the end of the list."""
        self.run(self, shop)


def _stuffing(attack: Attack, shop: str) -> None:
    """Try leaked names and passwords from one address; the right pair stands near the end."""
    ip = "198.51.100.23"
    pairs = [(f"leaked{number}@example.net", f"secret{number}") for number in range(40)]
    pairs.insert(32, (LEAKED.email, LEAKED.password))
    with _probing(attack, shop, ip):
        visitor = Visitor(shop, ip, _AGENT)
        for email, password in pairs:
            attack.tries.append(visitor.post("/login", email=email, password=password))
            visitor.forget()
            time.sleep(_PACE)
        visitor.close()


def _brute_force(attack: Attack, shop: str) -> None:
    """Guess at one account, each time from another address; the last guess is right."""
    guesses = [f"ada{number}" for number in range(39)] + [OWNER.person.password]
    for ip, guess in zip(_botnet(), guesses, strict=False):
        visitor = Visitor(shop, ip, _AGENT)
        attack.tries.append(visitor.post("/login", email=OWNER.person.email, password=guess))
        visitor.close()
        time.sleep(_PACE)


def _signups(attack: Attack, shop: str) -> None:
    """Open one account after the other from one address, with throw-away mailboxes."""
    ip = "198.51.100.200"
    with _probing(attack, shop, ip):
        for number in range(30):
            visitor = Visitor(shop, ip, _AGENT)
            form = {"name": f"New {number}", "email": f"mug{number}@mailinator.com", "password": f"halfprice{number}"}
            attack.tries.append(visitor.post("/signup", **form))
            visitor.close()
            time.sleep(_PACE)


def _botnet() -> Iterator[str]:
    """Yield a new address each time: lines in Brazil, India and America, as the demo's geo database has them."""
    for number in itertools.count(1):
        yield str(ip_address(int(ip_address("2001:db8:b07::")) + (number * 5 % 192 << 64) + number))


class _probing:  # noqa: N801  reads as a verb
    """Look at the shop from an address, again and again, until the end of the block."""

    def __init__(self, attack: Attack, shop: str, ip: str) -> None:
        self._attack = attack
        self._visitor = Visitor(shop, ip, _AGENT)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._visitor.close()

    def _run(self) -> None:
        while not self._stop.wait(_PROBE):
            self._attack.probes.append(self._visitor.get("/login"))


def attacks() -> Iterable[Attack]:
    """Return the three, not yet begun."""
    return [
        Attack(
            "Credential stuffing",
            "One address tries 41 leaked names and passwords. The 33rd pair is right: somebody used a password twice.",
            "opened",
            _stuffing,
        ),
        Attack(
            "Brute force",
            "40 addresses take turns at Ada's account. The 40th guess is right. Ada herself is shopping all the while.",
            "opened",
            _brute_force,
        ),
        Attack(
            "Sign-up fraud",
            "One address opens accounts with throw-away mailboxes, for 30 mugs at half the price.",
            "made",
            _signups,
        ),
    ]
