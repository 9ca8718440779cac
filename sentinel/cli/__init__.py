"""The entry point of the `sentinel` command.

Nothing but the standard library is imported at the top: the base install has this file too, and must say what is
missing instead of failing with a traceback. The commands are in `program`.
"""

from __future__ import annotations

import io
import os
import sys

INTERRUPTED = 130
EXTRAS = {"apprise": "notify", "psycopg": "postgres", "redis": "redis"}


def main() -> int:
    """Run the command line and return its exit code, 2 where a package of an extra is missing."""
    _ready_streams()
    try:
        from sentinel.cli.program import run

        return run(sys.argv[1:])
    except KeyboardInterrupt:  # while commands are still imported
        return INTERRUPTED
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in {"", "sentinel"}:
            raise
        extra = EXTRAS.get(missing, "server")
        hint = f"pip install 'sentinel-playbooks[{extra}]'"
        print(f"sentinel: this needs the `{extra}` extra, `{missing}` is not installed ({hint})", file=sys.stderr)  # noqa: T201
        return 2


def _ready_streams() -> None:
    """Let files 0, 1 and 2 be the three streams, or nothing: what is printed must never land in a database.

    What the encoding of the output lacks is written as its escape.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, io.TextIOWrapper(io.FileIO(number, "rw"[number > 0], closefd=False), encoding="utf-8"))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
