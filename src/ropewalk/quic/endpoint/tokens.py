"""Address-validation tokens of Retry packets and NEW_TOKEN frames (RFC 9000 8.1)."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.types.address import Address
from ropewalk.quic.types.identity import TokenKeys

#: Kinds of token. ``TOKEN_UNKNOWN`` is one that this endpoint did not make.
TOKEN_UNKNOWN: Final = -1
TOKEN_RETRY: Final = 0
TOKEN_NEW_TOKEN: Final = 1

#: Authenticated with every token, so that nothing else sealed by the keys passes for one.
_FORMAT: Final = b"ropewalk address token 1"
#: Hosts that share a root secret may disagree on the time by this many seconds.
_CLOCK_SKEW: Final = 5.0
#: Longer tokens are not ours: our own stay below 200 bytes.
_LONGEST: Final = 512


@final
class TokenCheck:
    """What a token proves.

    ``valid``: the client receives at its address, no further validation is needed. A token
    that is not valid but of kind ``TOKEN_RETRY`` is grounds for INVALID_TOKEN, since the
    client cannot get another one (RFC 9000 8.1.3); any other counts as no token at all. The
    connection IDs are those of the exchange that led to a Retry, b"" for other kinds.
    """

    def __init__(
        self,
        kind: i64,
        valid: bool,
        original_dcid: bytes = b"",
        retry_source_cid: bytes = b"",
    ) -> None:
        self.kind: i64 = kind
        self.valid = valid
        self.original_dcid = original_dcid
        self.retry_source_cid = retry_source_cid


def make_retry_token(
    keys: TokenKeys,
    remote: Address,
    original_dcid: bytes,
    retry_source_cid: bytes,
    wall_now: float,
) -> bytes:
    """A token for a Retry packet, bound to the client's IP address and port.

    ``original_dcid`` is what the client's first Initial was addressed to,
    ``retry_source_cid`` the ID that the Retry gives it. ``wall_now``: seconds since 1970.
    """
    plaintext = (
        _stamp(wall_now)
        + _counted(original_dcid)
        + _counted(retry_source_cid)
        + remote.port.to_bytes(2, "big")
        + remote.ip.encode()
    )
    return keys.seal(TOKEN_RETRY, plaintext, _FORMAT)


def make_new_token(keys: TokenKeys, remote: Address, wall_now: float) -> bytes:
    """A token for a NEW_TOKEN frame, bound to the client's IP address only: by the time of
    its next connection the port is another one (RFC 9000 8.1.3)."""
    return keys.seal(TOKEN_NEW_TOKEN, _stamp(wall_now) + remote.ip.encode(), _FORMAT)


def check_token(
    keys: TokenKeys,
    token: bytes,
    remote: Address,
    wall_now: float,
    retry_lifetime: float,
    new_token_lifetime: float,
) -> TokenCheck:
    """Judge the token of an Initial packet from ``remote``. Lifetimes in seconds.

    Takes any bytes and never raises. That a token is used only once is not checked here;
    that takes a ``ReplayGuard``.
    """
    if not token or len(token) > _LONGEST:
        return TokenCheck(TOKEN_UNKNOWN, False)
    plaintext = keys.open(TOKEN_RETRY, token, _FORMAT)
    if plaintext is not None:
        return _check_retry(plaintext, remote, wall_now, retry_lifetime)
    plaintext = keys.open(TOKEN_NEW_TOKEN, token, _FORMAT)
    if plaintext is not None:
        own = plaintext[8:] == remote.ip.encode()
        valid = own and _is_fresh(plaintext, wall_now, new_token_lifetime)
        return TokenCheck(TOKEN_NEW_TOKEN, valid)
    return TokenCheck(TOKEN_UNKNOWN, False)


def _check_retry(plaintext: bytes, remote: Address, wall_now: float, lifetime: float) -> TokenCheck:
    # Authentic, but perhaps made by a host that runs another release: lengths are checked.
    position: i64 = 8
    size: i64 = len(plaintext)
    fields: list[bytes] = []
    while len(fields) < 2:
        if position >= size:
            return TokenCheck(TOKEN_RETRY, False)
        end: i64 = position + 1 + plaintext[position]
        fields.append(plaintext[position + 1 : end])
        position = end
    address = remote.port.to_bytes(2, "big") + remote.ip.encode()
    valid = plaintext[position:] == address and _is_fresh(plaintext, wall_now, lifetime)
    return TokenCheck(TOKEN_RETRY, valid, fields[0], fields[1])


def _stamp(wall_now: float) -> bytes:
    return max(0, int(wall_now * 1000)).to_bytes(8, "big")


def _is_fresh(plaintext: bytes, wall_now: float, lifetime: float) -> bool:
    age = wall_now - int.from_bytes(plaintext[:8], "big") / 1000
    return -_CLOCK_SKEW <= age <= lifetime


def _counted(connection_id: bytes) -> bytes:
    return bytes([len(connection_id)]) + connection_id
