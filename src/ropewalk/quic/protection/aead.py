"""The AEADs of RFC 9001 behind the ``PacketProtection`` seam."""

from __future__ import annotations

from typing import Final, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from librt.strings import BytesWriter, read_i32_be, read_i64_be, write_i32_be, write_i64_be
from mypy_extensions import i32, i64

from ropewalk.quic.protection.labels import (
    hash_length,
    hash_of_suite,
    hkdf_expand_label,
    key_length,
)
from ropewalk.quic.protection.versions import version_keys
from ropewalk.quic.types.handshake import CHACHA20_POLY1305
from ropewalk.quic.types.protection import PacketProtection

#: RFC 9001 6.6 and B.1: 2^23 packets sealed, 2^52 forgeries for both AES-GCM suites.
_AES_CONFIDENTIALITY: Final = 0x800000
_AES_INTEGRITY: Final = 0x10000000000000
#: For ChaCha20 the packet numbers run out first; 2^36 forgeries.
_CHACHA_CONFIDENTIALITY: Final = 0x4000000000000000
_CHACHA_INTEGRITY: Final = 0x1000000000

_ZEROS: Final = bytes(16)


@final
class Nonces:
    """Makes the nonces of one key: IV xor (path ID, 32 bits; packet number, 64 bits).

    RFC 9001 5.3, RFC 10069 for the path ID. One writer is kept and refilled, and the four
    bytes of the path stay in it, since packets of one path come in runs.
    """

    def __init__(self, iv: bytes) -> None:
        self.iv = iv
        # Signed reading: xor with a number below 2^62 leaves the range of an i64 alone, so
        # both builds may write the outcome back as a signed number.
        self._low: i64 = read_i64_be(iv, 4)
        self._path_id: i64 = 0
        self._writer = BytesWriter()
        self._writer.write(iv[:4])

    def nonce(self, path_id: i64, packet_number: i64) -> bytes:
        """The 12-byte nonce of a packet."""
        writer = self._writer
        if path_id != self._path_id:
            self._turn_to(path_id)
        writer.truncate(4)
        write_i64_be(writer, self._low ^ packet_number)
        return writer.getvalue()

    def _turn_to(self, path_id: i64) -> None:
        word: i64 = (i64(read_i32_be(self.iv, 0)) ^ path_id) & 0xFFFFFFFF
        if word >= 0x80000000:
            word -= 0x100000000
        self._writer.truncate(0)
        write_i32_be(self._writer, i32(word))
        self._path_id = path_id


@final
class AesGcmProtection(PacketProtection):
    """AES-GCM with a 128- or 256-bit key, and AES-ECB for the header masks (RFC 9001 5.4.3)."""

    def __init__(
        self, suite: i64, secret: bytes, version: int, header: CipherContext | None = None
    ) -> None:
        """``header``: the header cipher of the generation before, kept over key updates."""
        super().__init__()
        self.confidentiality_limit = _AES_CONFIDENTIALITY
        self.integrity_limit = _AES_INTEGRITY
        self._suite: i64 = suite
        self._secret = secret
        self._version = version
        keys = version_keys(version)
        name = hash_of_suite(suite)
        size = key_length(suite)
        aead = AESGCM(hkdf_expand_label(name, secret, keys.key_label, b"", size))
        self._encrypt = aead.encrypt
        self._decrypt = aead.decrypt
        self._nonces = Nonces(hkdf_expand_label(name, secret, keys.iv_label, b"", 12))
        if header is None:
            header_key = hkdf_expand_label(name, secret, keys.header_label, b"", size)
            header = Cipher(algorithms.AES(header_key), modes.ECB()).encryptor()  # noqa: S305
        self._header = header

    def seal(self, path_id: i64, packet_number: i64, header: bytes, payload: bytes) -> bytes:
        """Ciphertext with tag; see :meth:`PacketProtection.seal`."""
        return self._encrypt(self._nonces.nonce(path_id, packet_number), payload, header)

    def open(
        self, path_id: i64, packet_number: i64, header: bytes, ciphertext: bytes
    ) -> bytes | None:
        """Plaintext or ``None``; see :meth:`PacketProtection.open`."""
        try:
            return self._decrypt(self._nonces.nonce(path_id, packet_number), ciphertext, header)
        except InvalidTag:
            return None

    def masks(self, samples: bytes) -> bytes:
        """AES-ECB of all samples at once; see :meth:`PacketProtection.masks`."""
        return self._header.update(samples)

    def next_generation(self) -> PacketProtection:
        """The protection after a key update; see :meth:`PacketProtection.next_generation`."""
        secret = updated_secret(self._suite, self._secret, self._version)
        return AesGcmProtection(self._suite, secret, self._version, self._header)


