"""Which field sections are well-formed (RFC 9114 4.2, 4.3; RFC 9110 5)."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from ropewalk.http3.errors import H3_MESSAGE_ERROR, Http3Error

_TOKEN: Final = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
_METHOD: Final = _TOKEN + b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SCHEME: Final = b"+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS: Final = b"0123456789"
#: RFC 9110 5.5: visible characters, space, tab, and whatever is beyond ASCII.
_VALUE: Final = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])
#: What a request target may hold: as above without whitespace.
_TARGET: Final = bytes([*range(0x21, 0x7F), *range(0x80, 0x100)])

#: Fields about one hop of HTTP/1.1, which have no meaning here (RFC 9114 4.2).
_CONNECTION_SPECIFIC: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)
_REQUEST_PSEUDO: Final = frozenset((b":method", b":scheme", b":authority", b":path", b":protocol"))
_RESPONSE_PSEUDO: Final = frozenset((b":status",))
_NO_PSEUDO: Final[frozenset[bytes]] = frozenset()

#: What each field adds to the size of a section (RFC 9114 4.2.2).
FIELD_OVERHEAD: Final = 32

Fields = list[tuple[bytes, bytes]]


class MessageError(Http3Error):
    """One message breaks the rules: its stream ends with ``code``, the connection lives on."""


@final
class RequestLine:
    """What the pseudo-header fields and content-length of a request say."""

    def __init__(self, method: bytes, is_connect: bool, content_length: i64) -> None:
        self.method = method
        #: an ordinary CONNECT, whose stream turns into a tunnel
        self.is_connect = is_connect
        #: -1 without one
        self.content_length: i64 = content_length


@final
class StatusLine:
    """What the pseudo-header field and content-length of a response say."""

    def __init__(self, status: i64, content_length: i64) -> None:
        self.status: i64 = status
        #: -1 without one
        self.content_length: i64 = content_length


def section_size(fields: Fields) -> int:
    """The size of a field section by the rule of RFC 9114 4.2.2."""
    size: i64 = 0
    for name, value in fields:
        size += len(name) + len(value) + FIELD_OVERHEAD
    return int(size)


def check_request(fields: Fields, extended_connect: bool) -> RequestLine:
    """Check a request's header section (RFC 9114 4.3.1). Raises ``MessageError``.

    ``extended_connect`` tells whether :protocol may be used (RFC 9220).
    """
    pseudo = _check_fields(fields, _REQUEST_PSEUDO)
    method = pseudo.get(b":method")
    if method is None:
        raise _malformed(":method is missing")
    if not method or method.translate(None, _METHOD):
        raise _malformed(f":method {_shown(method)} is not a token")
    length = _content_length(fields)
    if method == b"CONNECT" and b":protocol" not in pseudo:
        _check_connect(pseudo)
        return RequestLine(method, True, length)
    if b":protocol" in pseudo and (method != b"CONNECT" or not extended_connect):
        raise _malformed(":protocol may not be used here")
    _check_target(pseudo, fields, method)
    return RequestLine(method, False, length)


def check_response(fields: Fields) -> StatusLine:
    """Check a response's header section (RFC 9114 4.3.2). Raises ``MessageError``."""
    pseudo = _check_fields(fields, _RESPONSE_PSEUDO)
    status = pseudo.get(b":status")
    if status is None:
        raise _malformed(":status is missing")
    if len(status) != 3 or status.translate(None, _DIGITS) or status < b"100":
        raise _malformed(f":status {_shown(status)} is not a number of three digits")
    if status == b"101":
        # RFC 9114 4.5: there is nothing to switch to.
        raise _malformed("status 101 does not exist in HTTP/3")
    return StatusLine(int(status), _content_length(fields))


def check_trailers(fields: Fields) -> None:
    """Check a trailer section: no pseudo-header fields at all (RFC 9114 4.3)."""
    _check_fields(fields, _NO_PSEUDO)


def join_cookies(fields: Fields) -> Fields:
    """The same section with its cookie fields joined into one (RFC 9114 4.2.1)."""
    cookies: list[bytes] = []
    for name, value in fields:
        if name == b"cookie":
            cookies.append(value)
    if len(cookies) < 2:
        return fields
    joined: Fields = []
    first = True
    for name, value in fields:
        if name != b"cookie":
            joined.append((name, value))
        elif first:
            first = False
            joined.append((b"cookie", b"; ".join(cookies)))
    return joined


