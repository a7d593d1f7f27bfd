"""A real handshake whose messages and transport parameters are bent on their way out."""

from __future__ import annotations

from collections.abc import Callable

from mypy_extensions import i64

from ropewalk.lab.hostile import messages
from ropewalk.quic.types.handshake import Handshake, TrafficSecret


class BendingHandshake(Handshake):
    """Stands between a connection and its TLS handshake.

    ``bend_parameters`` changes the transport parameters before TLS sees them, so that the
    transcript stays whole and the handshake can be completed. ``bend_messages`` changes the
    messages after TLS made them: what the peer sees is then no longer what is hashed here.
    All secrets pass through and are kept, for whoever seals packets by hand.
    """

    def __init__(
        self,
        inner: Handshake,
        bend_parameters: Callable[[bytes], bytes] | None,
        bend_messages: messages.Bending | None,
    ) -> None:
        super().__init__()
        self._inner = inner
        self._bend_parameters = bend_parameters
        self._bend_messages = bend_messages
        #: every secret so far, in order
        self.secrets: list[TrafficSecret] = []
        #: bytes handed out so far, per level
        self.written = [0, 0, 0, 0]

    def start(self, transport_parameters: bytes) -> None:
        """Begin, with the bent parameters."""
        if self._bend_parameters is not None:
            transport_parameters = self._bend_parameters(transport_parameters)
        self._inner.start(transport_parameters)
        self._follow()

    def receive(self, level: i64, data: bytes) -> None:
        """Take the next in-order CRYPTO bytes of ``level``."""
        self._inner.receive(level, data)
        self._follow()

    def take_crypto(self, level: i64) -> bytes:
        """What TLS has to say at ``level``, bent."""
        data = self._inner.take_crypto(level)
        if data and self._bend_messages is not None:
            data = b"".join(self._bend_messages(int(level), messages.split(data)))
        self.written[level] += len(data)
        return data

    def take_secrets(self) -> list[TrafficSecret]:
        """Secrets since the last call."""
        secrets = self._inner.take_secrets()
        self.secrets += secrets
        return secrets

    def peer_transport_parameters(self) -> bytes | None:
        """The peer's parameters once they have arrived."""
        return self._inner.peer_transport_parameters()

    def take_tickets(self) -> list[bytes]:
        """Session tickets since the last call."""
        return self._inner.take_tickets()

    def export_keying_material(self, label: bytes, context: bytes, length: i64) -> bytes:
        """The exporter of the real handshake."""
        return self._inner.export_keying_material(label, context, length)

    def confirm(self) -> None:
        """The handshake is confirmed."""
        self._inner.confirm()

    def _follow(self) -> None:
        """Show what a connection reads off its handshake."""
        inner = self._inner
        self.complete = inner.complete
        self.alpn = inner.alpn
        self.server_name = inner.server_name
        self.cipher_suite = inner.cipher_suite
        self.group = inner.group
        self.peer_identity = inner.peer_identity
        self.early_data = inner.early_data
