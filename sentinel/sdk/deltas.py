"""Read deltas while they arrive, so that a list of a million decisions needs no long step and no long text.

Text in, a set of decisions out. Where the text comes from and who is told is known to `sync`.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from typing import Any

from sentinel.core.decisions import Decisions, Draft
from sentinel.core.errors import DecisionError
from sentinel.core.wire import read_decision

_LONGEST = 256 * 1024  # of one decision, one line or one gap between two of them
_MOST_HELD = 4 * _LONGEST  # characters of lists before `reset`, which a Sentinel server sends first
_LISTS = ("added", "removed")
_HEAD = ("now", "revision", "reset")
_decode = json.JSONDecoder().raw_decode
_Step = Callable[[], bool]


class DeltaReader:
    """Reads one delta: feed it text, then `finish` it. `whole` says that the answer is the full list.

    Raises ValueError or DecisionError for what is no delta; single decisions that cannot be read are counted in
    `rejected`.
    """

    def __init__(self, base: Decisions, whole: bool = False) -> None:
        self.rejected = 0
        self.fields: dict[str, Any] = {}
        self._base = base
        self._draft: Draft | None = None
        if whole:
            self.fields["reset"] = True
        self._held: list[Any] = []
        self._most_held = _MOST_HELD
        self._removed: list[str] = []
        self._lists: set[str] = set()
        self._more: list[str] = []
        self._length = 0
        self._enough = 0  # characters; a value that comes in small pieces is not read anew with each of them
        self._text = ""
        self._at = 0
        self._key = ""
        self._step: _Step = self._open

    def feed(self, text: str) -> None:
        """Read on."""
        self._more.append(text)
        self._length += len(text)
        if self._length >= self._enough:
            self._read()

    def finish(self) -> Decisions:
        """Return the set after the delta."""
        self._read()
        if self._step != self._over:
            raise ValueError("a delta that ends in the middle")
        revision = self.fields.get("revision")
        if type(revision) is not int or revision < 0:
            raise DecisionError("revision", "not a number")
        if not isinstance(self.fields.get("reset", False), bool):
            raise DecisionError("reset", "neither true nor false")
        draft = self._drafted()
        for id in self._removed:
            draft.remove(id)
        return draft.done(revision)

    @property
    def reset(self) -> bool:
        """Whether the list starts from nothing."""
        return self.fields.get("reset") is True

    def _read(self) -> None:
        self._text = "".join((self._text[self._at :], *self._more))
        self._more.clear()
        self._at = 0
        while self._skip_space() and self._step():
            pass
        left = self._length = len(self._text) - self._at
        if left > _LONGEST:
            raise ValueError(f"a delta with a value of over {_LONGEST:,} characters")
        self._enough = min(2 * left, _LONGEST + 1)

    def _open(self) -> bool:
        return self._expect("{", self._next_key)

    def _next_key(self) -> bool:
        if self._text[self._at] == "}":
            return self._expect("}", self._over)
        if self._text[self._at] == ",":
            self._at += 1
            return True
        found, key = self._value()
        if found:
            self._key = str(key)
            self._step = self._colon
        return found

    def _colon(self) -> bool:
        return self._expect(":", self._start_value)

    def _start_value(self) -> bool:
        if self._key in _LISTS and self._text[self._at] == "[":
            self._lists.add(self._key)
            return self._expect("[", self._next_item)
        found, value = self._value()
        if found:
            if self._key in _HEAD and not (self._key == "reset" and self.reset):
                self.fields[self._key] = value
            self._step = self._next_key
        return found

    def _next_item(self) -> bool:
        if self._text[self._at] == "]":
            return self._expect("]", self._next_key)
        if self._text[self._at] == ",":
            self._at += 1
            return True
        begun = self._at
        found, value = self._value()
        if found:
            self._take(value, self._at - begun)
        return found

    def _over(self) -> bool:
        raise ValueError("text after the end of a delta")

    def _take(self, value: Any, length: int) -> None:
        """Apply an item of a list, or hold it until `reset` is known, and what is removed until all is added."""
        if self._key == "removed" and not isinstance(value, str):
            self.rejected += 1
        elif "reset" not in self.fields or "added" not in self._lists:
            self._hold(value, length)
        elif self._key == "added":
            self._add(self._drafted(), value)
        else:
            self._drafted().remove(value)

    def _hold(self, value: Any, length: int) -> None:
        (self._held if self._key == "added" else self._removed).append(value)
        self._most_held -= length
        if self._most_held < 0:
            raise ValueError("a delta that says too late what to do with its lists")

    def _drafted(self) -> Draft:
        if self._draft is None:
            self._draft = Draft(Decisions(self._base.salt, self._base.limit) if self.reset else self._base)
        held, self._held = self._held, []
        for value in held:
            self._add(self._draft, value)
        return self._draft

    def _add(self, draft: Draft, value: Any) -> None:
        try:
            draft.add(read_decision(value))
        except DecisionError:
            self.rejected += 1

    def _value(self) -> tuple[bool, Any]:
        try:
            value, end = _decode(self._text, self._at)
        except json.JSONDecodeError:
            return False, None  # most likely not all of it is here; `feed` bounds how long that may go on
        except RecursionError:
            raise ValueError("a delta nested too deeply") from None
        if end == len(self._text) and self._text[end - 1] not in '}]"':
            return False, None  # a number may go on
        self._at = end
        return True, value

    def _expect(self, what: str, then: _Step) -> bool:
        if self._text[self._at] != what:
            raise ValueError(f"`{self._text[self._at]}` in a delta where `{what}` belongs")
        self._at += 1
        self._step = then
        return True

    def _skip_space(self) -> bool:
        text, at = self._text, self._at
        while at < len(text) and text[at] in " \t\r\n":
            at += 1
        self._at = at
        return at < len(text)


class EventStream:
    """Splits a stream of server-sent events (WHATWG HTML, section 9.2).

    `data` is called with each piece of an event's data as it comes, `dispatch` with its name once it is complete.
    """

    def __init__(self, data: Callable[[str], None], dispatch: Callable[[str], None]) -> None:
        self._data = data
        self._dispatch = dispatch
        self._bytes = codecs.getincrementaldecoder("utf-8")("replace")
        self._line = ""
        self._in_data = False
        self._name = "message"

    def feed(self, piece: bytes) -> None:
        """Read on."""
        text = self._bytes.decode(piece)
        while text:
            head, newline, text = text.partition("\n")
            self._part(head, bool(newline))

    def _part(self, head: str, complete: bool) -> None:
        if not self._in_data:
            self._line += head
            if len(self._line) > _LONGEST:
                raise ValueError(f"a line of over {_LONGEST:,} characters")
            if not self._line.startswith("data:"):
                if complete:
                    line, self._line = self._line.rstrip("\r"), ""
                    self._field(line)
                return
            head, self._line = self._line[5:], ""
        self._data(head + "\n" if complete else head)
        self._in_data = not complete

    def _field(self, line: str) -> None:
        if not line:
            name, self._name = self._name, "message"
            self._dispatch(name)
        elif line.startswith("event:"):
            self._name = line[6:].strip()
