"""Secrets: new ones for webhooks, and passwords full of characters that mean something in URLs as they come in one."""

from __future__ import annotations

import base64
import os
import re

from hypothesis import strategies as st

WORDS = ("qx7v", "zwk9", "4711", "jqh", "8123", "vvz")
SPELLINGS = (
    "{scheme}://:{password}@127.0.0.1:1/0",
    "{scheme}://someone:{password}@127.0.0.1:1/0",
    "{scheme}://:{password}@127.0.0.1:bad",
    "{scheme}://:{password}@127.0.0.1:99999/x",
    "{scheme}://:{password}@[::1",
    "{scheme}://:{password}@127.0.0.1:1/{password}@127.0.0.1",
    "{scheme}://:{password}@127.0.0.1:1?replicas={password}",
    "{scheme}://:{password}@127.0.0.1:1?password={password}",
    "{scheme}://:{password}@127.0.0.1:1?{password}",
    "{scheme}://:{password}@127.0.0.1:1#{password}",
    "{scheme}:/:{password}@127.0.0.1:1",
    "{scheme}:///:{password}@127.0.0.1:1",
    "{scheme}//:{password}@127.0.0.1:1",
    " {scheme}://:{password}@127.0.0.1:1 x",
    ":{password}@127.0.0.1",
)


def webhook_secret() -> str:
    """Return a new secret for a webhook."""
    return "whsec_" + base64.b64encode(os.urandom(32)).decode()


def passwords() -> st.SearchStrategy[str]:
    """Return passwords of several words, with characters between them that mean something in URLs."""
    odd = st.text("/?#@:[]%&=+,;\\ \"'`{}|^~<>$!*()\t℀é", min_size=1, max_size=2)
    return st.lists(st.tuples(odd, st.sampled_from(WORDS)), min_size=1, max_size=3).map(
        lambda parts: "".join(before + word for before, word in parts)
    )


def pieces(password: str) -> list[str]:
    """Return the words of a password."""
    return re.findall("|".join(WORDS), password)
