"""Take the pictures of docs/images anew: a shop's last days in a server, and its console in Chromium.

    python docs/images/take.py [NAME…]

People and attacks are those of data/make_demo.py, and today is over at ENDS. The server's clock stands where the events
are, so that everything was found, decided and ended when it would have been. But for the date, the same pictures come
out each time. What a page shows is not known here, only what has to be done on it first.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import structlog

from data import make_demo
from sentinel import __version__, content
from sentinel.app import open_server, server
from sentinel.core import moment
from sentinel.core.duration import DAY, HOUR, MINUTE, SECOND
from sentinel.core.record import EVERY_APP, App
from sentinel.core.wire import SDK_HEADER
from sentinel.settings import Settings
from tests.api.served import Client, served, wait_for
from tests.console.browsing import chromium_path, launched, tab, write
from tests.console.visiting import PASSWORD, Reader

HERE = Path(__file__).parent
APP, SEED = "default", 20260309
DAYS, ENDS = 8, 14 * HOUR + 42 * MINUTE  # while somebody guesses at an account, so that something is in force
WIDE, PHONE = (1280, 900), (390, 844)
PLAYBOOK = """\
playbook: tiny-payments
title: One address makes many tiny payments
mode: monitor
event: payment.*
where: properties.amount <= 5
group_by: ip
window: 10m
when: {count: 3}
actions:
  - block_ip: {for: 1h}
tests:
  - name: three payments
    events:
      - {at: 0s, event: payment.failed, ip: 203.0.113.9, user: u1, properties: {amount: 1}, repeat: 3, every: 1s}
    expect:
      - {at: 2s, group: {ip: 203.0.113.9}}
"""


class Clock:
    """The server's: it stands until the next events come."""

    def __init__(self, at: int) -> None:
        self.at = at

    def __call__(self) -> int:
        return self.at

    def tick(self, at: int) -> int:
        """Go on to a moment, and return it."""
        self.at = at
        return at


class Picture(NamedTuple):
    """A page, what is done on it first, and how it is looked at."""

    path: str
    pose: Callable[[Any], None]
    size: tuple[int, int] = WIDE
    theme: str = "light"


def _still(page: Any) -> None:
    """Nothing."""


def _charted(page: Any) -> None:
    """Wait for the bars."""
    page.locator(".u-wrap canvas").wait_for()


def _newest(page: Any) -> None:
    """Go to the newest finding of a list."""
    page.locator("td.title a").first.click()
    page.get_by_role("heading", name="Events it rests on").wait_for()


def _judged(page: Any) -> None:
    """Write the playbook, and wait for what it would have done."""
    write(page, PLAYBOOK)
    page.locator("#draft-report:not([aria-busy])", has_text="198.51.100.61").wait_for()
    page.locator("#draft-status", has_text="No mistakes.").wait_for()


def _mistaken(page: Any) -> None:
    """Write the playbook, and then two mistakes into it."""
    _judged(page)
    write(page, PLAYBOOK.replace("window:", "widow:").replace("count:", "cont:"))
    page.locator("#draft-status.wrong").wait_for()


FAILED = "/explorer?q=event+%3D%3D+%22auth%22+and+success+%3D%3D+False"
PICTURES = {
    "editor-dark": Picture("/playbooks/new", _mistaken, theme="dark"),
    "editor": Picture("/playbooks/new", _judged),
    "explorer-dark": Picture(FAILED, _charted, theme="dark"),
    "explorer": Picture(FAILED, _charted),
    "finding": Picture("/findings?playbook=credential-stuffing", _newest),
    "findings-phone": Picture("/findings", _still, PHONE, "dark"),
    "funnel": Picture("/reports/funnel?step=auth&step=order.placed&window=7d&group_by=geo.country", _still),
    "overview": Picture("/overview", _still),
    "person-phone": Picture("/people/id%3A42", _still, PHONE),
    "person": Picture("/people/id%3A42", _still),
}


