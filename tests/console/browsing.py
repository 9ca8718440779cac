"""A browser's tab at the console: signed in as a role, watched for what no page may do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.console.visiting import Reader

ROOT = Path(__file__).parents[2]
# What axe calls moderate or minor, or asks for only if told to, and pages hold to all the same.
ALSO = ("heading-order", "landmark-unique", "empty-table-header", "target-size")
AXE = ROOT / "frontend" / "node_modules" / "axe-core" / "axe.min.js"


@dataclass
class Tab:
    """A page of Chromium. `troubles` are errors and violations of the policy, `strangers` requests to other hosts."""

    page: Any
    origin: str
    troubles: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        """Open a page of the console."""
        self.page.goto(self.origin + path)

    def quiet(self) -> None:
        """Fail where a page broke its policy, threw, or asked another host."""
        assert self.troubles == [], self.troubles[:1]
        assert self.strangers == []

    def serious(self) -> list[str]:
        """Return what axe finds serious or critical on the page, or among `ALSO`."""
        if not AXE.exists():
            pytest.skip("axe-core is not there: `make frontend`")
        self.page.evaluate(AXE.read_text())  # evaluated by the debugger: the page's policy would refuse a script
        asked = "{resultTypes: ['violations'], rules: {'target-size': {enabled: true}}}"
        found = self.page.evaluate(f"async () => (await axe.run(document, {asked})).violations")
        return [
            f"{one['id']}: {node['target']} {node['failureSummary']}"
            for one in found
            if one["impact"] in ("serious", "critical") or one["id"] in ALSO
            for node in one["nodes"]
        ]


@contextlib.contextmanager
def tab(
    chromium: Any, reader: Reader, *, width: int = 1280, height: int = 900, theme: str = "light", scripts: bool = True
) -> Iterator[Tab]:
    """Open a tab for a reader's session; nothing it did is left afterwards."""
    context = chromium.new_context(
        viewport={"width": width, "height": height}, color_scheme=theme, java_script_enabled=scripts,
        timezone_id="Asia/Tokyo", locale="en-GB",
    )  # fmt: skip
    try:
        if reader.session:
            cookie = {"name": "sentinel", "value": reader.session, "url": reader.origin, "httpOnly": True}
            context.add_cookies([cookie])
        page = context.new_page()
        found = Tab(page, reader.origin)
        page.on("pageerror", lambda error: found.troubles.append(str(error)))
        page.on("console", lambda line: found.troubles.append(line.text) if line.type == "error" else None)
        page.on("request", lambda request: _watch(found, request.url))
        yield found
    finally:
        context.close()


def _watch(found: Tab, url: str) -> None:
    if url.startswith(("http:", "https:")) and urlsplit(url).netloc != urlsplit(found.origin).netloc:
        found.strangers.append(url)
