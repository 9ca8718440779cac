"""The course of the demo: what happens, what is said about it, and whether all went as it should.

Nothing is assumed: an attack counts as stopped, and a customer as served, only by the answers over HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from sentinel.demo import reasons
from sentinel.demo.attacks import LEAKED, Attack, attacks
from sentinel.demo.customers import CUSTOMERS, OFFICE, OWNER, Crowd
from sentinel.demo.processes import DemoError, Stage, folder, stage
from sentinel.demo.reasons import Reason
from sentinel.demo.teller import Teller

_SETTLE = 30.0  # seconds until everybody has ordered once
_OWNER_CLICKS = 3  # what the owner of the attacked account does before the next part, at least
MEASURED = (
    "Time: on the attacker's clock, from sending the try whose event decided to the arrival of the first refusal. "
    "A second connection from the same address asks every 4 ms; where addresses change, the next try asks."
)
GUEST = next(one.person for one in CUSTOMERS if one is not OWNER and not one.new)
_PAUSE_AFTER = 4.0  # seconds between a customer's clicks once the story is told


class Api(Protocol):
    """The server's API, with every right in its one app."""

    def ask(self, method: str, path: str, body: Any = None, query: Mapping[str, Any] | None = None) -> Any:
        """Return the answer's JSON; raises SentinelError."""


