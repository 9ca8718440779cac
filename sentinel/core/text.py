"""Make text valid Unicode: JSON may hold half of a surrogate pair, which no encoding can write."""

from __future__ import annotations


def whole(text: str) -> str:
    """Return a text with both halves of a pair as the character they mean, and `U+FFFD` for a half that is alone."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