def _check_fields(fields: Fields, allowed: frozenset[bytes]) -> dict[bytes, bytes]:
    """Check every field by itself and their order; the pseudo-header fields."""
    pseudo: dict[bytes, bytes] = {}
    regular = False
    for name, value in fields:
        _check_value(name, value)
        if name[:1] == b":":
            if regular:
                raise _malformed(f"{_shown(name)} comes after a regular field")
            if name not in allowed:
                raise _malformed(f"{_shown(name)} has no place here")
            if name in pseudo:
                raise _malformed(f"{_shown(name)} appears twice")
            pseudo[name] = value
            continue
        regular = True
        if not name or name.translate(None, _TOKEN):
            raise _malformed(f"field name {_shown(name)} is not a token in lower case")
        if name in _CONNECTION_SPECIFIC:
            raise _malformed(f"{_shown(name)} does not exist in HTTP/3")
        if name == b"te" and value != b"trailers":
            raise _malformed(f"te is {_shown(value)}; only trailers is allowed")
    return pseudo


def _check_value(name: bytes, value: bytes) -> None:
    if not value:
        return
    if value.translate(None, _VALUE):
        raise _malformed(f"the value of {_shown(name)} has a character that is not allowed")
    if value[:1] in (b" ", b"\t") or value[-1:] in (b" ", b"\t"):
        raise _malformed(f"the value of {_shown(name)} begins or ends with whitespace")


def _check_connect(pseudo: dict[bytes, bytes]) -> None:
    """RFC 9114 4.4: host and port, nothing else."""
    if b":scheme" in pseudo or b":path" in pseudo:
        raise _malformed("CONNECT has neither :scheme nor :path")
    authority = pseudo.get(b":authority", b"")
    if not authority or authority.translate(None, _TARGET):
        raise _malformed(f"CONNECT needs a host and port, not {_shown(authority)}")


def _check_target(pseudo: dict[bytes, bytes], fields: Fields, method: bytes) -> None:
    scheme = pseudo.get(b":scheme")
    path = pseudo.get(b":path")
    if scheme is None or path is None:
        raise _malformed(f"{':scheme' if scheme is None else ':path'} is missing")
    if not scheme or scheme.translate(None, _SCHEME):
        raise _malformed(f":scheme {_shown(scheme)} is not a scheme")
    if path.translate(None, _TARGET):
        raise _malformed(f":path {_shown(path)} has whitespace")
    authority = pseudo.get(b":authority")
    if authority is not None and authority.translate(None, _TARGET):
        raise _malformed(f":authority {_shown(authority)} has whitespace")
    host: bytes | None = None
    for name, value in fields:
        if name == b"host":
            if host is not None:
                raise _malformed("host appears twice")
            host = value
    if scheme.lower() not in (b"http", b"https"):
        return
    if path[:1] != b"/" and not (path == b"*" and method == b"OPTIONS"):
        raise _malformed(f":path {_shown(path)} does not begin with a slash")
    named = authority if authority is not None else host
    if not named:
        raise _malformed("neither :authority nor host names a host")
    if authority is not None and host is not None and authority != host:
        raise _malformed(f":authority {_shown(authority)} and host {_shown(host)} differ")
    if b"@" in named:
        raise _malformed("the authority has a user name, which is not allowed")


def _content_length(fields: Fields) -> i64:
    """The value of content-length, -1 without one. Repetitions must agree (RFC 9110 8.6)."""
    length: i64 = -1
    for name, value in fields:
        if name != b"content-length":
            continue
        if not value or len(value) > 18 or value.translate(None, _DIGITS):
            raise _malformed(f"content-length {_shown(value)} is not a number of bytes")
        number: i64 = int(value)
        if length >= 0 and number != length:
            raise _malformed(f"content-length is both {length} and {number}")
        length = number
    return length


def _shown(value: bytes) -> str:
    """Hostile bytes for an error text: short and printable."""
    text = value[:40].decode("ascii", "backslashreplace")
    return repr(text + "..." if len(value) > 40 else text)


def _malformed(reason: str) -> MessageError:
    return MessageError(H3_MESSAGE_ERROR, reason)
