"""The ordinary customers: people at home, an office of twelve behind one address, and one who mistypes a password.

They shop as long as the demo lasts, and every answer they get is kept.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from typing import NamedTuple

from sentinel.demo.processes import Person
from sentinel.demo.visitor import Answer, Visitor

SHELF = ["morning-mug", "soup-bowl", "tall-vase", "dinner-plate", "teapot", "milk-jug", "espresso-cup"]
AGENTS = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605",
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile",
]
OFFICE = "192.0.2.10"


class Customer(NamedTuple):
    """Somebody with an address, who mistypes the password so many times; `new` ones sign up first."""

    person: Person
    ip: str
    typos: int = 0
    new: bool = False


def _person(name: str) -> Person:
    return Person(name, f"{name.split()[0].lower()}@example.com", f"{name.lower()} likes pots")


OWNER = Customer(_person("Ada Lind"), "192.0.2.71")
_OFFICE = ["Ben Ito", "Cleo Roy", "Dan Fox", "Eva Ruiz", "Finn Moe", "Gita Rao", "Hugo Sax", "Ines Paz", "Jon Dahl",
           "Kim Seo", "Lea Noor", "Max Wolf"]  # fmt: skip
CUSTOMERS: Sequence[Customer] = [
    OWNER,
    Customer(_person("Bruno Petit"), "203.0.113.20"),
    Customer(_person("Carla Maier"), "203.0.113.140"),
    Customer(_person("Devi Blanc"), "2001:db8:10::7"),
    Customer(_person("Emil Typo"), "203.0.113.200", typos=4),
    Customer(_person("Nora New"), "192.0.2.140", new=True),
    Customer(_person("Otto New"), "192.0.2.200", new=True),
    *(Customer(_person(name), OFFICE, typos=1 if number < 4 else 0) for number, name in enumerate(_OFFICE)),
]


class Crowd:
    """Every customer a thread; `pause` is the longest wait between two clicks, in seconds."""

    def __init__(self, shop: str, customers: Sequence[Customer] = CUSTOMERS) -> None:
        self.pause = 0.8
        self.settled = 0
        self._shop = shop
        self._customers = customers
        self._answers: list[Answer] = []
        self._stop = threading.Event()
        self._counted = threading.Condition()
        self._threads = [
            threading.Thread(target=self._live, args=(customer, random.Random(number)), daemon=True)  # noqa: S311
            for number, customer in enumerate(customers)
        ]

    def start(self) -> None:
        """Open the doors."""
        for thread in self._threads:
            thread.start()

    def wait_settled(self, timeout: float) -> bool:
        """Wait until everybody is logged in and has ordered once."""
        with self._counted:
            return self._counted.wait_for(lambda: self.settled == len(self._customers), timeout)

    def stop(self) -> None:
        """Send everybody home."""
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(15)

    def answers(self, since: float = 0.0) -> list[Answer]:
        """Return what customers were answered to requests sent since a moment."""
        return [answer for answer in list(self._answers) if answer.sent >= since]

    def troubled(self) -> list[Answer]:
        """Return every answer that a customer should not have got: refused, failed, or none at all."""
        return [answer for answer in self.answers() if not answer.served and not _mistyped(answer)]

    def _live(self, customer: Customer, chance: random.Random) -> None:
        agent = AGENTS[chance.randrange(len(AGENTS))]
        visitor = Visitor(self._shop, customer.ip, agent, customer.person.email)
        self._wait(chance)
        self._enter(visitor, customer, chance)
        first = True
        while not self._stop.is_set():
            self._buy(visitor, chance)
            if first:
                first = False
                with self._counted:
                    self.settled += 1
                    self._counted.notify_all()
        visitor.close()

    def _enter(self, visitor: Visitor, customer: Customer, chance: random.Random) -> None:
        person = customer.person
        self._note(visitor.get("/"))
        if customer.new:
            self._note(visitor.post("/signup", name=person.name, email=person.email, password=person.password))
            return
        for number in range(customer.typos):
            self._note(visitor.post("/login", email=person.email, password=person.password[: -number - 1]))
            self._wait(chance)
        self._note(visitor.post("/login", email=person.email, password=person.password))

    def _buy(self, visitor: Visitor, chance: random.Random) -> None:
        """Look at a few pots, take one, order."""
        looked = chance.sample(SHELF, chance.randint(1, 3))
        steps = ["/", *(f"/products/{slug}" for slug in looked)]
        for path in steps:
            self._wait(chance)
            self._note(visitor.get(path))
        self._note(visitor.post("/cart", slug=looked[-1]))
        self._wait(chance)
        self._note(visitor.post("/checkout"))

    def _note(self, answer: Answer) -> None:
        self._answers.append(answer)

    def _wait(self, chance: random.Random) -> None:
        self._stop.wait(chance.uniform(0.2, 1.0) * self.pause)


def _mistyped(answer: Answer) -> bool:
    return answer.path == "/login" and answer.status == 401 and answer.code == "wrong_password"
