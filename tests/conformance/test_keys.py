"""When the keys of the next phase are made (RFC 9001 9.5)."""

from __future__ import annotations

from ropewalk.quic.protection.aead import make_protection
from ropewalk.quic.protection.key_update import OneRttKeys
from ropewalk.quic.types.handshake import AES_128_GCM
from ropewalk.quic.types.protection import PacketProtection


class Noting(PacketProtection):
    """Opens with real keys, and notes when they are used and when the next ones are made."""

    def __init__(self, inner: PacketProtection, notes: list[str], generation: int = 0) -> None:
        super().__init__()
        self.inner = inner
        self.notes = notes
        self.generation = generation

    def open(
        self, path_id: int, packet_number: int, header: bytes, ciphertext: bytes
    ) -> bytes | None:
        self.notes.append(f"open with {self.generation}")
        return self.inner.open(path_id, packet_number, header, ciphertext)

    def next_generation(self) -> PacketProtection:
        self.notes.append(f"make {self.generation + 1}")
        return Noting(self.inner.next_generation(), self.notes, self.generation + 1)


def test_the_next_receiving_keys_are_made_before_a_packet_needs_them() -> None:
    notes: list[str] = []
    secret = bytes(32)
    receive = make_protection(AES_128_GCM, secret, 1)
    keys = OneRttKeys(make_protection(AES_128_GCM, bytes([1]) * 32, 1), Noting(receive, notes))
    assert notes == ["make 1"]

    # A packet that only looks like the next phase has no keys made for it.
    assert keys.open(0, 0, 1, b"h", bytes(30), 0.0) is None
    assert notes == ["make 1", "open with 1"]

    peer = make_protection(AES_128_GCM, secret, 1)
    keys.sealed(0)
    for generation in (1, 2):
        peer = peer.next_generation()
        notes.clear()
        packet = peer.seal(0, generation, b"h", b"payload")
        assert keys.open(0, generation, generation & 1, b"h", packet, 0.0) == b"payload"
        assert notes == [f"open with {generation}", f"make {generation + 1}"]
        keys.sealed(generation)
