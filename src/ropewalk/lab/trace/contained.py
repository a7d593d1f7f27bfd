"""Contained qlog: one JSON document, which may be larger than its parsed form should be.

The document's outline (top level, traces, the array of events) is walked here; each event is
parsed by itself and forgotten.
"""

from __future__ import annotations

import codecs
import json
import mmap
import re
from collections.abc import Iterator
from typing import Final, final

from ropewalk.lab.trace.oddities import Oddities

_SPACE: Final = re.compile(r"[ \t\r\n]*")
#: Where the next event may begin after a broken one.
_BETWEEN: Final = re.compile(r"\}\s*,\s*(?=\{)")
_WINDOW: Final = 1 << 20
#: One value is no larger.
_MAX_VALUE: Final = 1 << 24
#: After so many broken events the rest is not worth its time.
_MOST_BROKEN: Final = 1000


class _Broken(ValueError):
    """No JSON where some has to be."""


@final
class Contained:
    """Walks one document. :meth:`records` gives heads and events."""

    def __init__(self, data: bytes | bytearray | mmap.mmap, start: int, oddities: Oddities) -> None:
        self._data = data
        self._next = start  # of the bytes that are not yet in the window
        self._text = ""
        self._at = 0
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._decoder = json.JSONDecoder()
        self._oddities = oddities
        self._broken = 0

    def records(self) -> Iterator[tuple[bool, dict[str, object]]]:
        """A head with what stands before the events of a trace, its events, and another head
        with the fields behind them, if there are any."""
        top: dict[str, object] = {}
        try:
            for key in self._keys():
                if key == "traces" and self._sees("["):
                    for _ in self._elements():
                        yield from self._trace(top)
                else:
                    top[key] = self._value()
        except _Broken:
            self._oddities.count("the document breaks off or is no JSON from some point on")
        except RecursionError:
            self._oddities.count("values nested too deeply")

    def _trace(self, top: dict[str, object]) -> Iterator[tuple[bool, dict[str, object]]]:
        if not self._sees("{"):
            self._value()
            self._oddities.count("traces that are no objects")
            return
        head: dict[str, object] = {}
        late: dict[str, object] = {}
        begun = False
        for key in self._keys():
            if key == "events" and self._sees("[") and not begun:
                begun = True
                yield True, {**top, "trace": head}
                yield from self._events()
            elif begun:
                late[key] = self._value()
            else:
                head[key] = self._value()
        if not begun:
            yield True, {**top, "trace": head}
        if late:
            yield True, {"late": late}

    def _events(self) -> Iterator[tuple[bool, dict[str, object]]]:
        elements = self._elements()
        while True:
            try:
                if next(elements, None) is None:
                    return
                event = self._value()
            except (_Broken, RecursionError):
                self._resume()
                elements = self._elements(resumed=True)
                continue
            if isinstance(event, dict):
                yield False, event
            else:
                self._oddities.count("events that are no objects")

    def _resume(self) -> None:
        """Go to where the next event seems to begin."""
        self._oddities.count("broken events")
        self._broken += 1
        if self._broken > _MOST_BROKEN:
            raise _Broken
        while True:
            found = _BETWEEN.search(self._text, self._at)
            if found is not None:
                self._at = found.end()
                return
            self._at = max(self._at, len(self._text) - 64)
            if not self._fill():
                raise _Broken

    # -- the outline

    def _keys(self) -> Iterator[str]:
        """Step through an object: stands before the value of each key in turn."""
        self._expect("{")
        if self._sees("}"):
            self._at += 1
            return
        while True:
            key = self._value()
            if not isinstance(key, str):
                raise _Broken
            self._expect(":")
            yield key
            if self._sees("}"):
                self._at += 1
                return
            self._expect(",")

    def _elements(self, resumed: bool = False) -> Iterator[bool]:
        """Step through an array: stands before each element in turn."""
        if not resumed:
            self._expect("[")
            if self._sees("]"):
                self._at += 1
                return
        while True:
            yield True
            if self._sees("]"):
                self._at += 1
                return
            self._expect(",")

    def _sees(self, sign: str) -> bool:
        self._skip_space()
        return self._text.startswith(sign, self._at)

    def _expect(self, sign: str) -> None:
        if not self._sees(sign):
            raise _Broken
        self._at += 1

    def _skip_space(self) -> None:
        while True:
            match = _SPACE.match(self._text, self._at)
            assert match is not None
            self._at = match.end()
            if self._at < len(self._text) or not self._fill():
                return

    def _value(self) -> object:
        self._skip_space()
        while True:
            try:
                value: object
                value, end = self._decoder.raw_decode(self._text, self._at)
            except ValueError as error:
                # It may only be cut by the window: then more of it helps.
                near_end = self._looks_cut(error)
                if near_end and len(self._text) - self._at < _MAX_VALUE and self._fill():
                    continue
                raise _Broken from error
            if end == len(self._text) and self._fill():
                continue  # a number may go on
            self._at = end
            return value

    def _looks_cut(self, error: ValueError) -> bool:
        if not isinstance(error, json.JSONDecodeError):
            return False  # such as a number with too many digits
        # An unterminated string is reported where it begins.
        return error.msg.startswith("Unterminated") or error.pos > len(self._text) - 16

    def _fill(self) -> bool:
        """Take more bytes into the window; False at the end of the file."""
        if self._next >= len(self._data):
            return False
        size = max(_WINDOW, len(self._text) - self._at)
        piece = bytes(self._data[self._next : self._next + size])
        self._next += len(piece)
        # A character may be cut: the decoder keeps its first bytes for the next piece.
        more = self._utf8.decode(piece, final=self._next >= len(self._data))
        self._text = self._text[self._at :] + more
        self._at = 0
        return True
