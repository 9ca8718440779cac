"""How fast events are enriched, against the libraries that one would call instead, nothing remembered.

    python bench/enrich.py

The events are the demo's; the databases too, so the ratio of first meetings says little about databases of 60 MB.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path

import geoip2.database
import geoip2.errors
from ua_parser import Domain, load_lazy_builtins
from ua_parser.regex import Resolver

from sentinel import content
from sentinel.core.event import Event, read
from sentinel.enrich import agent
from sentinel.enrich.enricher import build
from sentinel.enrich.geo import Geo

ROUNDS = 5
DEMO = Path(__file__).parents[1] / "data" / "demo.ndjson.gz"
CITY, ASN = (content.folder("geo") / name for name in ("demo-city.mmdb", "demo-asn.mmdb"))


def events() -> list[Event]:
    """Return the demo's events, not yet enriched."""
    with gzip.open(DEMO, "rt", encoding="utf-8") as file:
        return [read(json.loads(line)) for line in file]


def libraries() -> Callable[[Event], None]:
    """Return a function that asks geoip2 and ua-parser for each event."""
    city, asn = geoip2.database.Reader(CITY), geoip2.database.Reader(ASN)
    parse = Resolver(load_lazy_builtins())

    def ask(event: Event) -> None:
        with contextlib.suppress(geoip2.errors.AddressNotFoundError):
            place, network = city.city(event.ip), asn.asn(event.ip)
            event.geo = {"country": place.country.iso_code, "asn": network.autonomous_system_number}
        found = parse(event.request.get("user_agent") or "", Domain.ALL)
        event.agent = {"browser": found.user_agent and found.user_agent.family}

    return ask


def each(work: Callable[[Event], None], rounds: int = ROUNDS) -> float:
    """Return the microseconds an event takes, the best of some rounds over fresh events."""
    best = float("inf")
    for _ in range(rounds):
        fresh = events()
        began = time.process_time()
        for event in fresh:
            work(event)
        best = min(best, (time.process_time() - began) / len(fresh))
    return best * 1e6


def main() -> None:
    """Print the ratios."""
    enricher = build([CITY, ASN])
    warm, plain = each(lambda event: enricher.enrich(event, lambda kind, target: ())), each(libraries(), 2)
    print(f"enrich {warm:.2f} µs an event, geoip2 + ua-parser {plain:.1f} µs: {plain / warm:.0f} times as fast")
    places = Geo([CITY, ASN])
    reader, other = geoip2.database.Reader(CITY), geoip2.database.Reader(ASN)
    met = sorted({event.ip for event in events() if event.ip})
    first, again = once(places.of, met), once(places.of, met)
    unsafe = once(lambda ip: (reader.city(ip), other.asn(ip)), met)
    print(f"an address first met {first:.1f} µs, by a reader in C {unsafe:.1f} µs: {first / unsafe:.1f} times as slow")
    print(f"an address met again {again:.2f} µs: {first / again:.0f} times as fast")
    agents = [f"Mozilla/5.0 (X11; Linux x86_64; rv:{n}.0) Gecko/20100101 Firefox/{n}.0" for n in range(2000)]
    first, again = once(agent.read, agents), once(agent.read, agents)
    print(f"a user agent first met {first:.1f} µs, met again {again:.2f} µs: {first / again:.0f} times as fast")


def once(work: Callable[[str], object], texts: list[str]) -> float:
    """Return the microseconds that one call takes, each text once."""
    began = time.process_time()
    for text in texts:
        work(text)
    return (time.process_time() - began) / len(texts) * 1e6


if __name__ == "__main__":
    main()
