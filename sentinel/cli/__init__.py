"""The `sentinel` command's front door.

Nothing outside the standard library is imported here at the top: the base install has this file too, and must say what
it lacks instead of failing with a traceback. The commands are in `program`.
"""

from __future__ import annotations

import sys

EXTRAS = {"apprise": "notify", "psycopg": "postgres", "redis": "redis"}


def main() -> int:
    """Run the command line and return its exit code, 2 where a package of an extra is missing."""
    try:
        from sentinel.cli.program import run

        return run(sys.argv[1:])
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in {"", "sentinel"}:
            raise
        extra = EXTRAS.get(missing, "server")
        hint = f"pip install 'sentinel-playbooks[{extra}]'"
        print(f"sentinel: this needs the `{extra}` extra, `{missing}` is not installed ({hint})", file=sys.stderr)  # noqa: T201
        return 2
