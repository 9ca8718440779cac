"""How many events does `sentinel backtest` judge in a second of processor, the whole process, reading JSON included?

A million synthetic events in the order of time: logins, three in ten of them failed, sign-ups and the rest, of 50,000
users and 20,000 addresses. Beside it, in the same run: decoding the same file with msgspec and nothing else.

usage: backtest.py [--events 1000000]
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ONE = ("credential-stuffing",)
TEN = (
    "account-brute-force", "address-brute-force", "credential-stuffing", "password-spraying",
    "many-signups-from-one-address", "card-testing-by-user", "card-testing-by-address", "invitation-spam",
    "password-reset-abuse", "scraping-by-user",
)  # fmt: skip
DECODE = """
import sys, msgspec
decode = msgspec.json.Decoder().decode
with open(sys.argv[1], "rb") as lines:
    for line in lines:
        decode(line)
"""


def cost(command: list[str]) -> tuple[float, int]:
    """Return the processor seconds and the peak memory (bytes) of a command; what it prints is passed over."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(said.decode())
    return used.ru_utime + used.ru_stime, used.ru_maxrss * 1024


def backtest(playbooks: tuple[str, ...], events: Path) -> list[str]:
    program = [sys.executable, "-c", "import sys; from sentinel.cli import main; sys.exit(main())"]
    paths = [str(path) for path in (ROOT / "playbooks").rglob("*.yaml") if path.stem in playbooks]
    return [*program, "backtest", *paths, "--events", str(events), "--format", "json"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    asked = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as folder:
        events = Path(folder) / "events.ndjson"
        make = [sys.executable, str(ROOT / "bench" / "stream.py"), "--events", str(asked.events), "-o", str(events)]
        subprocess.run(make, check=True, stderr=subprocess.DEVNULL)
        bare = min(cost([sys.executable, "-c", DECODE, str(events)])[0] for _ in range(2))
        print(f"decoding alone: {asked.events / bare:,.0f} events a second of processor")
        for playbooks in (ONE, TEN):
            runs = [cost(backtest(playbooks, events)) for _ in range(2)]
            seconds, peak = min(runs)
            rate = asked.events / seconds
            print(
                f"backtest, {len(playbooks)} of the shipped playbooks: {rate:,.0f} events a second of processor, "
                f"{seconds / bare:.1f} times the decoding; peak memory {peak / 1e6:.0f} MB"
            )


if __name__ == "__main__":
    main()