def week(midnight: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give the days' events with their times: every attack on the last one, a third of them on each before."""
    for back in reversed(range(DAYS)):
        day = make_demo.Day(make_demo.Dice(SEED))
        make_demo.populate(day)  # everybody lives where they lived
        day.dice = make_demo.Dice(SEED + back)
        for scene in make_demo.HONEST + (make_demo.ATTACKS[back % 3 :: 3] if back else make_demo.ATTACKS):
            scene(day)
        for at, about in sorted(day.events, key=lambda one: one[0]):
            yield midnight - back * DAY + at * SECOND, about


def fill(sdk: Client, clock: Clock, now: int) -> None:
    """Send the week, a minute at a time, and let two processes of the shop be heard."""
    happened = ((at, about) for at, about in week(now - now % DAY) if at <= now)
    for _, lot in groupby(happened, key=lambda one: one[0] // MINUTE):
        events = [about | {"timestamp": moment.to_text(clock.tick(at))} for at, about in lot]
        answer = sdk.post("/v1/events", events)
        assert answer.json["accepted"] == len(events), answer.body
    clock.tick(now)
    for number, sent in enumerate((48_213, 49_068), 1):
        report = {
            "instance": f"web-{number}", "host": f"web-{number}", "version": __version__, "pid": 4100 + number,
            "enforcing": True, "streaming": True, "list_age": 0.4, "sent": sent, "enforced": 160 + 31 * number,
        }  # fmt: skip
        assert sdk.get("/v1/feed?since=0", headers={SDK_HEADER: json.dumps(report)}).status == 200


def judge(ana: Reader, store: Any) -> None:
    """Say of some findings what they were."""
    for playbook, status, note in (
        ("card-testing-by-user", "confirmed", "The bank was told; the account is closed."),
        ("page-probing", "confirmed", ""),
        ("new-device", "false-positive", "She bought a phone."),
    ):
        found = store.findings.list(APP, playbook=playbook, limit=1).items[0].finding
        ana.done(f"/findings/{found.id}/mark", {"status": status, "note": note})


@contextmanager
def shop(folder: Path) -> Iterator[Reader]:
    """Run a server that has seen the week; somebody is signed in."""
    now = int(time.time()) * SECOND // DAY * DAY + ENDS
    clock = Clock(now - DAYS * DAY)
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())  # hundreds of findings are not written out
    places = {name: content.folder(name) for name in ("playbooks", "rules", "geo")}
    settings = Settings(
        data=folder, playbooks=(places["playbooks"],), rules=(places["rules"],), rate=1_000_000,
        geo=(places["geo"] / "demo-city.mmdb", places["geo"] / "demo-asn.mmdb"),
    )  # fmt: skip
    with mock.patch.object(server, "now", clock):
        one = open_server(settings)
        one.first()
        one.store.access.change_app(APP, {"name": "Shoe shop"}, "ana", clock())
        one.store.access.add_app(App("staging", "Staging", made=clock()), "ana", clock())
        _, key = one.store.access.make_key(APP, "sdk", "ana", clock(), name="shop")
        with served(one.front, lifespan="on") as client:
            wait_for(lambda: client.get("/readyz").status == 200)
            fill(client.using(key), clock, now)
            wait_for(lambda: one.store.health().pending == 0, 60)
            invitation = one.accounts.invite("ana", "admin", (EVERY_APP,), "ana")
            ana = Reader(client, one.accounts.accept(invitation.code, "", PASSWORD), app=APP)
            judge(ana, one.store)
            yield ana


def take(browser: Any, ana: Reader, name: str) -> None:
    """Take one picture."""
    path, pose, (width, height), theme = PICTURES[name]
    with tab(browser, ana, width=width, height=height, theme=theme, zone="UTC") as seen:
        seen.open(f"{path}{'&' if '?' in path else '?'}app={APP}")
        pose(seen.page)
        seen.page.evaluate("document.activeElement.blur()")
        seen.page.screenshot(path=HERE / f"{name}.png")
        seen.quiet()


def main() -> None:
    """Take the pictures that are named, or all."""
    names, chromium = sys.argv[1:] or list(PICTURES), chromium_path()
    if chromium is None:
        sys.exit("there is no Chromium: `apt-get install chromium`")
    with tempfile.TemporaryDirectory() as folder, shop(Path(folder)) as ana, launched(chromium) as browser:
        for name in names:
            take(browser, ana, name)


if __name__ == "__main__":
    main()
