"""What docs/notifications.md and docs/operating.md say of telling and enriching is so."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from sentinel.actions.channel import KINDS, channels
from sentinel.actions.log import LEVELS
from sentinel.actions.message import DIGEST, GUARDED, OPENED, OTHER, compose, text
from sentinel.actions.outcome import TRIES, backoff
from sentinel.actions.text import LONGEST, defanged
from sentinel.core.duration import format_duration
from sentinel.enrich.geo import QUESTIONS
from sentinel.enrich.network import KINDS as NETWORKS
from tests.actions.telling import delivery
from tests.compat.clients import node

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "notifications.md").read_text()
OPERATING = (DOCS / "operating.md").read_text()
URL = "https://sentinel.example/findings/1"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_the_channels_of_the_example_can_be_set_up() -> None:
    found = channels(tomllib.loads(blocks("toml")[0])["channels"])
    assert {one.kind for one in found.values()} == set(KINDS)


def test_every_kind_of_channel_and_of_message_has_its_row() -> None:
    for name in (*KINDS, OPENED, GUARDED, DIGEST, OTHER):
        assert f"\n| `{name}` |" in PAGE


def test_the_levels_of_the_log_are_those_of_the_code() -> None:
    import logging

    for severity, level in LEVELS.items():
        assert re.search(rf"{severity}[^|]*`{logging.getLevelName(level).lower()}`", PAGE)


def test_the_body_shown_is_the_body_sent() -> None:
    assert json.loads(blocks("json")[0]) == compose(delivery(), URL)


def test_the_words_shown_are_the_words_sent() -> None:
    assert f"```\n{text(compose(delivery(), URL))}\n```" in PAGE


def test_the_verification_shown_verifies() -> None:
    space: dict[str, Any] = {}
    exec(blocks("python")[0], space)
    secret = tomllib.loads(blocks("toml")[0])["channels"]["security"]["secret"]
    now = datetime.now(UTC)
    signature = Webhook(secret).sign("msg_1", now, "{}")
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    assert space["received"](b"{}", headers) == {}
    with pytest.raises(Exception, match="No matching signature"):
        space["received"](b"[]", headers)


def test_the_verification_shown_for_node_verifies(tmp_path: Path) -> None:
    secret = tomllib.loads(blocks("toml")[0])["channels"]["security"]["secret"]
    now, body = datetime.now(UTC), json.dumps({"type": "message", "data": "ż"})
    good, other = (Webhook(one).sign("msg_1", now, body) for one in (secret, "whsec_" + "A" * 32))
    old = datetime.fromtimestamp(now.timestamp() - 400, UTC)
    at = str(int(now.timestamp()))
    tries = [
        [body, {"webhook-id": "msg_1", "webhook-timestamp": at, "webhook-signature": f"{other} v1a,x {good}"}],
        [body, {"webhook-id": "msg_1", "webhook-timestamp": at, "webhook-signature": other}],
        [body + " ", {"webhook-id": "msg_1", "webhook-timestamp": at, "webhook-signature": good}],
        [body, {"webhook-id": "msg_2", "webhook-timestamp": at, "webhook-signature": good}],
        [body, {"webhook-id": "msg_1", "webhook-timestamp": str(int(old.timestamp())),
                "webhook-signature": Webhook(secret).sign("msg_1", old, body)}],
        [body, {}],
    ]  # fmt: skip
    script = tmp_path / "verify.mjs"
    script.write_text(
        blocks("js")[0] + f"const tries = {json.dumps(tries)};\n"
        "console.log(JSON.stringify(tries.map(([body, headers]) => {\n"
        "  try { return received(Buffer.from(body), headers); } catch (error) { return error.message; }\n"
        "})));\n"
    )
    ran = subprocess.run([node(), script], capture_output=True, text=True, timeout=300, check=True)
    assert json.loads(ran.stdout) == [json.loads(body), *["it is not ours, or old"] * 5]


def test_the_command_shown_makes_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    code = re.search(r"python3 -c '(.*)'", PAGE)
    assert code
    exec(code[1], {})
    made = capsys.readouterr().out.strip()
    assert len(base64.b64decode(made.removeprefix("whsec_"))) == 32


def test_the_waits_are_those_of_the_code() -> None:
    waits = [backoff(tried, 0) for tried in range(1, TRIES + 1)]
    for tried, wait in enumerate(waits[:7], 1):
        assert wait is not None
        assert f"\n| {tried} | {format_duration(wait)} |" in PAGE
    assert set(map(str, waits[7:11])) == {str(6 * 3_600_000_000)}
    assert (waits[11], "\n| 8 to 11 | 6h |" in PAGE, "\n| 12 | given up |" in PAGE) == (None, True, True)


def test_what_becomes_of_other_people_s_text_is_as_described() -> None:
    assert "`http://evil.example` becomes `http[:]//evil[.]example`" in PAGE
    assert defanged("http://evil.example") == "http[:]//evil[.]example"
    assert defanged("@everyone") == "[@]everyone"
    assert f"cut after {LONGEST} characters" in PAGE


def test_every_kind_of_database_and_of_network_is_named() -> None:
    for name in (*QUESTIONS, *NETWORKS, *NETWORKS.values()):
        assert f"`{name}`" in OPERATING or f"`network.{name}`" in OPERATING
