"""Text that others wrote: make it valid Unicode, and show what nobody would see in it.

JSON may hold half of a surrogate pair, which no encoding can write.
"""

from __future__ import annotations

import re
import unicodedata

_VIRAMA = 9  # its combining class
# Arabic letters that join on both sides, those that join to the one before alone, and the vowel signs between them.
_BOTH = (
    "\u0620\u0626\u0628\u062a-\u062e\u0633-\u063f\u0641-\u0647\u0649\u064a\u066e\u066f\u0678-\u0687\u069a-\u06bf"
    "\u06c1\u06c2\u06cc\u06ce\u06d0\u06d1\u06fa-\u06fc\u06ff"
)
_BEFORE = (
    "\u0622-\u0625\u0627\u0629\u062f-\u0632\u0648\u0671-\u0673\u0675-\u0677\u0688-\u0699\u06c0\u06c3-\u06cb\u06cd\u06cf"
    "\u06d2\u06d3\u06d5\u06ee\u06ef"
)
_SIGNS = "[\u064b-\u065f\u0670]*"
_EMOJI = "[\u2194\u2195\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]"
_JOINED = re.compile(
    f"[{_BOTH}]{_SIGNS}\u200c(?={_SIGNS}[{_BOTH}{_BEFORE}])|{_EMOJI}[\U0001f3fb-\U0001f3ff]?\ufe0f?\u200d(?={_EMOJI})"
)


def whole(text: str) -> str:
    """Return a text with both halves of a pair as the character they mean, and `U+FFFD` for a half that is alone."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def legible(text: str, kept: str = "") -> str:
    """Return a text with every character that is not seen, or that steers, written as its escape; those `kept` stay.

    Control, direction, private and undecodable characters and odd spaces become `\\x1b`, `\\u202e` and so on. A joiner
    or its opposite stays where it changes what is seen: behind a virama and between Arabic letters that would join, as
    RFC 5892 says in its appendix A, and between emoji; the opposite behind a virama only where a letter follows.
    """
    if text.isprintable() or (kept and text.translate(str.maketrans("", "", kept)).isprintable()):
        return text
    joined = {found.end() - 1 for found in _JOINED.finditer(text)}
    return "".join(
        char if char.isprintable() or char in kept or place in joined or _behind_virama(text, place)
        else char.encode("unicode_escape").decode()
        for place, char in enumerate(text)
    )  # fmt: skip


def _behind_virama(text: str, place: int) -> bool:
    if text[place] not in "\u200c\u200d" or unicodedata.combining(text[place - 1 : place] or " ") != _VIRAMA:
        return False
    return text[place] == "\u200d" or text[place + 1 : place + 2].isalpha()
