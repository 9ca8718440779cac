"""What the real clients were seen to send, and how it is sent again: the same heads and bodies, another key and port.

`captures/<name>.json` is a list of requests: method, target, headers, body_json or body_text, content_encoding. A
capture holds no more than a test reads; keys in it are made up.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.api.served import Answer, Client

FOLDER = Path(__file__).parent / "captures"
_HOP = {"host", "connection", "content-length", "transfer-encoding", "expect"}


@dataclass(frozen=True)
class Recorded:
    """One request as it was recorded."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: Any = None
    encoding: str | None = None

    def data(self) -> bytes:
        """The body as bytes, compressed as it was."""
        plain = self.body if isinstance(self.body, str) else json.dumps(self.body) if self.body is not None else ""
        return gzip.compress(plain.encode()) if self.encoding == "gzip" else plain.encode()


def recorded(name: str) -> list[Recorded]:
    """Return the requests of a capture."""
    return [
        Recorded(
            one["method"], one["target"], tuple((key, value) for key, value in one["headers"]),
            one["body_json"] if one.get("body_json") is not None else one.get("body_text") or None,
            one.get("content_encoding"),
        )
        for one in json.loads((FOLDER / f"{name}.json").read_text())
    ]  # fmt: skip


def replay(
    client: Client, name: str, prefix: str, keys: Mapping[str, str], change: Any = lambda one: one
) -> Iterator[tuple[Recorded, Answer]]:
    """Send a capture's requests in order below `prefix`, and give each with its answer.

    `keys` maps what a recorded header or target holds to what is sent instead: the recorded key to one that is good.
    `change` may alter a request before it goes out.
    """
    for one in map(change, recorded(name)):
        headers = [(key, _swapped(value, keys)) for key, value in one.headers if key.lower() not in _HOP]
        target = prefix + _swapped(one.target, keys)
        yield one, client.using(None).ask(one.method, target, raw=one.data() or None, headers=headers)


def _swapped(text: str, keys: Mapping[str, str]) -> str:
    for old, new in keys.items():
        text = text.replace(old, new)
    return text
