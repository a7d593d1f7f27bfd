"""Writes the pieces of JSON that packets are described with, without building objects first."""

from __future__ import annotations

from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64

#: The decimal digits of 0 to 999, plain and with leading zeros.
_PLAIN: Final = [b"%d" % number for number in range(1000)]
_PADDED: Final = [b"%03d" % number for number in range(1000)]


@final
class JsonWriter:
    """A growing buffer of UTF-8. Nobody checks that what is written is well-formed."""

    def __init__(self) -> None:
        self._out = BytesWriter()

    def __len__(self) -> int:
        return len(self._out)

    def take(self) -> bytes:
        """All that was written since the last call."""
        data = self._out.getvalue()
        self._out.truncate(0)
        return data

    def raw(self, data: bytes) -> None:
        """Bytes as they are."""
        self._out.write(data)

    def number(self, value: i64) -> None:
        """An integer; no smaller than 0."""
        if value < 1000:
            self._out.write(_PLAIN[value])
        else:
            rest = value // 1000
            if rest < 1000:
                self._out.write(_PLAIN[rest])
            else:
                self.number(rest)
            self._out.write(_PADDED[value - rest * 1000])

    def milliseconds(self, seconds: float) -> None:
        """A time in milliseconds, to the nearest microsecond."""
        if seconds < 0.0:
            self._out.write(b"-")
            seconds = -seconds
        micros = i64(seconds * 1e6 + 0.5)
        whole = micros // 1000
        self.number(whole)
        rest = micros - whole * 1000
        if rest != 0:
            self._out.write(b".")
            self._out.write(_PADDED[rest])

    def hexadecimal(self, data: bytes) -> None:
        """A string of lower-case digits, in quotation marks."""
        self._out.write(b'"')
        self._out.write(data.hex().encode())
        self._out.write(b'"')
