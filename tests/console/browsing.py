"""A browser's tab at the console: signed in as a role, watched for what no page may do."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
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
PATIENCE = 180_000  # milliseconds for whatever a page is to do
# What axe asks of colours. All else that it asks is the same in either theme.
COLOURS = ("color-contrast", "link-in-text-block")
STILL = "() => Promise.allSettled(document.getAnimations().map((one) => one.finished)).then(() => true)"
NAMES = ("chromium", "chromium-browser", "google-chrome")
AXE = ROOT / "frontend" / "node_modules" / "axe-core" / "axe.min.js"

# What the debugger types into a page, Chromium gives a style of its own, which the policy refuses.
PASTE = """text => {
  const data = new DataTransfer();
  data.setData("text/plain", text);
  const pasted = new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true});
  document.querySelector(".cm-content").dispatchEvent(pasted);
}"""


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
        return self._found({"rules": {"target-size": {"enabled": True}}})

    def serious_in(self, theme: str) -> list[str]:
        """Return what axe, which has looked at the page already, finds serious of its colours in another theme."""
        self.page.emulate_media(color_scheme=theme)
        self.page.evaluate(STILL)
        return self._found({"runOnly": COLOURS})

    def _found(self, asked: dict[str, Any]) -> list[str]:
        run = "async (asked) => (await axe.run(document, {resultTypes: ['violations'], ...asked})).violations"
        found = self.page.evaluate(run, asked)
        return [
            f"{one['id']}: {node['target']} {node['failureSummary']}"
            for one in found
            if one["impact"] in ("serious", "critical") or one["id"] in ALSO
            for node in one["nodes"]
        ]


@contextlib.contextmanager
def tab(
    chromium: Any, reader: Reader, *, width: int = 1280, height: int = 900, theme: str = "light", scripts: bool = True,
    zone: str = "Asia/Tokyo",
) -> Iterator[Tab]:  # fmt: skip
    """Open a tab for a reader's session; nothing it did is left afterwards."""
    context = chromium.new_context(
        viewport={"width": width, "height": height}, color_scheme=theme, java_script_enabled=scripts,
        timezone_id=zone, locale="en-GB",
    )  # fmt: skip
    context.set_default_timeout(PATIENCE)
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


def write(page: Any, text: str) -> None:
    """Paste a text into the editor in the place of all that is there."""
    page.locator(".cm-content").press("ControlOrMeta+a")
    page.evaluate(PASTE, text)


@contextlib.contextmanager
def launched(path: str) -> Iterator[Any]:
    """Run Chromium while the block runs. Its event loop is the thread's: meanwhile nothing else can run one."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"] if os.geteuid() == 0 else [], timeout=2 * PATIENCE
        )
        yield browser
        browser.close()


def chromium_path() -> str | None:
    """Return where Chromium is, once it is installed where that takes no password; None where there is none."""
    return _found() or _installed()


def _found() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def _installed() -> str | None:
    if os.geteuid() == 0 and shutil.which("apt-get"):
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]
        subprocess.run(command, capture_output=True, timeout=300, check=False)
    return _found()


def _watch(found: Tab, url: str) -> None:
    if url.startswith(("http:", "https:")) and urlsplit(url).netloc != urlsplit(found.origin).netloc:
        found.strangers.append(url)
