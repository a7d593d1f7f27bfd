"""A client that bends the rules."""

from __future__ import annotations

from ropewalk.lab.hostile.peer import BendingPeer
from ropewalk.quic.types.address import Address


class BendingClient(BendingPeer):
    """Opens a connection to a server and then does as it is told."""

    is_client = True

    def open(self, remote: Address, destination_cid: bytes | None = None) -> None:
        """Make the double and send its first flight, addressed to ``destination_cid``."""
        self.prepare(remote, destination_cid)
        self.flush()

    def prepare(self, remote: Address, destination_cid: bytes | None = None) -> None:
        """Make the double, and send nothing yet."""
        first = self.config.entropy(8) if destination_cid is None else destination_cid
        self.begin(remote, first, first)

    def client_hello(self) -> bytes:
        """The ClientHello that the double has made."""
        double = self.double
        assert double is not None
        assert double.state.initial is not None
        crypto = double.state.initial.crypto_out
        offset, length = crypto.next_range()
        return crypto.take(offset, length)