@final
class ChaCha20Protection(PacketProtection):
    """ChaCha20-Poly1305, and raw ChaCha20 for the header masks (RFC 9001 5.4.4)."""

    def __init__(
        self, suite: i64, secret: bytes, version: int, header: CipherContext | None = None
    ) -> None:
        """``header``: the header cipher of the generation before, kept over key updates."""
        super().__init__()
        self.confidentiality_limit = _CHACHA_CONFIDENTIALITY
        self.integrity_limit = _CHACHA_INTEGRITY
        self._suite: i64 = suite
        self._secret = secret
        self._version = version
        keys = version_keys(version)
        name = hash_of_suite(suite)
        aead = ChaCha20Poly1305(hkdf_expand_label(name, secret, keys.key_label, b"", 32))
        self._encrypt = aead.encrypt
        self._decrypt = aead.decrypt
        self._nonces = Nonces(hkdf_expand_label(name, secret, keys.iv_label, b"", 12))
        if header is None:
            header_key = hkdf_expand_label(name, secret, keys.header_label, b"", 32)
            header = Cipher(algorithms.ChaCha20(header_key, _ZEROS), None).encryptor()
        self._header = header
        self._masks = BytesWriter()

    def seal(self, path_id: i64, packet_number: i64, header: bytes, payload: bytes) -> bytes:
        """Ciphertext with tag; see :meth:`PacketProtection.seal`."""
        return self._encrypt(self._nonces.nonce(path_id, packet_number), payload, header)

    def open(
        self, path_id: i64, packet_number: i64, header: bytes, ciphertext: bytes
    ) -> bytes | None:
        """Plaintext or ``None``; see :meth:`PacketProtection.open`."""
        try:
            return self._decrypt(self._nonces.nonce(path_id, packet_number), ciphertext, header)
        except InvalidTag:
            return None

    def masks(self, samples: bytes) -> bytes:
        """One short keystream per sample; see :meth:`PacketProtection.masks`."""
        header = self._header
        masks = self._masks
        masks.truncate(0)
        position: i64 = 0
        end: i64 = len(samples)
        while position < end:
            # The sample is the block counter followed by the nonce, in the very order in
            # which the cipher takes its 16 bytes.
            header.reset_nonce(samples[position : position + 16])
            masks.write(header.update(_ZEROS))
            position += 16
        return masks.getvalue()

    def next_generation(self) -> PacketProtection:
        """The protection after a key update; see :meth:`PacketProtection.next_generation`."""
        secret = updated_secret(self._suite, self._secret, self._version)
        return ChaCha20Protection(self._suite, secret, self._version, self._header)


def updated_secret(suite: i64, secret: bytes, version: int) -> bytes:
    """The secret that follows ``secret`` in a key update (RFC 9001 6.1)."""
    name = hash_of_suite(suite)
    label = version_keys(version).update_label
    return hkdf_expand_label(name, secret, label, b"", hash_length(name))


def make_protection(suite: i64, secret: bytes, version: int) -> PacketProtection:
    """Keys for one direction from a traffic secret (RFC 9001 5.1).

    Raises ``Unsupported`` for a suite or a version that is not built in.
    """
    if suite == CHACHA20_POLY1305:
        return ChaCha20Protection(suite, secret, version)
    return AesGcmProtection(suite, secret, version)