class Story:
    """The demo under way; `problems` are the reasons for which it did not go as it should."""

    def __init__(self, teller: Teller, reach: Callable[[Path], Api], playbooks: Path | None) -> None:
        self.problems: list[str] = []
        self._teller = teller
        self._reach = reach
        self._playbooks = playbooks

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell everything up to the verdict; server, shop and customers stay until the end of the block."""
        with ExitStack() as open_:
            found = self._raise(open_)
            crowd = Crowd(found.shop)
            open_.callback(crowd.stop)
            crowd.start()
            self._customers(crowd)
            api = self._reach(found.data)
            ask = lambda path, query: api.ask("GET", path, None, query)  # noqa: E731
            outcomes = [self._attack(one, found, crowd, ask) for one in attacks()]
            self._verdict(outcomes, crowd, ask)
            crowd.pause = _PAUSE_AFTER
            self._addresses = (found, api, outcomes)
            yield

    def visit(self) -> None:
        """Say where to look now, while everything goes on."""
        found, api, outcomes = self._addresses
        key = api.ask("POST", "/v1/keys", {"scope": "read", "name": "demo, to look around"})["secret"]
        blocked = next((one.first_refused.ip for one, _ in outcomes if one.first_refused), None)
        teller = self._teller
        teller.chapter("Everything goes on: look around, and end it with Ctrl-C")
        teller.fact("shop", found.shop)
        teller.fact("", f"log in as {GUEST.email} with `{GUEST.password}`", "soft")
        teller.fact(
            "", f"or, as long as guessers are kept out, try as {OWNER.person.email}, `{OWNER.person.password}`", "soft"
        )
        guest = api.ask("POST", "/v1/accounts", {"name": "guest", "role": "admin"})
        teller.fact("console", f"{found.server}/overview")
        teller.fact("", "to sign in, choose a password here, once; the name is `guest` from then on:", "soft")
        teller.command(f"{found.server}/welcome#{guest['code']}")
        teller.fact("API", f"{found.server}/v1/openapi.json")
        teller.fact("", "findings, decisions and events, with a key that may only read:", "soft")
        for path in ("findings", "decisions", "events?limit=5"):
            teller.command(f"curl -H 'Authorization: Bearer {key}' '{found.server}/v1/{path}'")
        if blocked is not None:
            teller.fact("", "come from a blocked address:", "soft")
            teller.command(f"curl -i -H 'X-Forwarded-For: {blocked}' {found.shop}/")

    def _raise(self, open_: ExitStack) -> Stage:
        teller = self._teller
        teller.chapter("A server and a shop")
        people = [one.person for one in CUSTOMERS if not one.new] + [LEAKED]
        with teller.waiting("starting both"):
            found = open_.enter_context(stage(open_.enter_context(folder()), people, self._playbooks, self._key))
        which = "the shipped playbooks" if self._playbooks is None else f"the playbooks in {self._playbooks}"
        teller.fact("server", f"{found.server}  `sentinel serve` with {which} and an empty folder")
        teller.fact("shop", f"{found.shop}  a FastAPI application with the SDK (examples/shop)")
        teller.say("Both are processes of their own. All that follows are real requests to the shop.", "soft")
        return found

    def _key(self, data: Path) -> str:
        return str(self._reach(data).ask("POST", "/v1/keys", {"scope": "sdk", "name": "shop"})["secret"])

    def _customers(self, crowd: Crowd) -> None:
        teller = self._teller
        office = sum(one.ip == OFFICE for one in CUSTOMERS)
        mistyping = sum(one.typos for one in CUSTOMERS)
        new = sum(one.new for one in CUSTOMERS)
        teller.chapter("Ordinary customers")
        teller.say(
            f"{len(CUSTOMERS)} people: {office} of them behind one office address, {new} who sign up, and {mistyping} "
            f"mistyped passwords between them. They look around, fill carts and order, until the end."
        )
        with teller.waiting("until everybody has ordered once"):
            if not crowd.wait_settled(_SETTLE):
                raise DemoError(f"only {crowd.settled} of {len(CUSTOMERS)} customers had ordered after {_SETTLE:.0f} s")
        self._served(crowd, "so far", 0.0)

    def _attack(self, attack: Attack, found: Stage, crowd: Crowd, ask: reasons.Ask) -> tuple[Attack, Reason | None]:
        teller = self._teller
        teller.chapter(f"Attack: {attack.name}")
        teller.say(attack.story)
        began = time.monotonic()
        with teller.waiting("under attack"):
            attack.begin(found.shop)
            self._wait_for_owner(crowd, attack)
            why = reasons.reason(ask, attack)
        failure = attack.failure or (None if why else "it was refused, but the server cannot say why")
        if failure is not None:
            self.problems.append(f"{attack.name} was not stopped: {failure}")
        self._outcome(attack, failure)
        if why is not None:
            self._why(attack, why)
        self._served(crowd, "meanwhile", began)
        return attack, why

    def _wait_for_owner(self, crowd: Crowd, attack: Attack) -> None:
        """Let the customers go on for a moment under whatever was decided, the owner of the attacked account too."""
        since = attack.first_refused.came if attack.first_refused else time.monotonic()
        until = time.monotonic() + 10
        while len(_of_owner(crowd, since)) < _OWNER_CLICKS and time.monotonic() < until:
            time.sleep(0.05)

    def _outcome(self, attack: Attack, failure: str | None) -> None:
        teller, tries = self._teller, attack.tries
        refused = sum(one.refused for one in tries)
        addresses = len({one.ip for one in tries})
        teller.fact("tries", f"{len(tries)} from {_many(addresses, 'address', 'es')}, {refused} refused")
        teller.fact("gain", f"{_many(sum(one.served for one in tries), 'account', 's')} {attack.aim}")
        if failure is None:
            first = next(number for number, one in enumerate(tries, 1) if one.refused)
            after = len(attack.after)
            teller.fact(
                "stopped", f"yes, from try {first} on: all {after} sent after the first refusal were refused", "good"
            )
        else:
            teller.fact("stopped", f"no: {failure}", "bad")

    def _why(self, attack: Attack, why: Reason) -> None:
        teller, decision, finding = self._teller, why.decision, why.finding
        teller.fact("playbook", f"{finding['playbook']}: {finding['title']}", "strong")
        teller.fact("tally", f"{reasons.tally(finding)} for {reasons.group(finding)}")
        teller.fact("evidence", f"event {finding['event_id']} tipped it at {finding['at']}")
        only = " to log in, nothing else" if decision["logins_only"] else ""
        target = f"{decision['scope']} {decision['value']}"
        teller.fact("decision", f"{decision['kind']} {target}{only}, until {decision['until']}")
        assert attack.first_refused is not None
        took = why.milliseconds(attack.first_refused)
        if took is None:
            teller.fact("time", "not measured: the deciding event could not be read")
        else:
            teller.fact("time", f"{took:.0f} ms from the deciding try to the first refusal", "good")

    def _served(self, crowd: Crowd, label: str, since: float) -> None:
        answers = crowd.answers(since)
        refused = sum(one.refused for one in answers)
        owner = _of_owner(crowd, since)
        text = f"{len(answers)} requests of customers, {refused} refused"
        if since:
            text += f"; {len(owner)} of Ada's, {sum(one.refused for one in owner)} refused"
        self._teller.fact(label, text, "bad" if refused else "good")

    def _verdict(self, outcomes: list[tuple[Attack, Reason | None]], crowd: Crowd, ask: reasons.Ask) -> None:
        teller = self._teller
        teller.chapter("The verdict")
        heads = ("attack", "stopped by", "tries", "refused", "accounts", "time")
        teller.table(heads, [_row(attack, why) for attack, why in outcomes])
        teller.say(MEASURED, "soft")
        for finding in reasons.findings(ask):
            if not finding["acted"]:
                what = f"{reasons.tally(finding)} for {reasons.group(finding)}"
                teller.fact("also found", f"{finding['playbook']} ({finding['mode']}): {what}; it acted on nobody")
        self._count_customers(crowd)
        for problem in self.problems:
            teller.fact("not so", problem, "bad")
        if not self.problems:
            teller.say("Every attack was stopped, and no customer was refused.", "good")

    def _count_customers(self, crowd: Crowd) -> None:
        answers, troubled = crowd.answers(), crowd.troubled()
        refused = [one for one in troubled if one.refused]
        text = f"{len(CUSTOMERS)} people, {len(answers)} requests, {len(refused)} refused, "
        failed = len(troubled) - len(refused)
        self._teller.fact("customers", text + f"{failed} failed", "bad" if troubled else "good")
        if troubled:
            first = troubled[0]
            shown = f"{first.method} {first.path} of {first.who} from {first.ip}: {first.status} {first.code}"
            self.problems.append(f"{len(troubled)} requests of customers were not served, the first: {shown}")


def _of_owner(crowd: Crowd, since: float) -> list[Any]:
    return [one for one in crowd.answers(since) if one.who == OWNER.person.email and one.ip == OWNER.ip]


def _row(attack: Attack, why: Reason | None) -> tuple[str, ...]:
    took = why.milliseconds(attack.first_refused) if why and attack.first_refused else None
    return (
        attack.name,
        str(why.finding["playbook"]) if why else "nothing",
        str(len(attack.tries)),
        str(sum(one.refused for one in attack.tries)),
        str(sum(one.served for one in attack.tries)),
        "–" if took is None else f"{took:.0f} ms",
    )


def _many(number: int, word: str, plural: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}{plural}"
