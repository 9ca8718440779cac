"""Download a list or a database from a URL, and do not download it again until it changed (by its ETag).

Where downloads are kept is not known here.
"""

from __future__ import annotations

from typing import NamedTuple

from sentinel.actions.fetch import Fetcher, FetchError

MOST = 64 << 20
TIMEOUT = 30.0  # seconds for one; a stop may have to wait for it
LONGEST_TAG = 256


class Download(NamedTuple):
    """What was downloaded, and the tag by which to ask next time whether it changed."""

    body: bytes
    tag: str


def download(fetcher: Fetcher, url: str, tag: str = "", *, most: int = MOST) -> Download | None:
    """Return what a URL holds, None where it is unchanged since the tag was given; raises FetchError."""
    headers = {"If-None-Match": tag} if tag else {}
    response = fetcher.fetch(url, headers=headers, most=most, timeout=TIMEOUT)
    if response.status == 304 and tag:
        return None
    if response.status != 200:
        hint = "redirects are not followed: set the URL it leads to" if 300 <= response.status < 400 else None
        raise FetchError(f"the server answered {response.status}", hint)
    if response.headers.get("content-encoding", "identity") != "identity":
        raise FetchError("the server packed the answer, although asked not to")
    if not response.whole:
        raise FetchError(f"the answer is larger than {most >> 20} MiB, or was cut off")
    tag = response.headers.get("etag", "")
    return Download(response.body, tag if tag.isascii() and len(tag) <= LONGEST_TAG else "")
