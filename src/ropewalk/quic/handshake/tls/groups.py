"""Key-exchange groups: X25519MLKEM768, X25519, P-256 and P-384 (RFC 9846 4.3.8, 7.4).

Keys come from the configured entropy, so that a run in the lab repeats. ML-KEM
encapsulation alone draws its randomness inside ``cryptography``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ropewalk.quic.handshake.tls.codepoints import ILLEGAL_PARAMETER
from ropewalk.quic.types.errors import ConfigurationError, HandshakeError, Unsupported

SECP256R1: Final = 0x0017
SECP384R1: Final = 0x0018
X25519: Final = 0x001D
X25519_MLKEM768: Final = 0x11EC

_CODES: Final[dict[str, int]] = {
    "X25519MLKEM768": X25519_MLKEM768,
    "X25519": X25519,
    "P-256": SECP256R1,
    "P-384": SECP384R1,
}

_NAMES: Final[dict[int, str]] = {
    X25519_MLKEM768: "X25519MLKEM768",
    X25519: "X25519",
    SECP256R1: "P-256",
    SECP384R1: "P-384",
}

_ENCAPSULATION_KEY: Final = 1184
_CIPHERTEXT: Final = 1088

# Orders of the curves' base points (SEC 2): a private key lies between 1 and order - 1.
_ORDERS: Final[dict[int, int]] = {
    SECP256R1: 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    SECP384R1: (0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF << 192)
    + 0xC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
}


def group_codes(names: tuple[str, ...]) -> list[int]:
    """The code points of groups by name. Raises ``ConfigurationError`` for a name
    that is unknown or stands there twice."""
    codes: list[int] = []
    for name in names:
        code = _CODES.get(name)
        if code is None:
            raise ConfigurationError(
                f"key-exchange group {name!r} is not known; choose from {', '.join(_CODES)}"
            )
        if code in codes:
            raise ConfigurationError(f"key-exchange group {name!r} is named twice")
        codes.append(code)
    return codes


def group_name(code: int) -> str:
    """The name of a group, by its code point."""
    return _NAMES.get(code, f"0x{code:04x}")


class KeyExchange:
    """A private key of one group, waiting for the peer's share."""

    def __init__(self, group: int, share: bytes) -> None:
        self.group = group
        #: What the ClientHello or ServerHello carries.
        self.share = share

    def agree(self, peer_share: bytes) -> bytes:
        """The shared secret. Raises ``HandshakeError`` (illegal_parameter) for a bad share."""
        raise NotImplementedError


@final
class _X25519Exchange(KeyExchange):
    def __init__(self, seed: bytes) -> None:
        self._key = x25519.X25519PrivateKey.from_private_bytes(seed)
        super().__init__(X25519, self._key.public_key().public_bytes_raw())

    def agree(self, peer_share: bytes) -> bytes:
        try:
            # cryptography refuses the all-zero result, as RFC 9846 7.4.2 wants.
            return self._key.exchange(x25519.X25519PublicKey.from_public_bytes(peer_share))
        except ValueError:
            raise _bad_share(X25519) from None


@final
class _EllipticExchange(KeyExchange):
    def __init__(self, group: int, seed: bytes) -> None:
        scalar = int.from_bytes(seed, "big") % (_ORDERS[group] - 1) + 1
        self._key = ec.derive_private_key(scalar, _curve(group))
        public = self._key.public_key()
        super().__init__(group, public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))

    def agree(self, peer_share: bytes) -> bytes:
        # RFC 9846 4.3.8.2: only the uncompressed form exists on the wire.
        if len(peer_share) != len(self.share) or peer_share[0] != 4:
            raise _bad_share(self.group)
        try:
            point = ec.EllipticCurvePublicKey.from_encoded_point(_curve(self.group), peer_share)
            return self._key.exchange(ec.ECDH(), point)
        except ValueError:
            raise _bad_share(self.group) from None


@final
class _HybridExchange(KeyExchange):
    """The client's half of X25519MLKEM768: ML-KEM part first, in share and secret alike."""

    def __init__(self, seed: bytes, classical: KeyExchange) -> None:
        self._classical = classical
        try:
            self._key = mlkem.MLKEM768PrivateKey.from_seed_bytes(seed)
        except UnsupportedAlgorithm:
            raise _no_mlkem() from None
        public = self._key.public_key().public_bytes_raw()
        super().__init__(X25519_MLKEM768, public + classical.share)

    def agree(self, peer_share: bytes) -> bytes:
        try:
            secret = self._key.decapsulate(peer_share[:_CIPHERTEXT])
        except ValueError:
            raise _bad_share(X25519_MLKEM768) from None
        return secret + self._classical.agree(peer_share[_CIPHERTEXT:])


def make_key_shares(groups: list[int], entropy: Callable[[int], bytes]) -> list[KeyExchange]:
    """Fresh keys for a ClientHello, one per group.

    X25519MLKEM768 and X25519 share one X25519 key, which the hybrid design allows for the
    same algorithm within one ClientHello.
    """
    exchanges: list[KeyExchange] = []
    classical: KeyExchange | None = None
    for group in groups:
        if group == X25519 or group == X25519_MLKEM768:
            if classical is None:
                classical = _X25519Exchange(entropy(32))
            if group == X25519:
                exchanges.append(classical)
            else:
                exchanges.append(_HybridExchange(entropy(64), classical))
        else:
            exchanges.append(_elliptic(group, entropy))
    return exchanges


def answer_key_share(
    group: int, client_share: bytes, entropy: Callable[[int], bytes]
) -> tuple[bytes, bytes]:
    """The server's side: its share and the shared secret.

    Raises ``HandshakeError`` (illegal_parameter) for a bad client share.
    """
    if group == X25519_MLKEM768:
        try:
            peer = mlkem.MLKEM768PublicKey.from_public_bytes(client_share[:_ENCAPSULATION_KEY])
            secret, ciphertext = peer.encapsulate()
        except UnsupportedAlgorithm:
            raise _no_mlkem() from None
        except ValueError:
            raise _bad_share(group) from None
        classical = _X25519Exchange(entropy(32))
        secret += classical.agree(client_share[_ENCAPSULATION_KEY:])
        return ciphertext + classical.share, secret
    exchange: KeyExchange
    if group == X25519:
        exchange = _X25519Exchange(entropy(32))
    else:
        exchange = _elliptic(group, entropy)
    return exchange.share, exchange.agree(client_share)


def _elliptic(group: int, entropy: Callable[[int], bytes]) -> KeyExchange:
    # 64 bits more than the order has, so that the remainder is not biased (FIPS 186-5 A.2.1).
    return _EllipticExchange(group, entropy(40 if group == SECP256R1 else 56))


def _curve(group: int) -> ec.EllipticCurve:
    if group == SECP256R1:
        return ec.SECP256R1()
    return ec.SECP384R1()


def _bad_share(group: int) -> HandshakeError:
    return HandshakeError(
        ILLEGAL_PARAMETER, f"the peer's {group_name(group)} key share is not valid"
    )


def _no_mlkem() -> Unsupported:
    return Unsupported(
        "the installed cryptography library has no ML-KEM; "
        "leave X25519MLKEM768 out of groups and key_shares"
    )
