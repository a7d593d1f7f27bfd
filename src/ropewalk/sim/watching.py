"""All oracles of one network, and the witnesses of its connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from ropewalk.quic.types.configuration import Configuration
from ropewalk.sim.oracles import Amplification, Deadlines, Endings, Oracle, PayloadCap
from ropewalk.sim.witness import Auditor, Witness

if TYPE_CHECKING:
    from ropewalk.quic.connection import Connection
    from ropewalk.sim.network import Host


@final
class Watchers:
    """Everything that watches: give ``oracles`` to the network, and each connection's
    configuration an observer of :meth:`witness`; then ``watch`` it, and at the end of
    the run :meth:`finish`."""

    def __init__(self, payload_cap: int) -> None:
        self.amplification = Amplification()
        self.auditor = Auditor(self.amplification)
        self.payload_cap = PayloadCap(payload_cap)
        self.oracles: list[Oracle] = [
            self.payload_cap,
            self.amplification,
            Deadlines(),
            Endings(),
            self.auditor,
        ]

    def witness(self, name: str, is_client: bool, peer: Configuration) -> Witness:
        """The observer for one connection. ``peer`` is the other side's configuration."""
        return Witness(name, is_client, peer)

    def allow_payload(self, size: int) -> None:
        """Some configuration allows UDP payloads of this size."""
        self.payload_cap.limit = max(self.payload_cap.limit, size)

    def watch(self, witness: Witness, host: Host, connection: Connection) -> None:
        """The connection that the witness observes has been opened or accepted."""
        witness.watch(self.auditor, host, connection)

    def finish(self, hosts: list[Host]) -> None:
        """The run is over: check what must have happened by now."""
        for oracle in self.oracles:
            oracle.finish(hosts)
