"""Header and trailer fields as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import final

from ropewalk.quic.types.errors import ConfigurationError

#: What callers may give for fields: a mapping, or pairs where a name comes up repeatedly.
FieldsGiven = Mapping[str, str] | Iterable[tuple[str, str]]

#: A field line on the wire.
Field = tuple[bytes, bytes]


@final
class Headers(Mapping[str, str]):
    """Fields in their order. Names are compared without regard to case.

    ``headers[name]`` joins the values of a repeated name with commas (RFC 9110 5.3);
    :meth:`get_all` keeps them apart, as Set-Cookie needs. Bytes beyond ASCII appear as the
    characters of ISO 8859-1, one for each byte.
    """

    __slots__ = ("_fields",)

    def __init__(self, fields: FieldsGiven = ()) -> None:
        pairs = fields.items() if isinstance(fields, Mapping) else fields
        self._fields = [(name.lower(), value) for name, value in pairs]

    @classmethod
    def from_wire(cls, fields: Iterable[Field]) -> Headers:
        """The regular fields of a section; pseudo-header fields are left out."""
        return cls(
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in fields
            if not name.startswith(b":")
        )

    def to_wire(self) -> list[Field]:
        """Field lines. Raises ``ConfigurationError`` for what is beyond ISO 8859-1."""
        try:
            return [
                (name.encode("latin-1"), value.encode("latin-1")) for name, value in self._fields
            ]
        except UnicodeEncodeError:
            raise self._beyond() from None

    def _beyond(self) -> ConfigurationError:
        """Which field it is that cannot be sent."""
        wrong = next(name for name, value in self._fields if not _fits(name + value))
        return ConfigurationError(
            f"the field {wrong!r} has characters beyond ISO 8859-1 (latin-1), which no field can "
            "carry; encode them, for example by urllib.parse.quote"
        )

    def get_all(self, name: str) -> list[str]:
        """Every value of a name, in order."""
        name = name.lower()
        return [value for each, value in self._fields if each == name]

    def pairs(self) -> list[tuple[str, str]]:
        """All fields, repeated names included."""
        return list(self._fields)

    def __getitem__(self, name: str) -> str:
        values = self.get_all(name)
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for name, _ in self._fields))

    def __len__(self) -> int:
        return len({name for name, _ in self._fields})

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and any(each == name.lower() for each, _ in self._fields)

    def __repr__(self) -> str:
        return f"Headers({self._fields!r})"


def _fits(text: str) -> bool:
    return all(ord(character) < 256 for character in text)


def pseudo(fields: Iterable[Field], name: bytes) -> str:
    """The value of a pseudo-header field, "" without it."""
    for each, value in fields:
        if each == name:
            return value.decode("latin-1")
    return ""
