"""What is known against the packages that Sentinel is pinned to: `make audit`, part of `make check`.

Advisories are looked up over the network. Where they cannot be, it says that nothing was audited and lets the rest
of the check go on; with AUDIT=must that is a failure too, which is what a build that publishes should set.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

PINS = Path(__file__).parents[1] / "constraints.txt"
OPTIONS = ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off", "--timeout", "10"]


class Verdict(NamedTuple):
    """What was found: lines to be said, and whether it is bad, or not known for want of an answer."""

    lines: list[str]
    bad: bool
    known: bool


def judge(report: Mapping[str, Any]) -> Verdict:
    """Return what pip-audit's report comes to; a package it skipped was not audited, though it calls that success."""
    packages = report["dependencies"]
    skipped = [one["name"] for one in packages if "skip_reason" in one]
    lines = [
        f"{one['name']} {one['version']}: {found['id']} (fixed in {', '.join(found['fix_versions']) or 'none yet'})"
        for one in packages
        for found in one.get("vulns", ())
    ]
    bad, audited = bool(lines), len(packages) - len(skipped)
    if skipped:
        more = f" and {len(skipped) - 5} more" if len(skipped) > 5 else ""
        lines.append(f"NOT AUDITED, for no advisory service answered for them: {', '.join(skipped[:5])}{more}")
    lines.append(f"{audited} of {len(packages)} packages audited, {len(lines) - bool(skipped)} advisories")
    return Verdict(lines, bad, not skipped)


def ask(pins: list[str]) -> Verdict:
    """Look pins up; whatever keeps pip-audit from answering is said in one line."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(pins))
        file.flush()
        command = [sys.executable, "-m", "pip_audit", "--requirement", file.name, *OPTIONS]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    try:
        return judge(json.loads(ran.stdout))
    except (ValueError, KeyError, TypeError):
        why = (ran.stderr.strip().splitlines() or ["no answer"])[-1][:200]
        return Verdict([f"NOT AUDITED: {why}"], False, False)


def main() -> int:
    """Audit the pins, the first one alone first: where that gets no answer, no other is asked for."""
    pins = [line for line in PINS.read_text().splitlines() if line and not line.startswith("#")]
    found = ask(pins[:1])
    if found.known:
        found = ask(pins)
    print("\n".join(f"audit: {line}" for line in found.lines))
    return int(found.bad or (not found.known and os.environ.get("AUDIT") == "must"))


if __name__ == "__main__":
    sys.exit(main())
