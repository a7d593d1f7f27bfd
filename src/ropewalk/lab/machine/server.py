"""The server's side: who is let in."""

from __future__ import annotations

from ropewalk.lab.machine.model import Model
from ropewalk.lab.machine.party import Party
from ropewalk.quic.endpoint import Incoming
from ropewalk.quic.types.configuration import Configuration
from ropewalk.sim.network import Host
from ropewalk.sim.watching import Watchers
from ropewalk.sim.witness import Witness


class ServerParty(Party):
    """Accepts the first client, after a Retry if it is to; later ones are late copies."""

    def __init__(
        self,
        model: Model,
        eager: bool,
        config: Configuration,
        watchers: Watchers,
        witness: Witness,
        retry: bool,
    ) -> None:
        super().__init__(1, model, eager)
        self.config = config
        self.watchers = watchers
        self.witness = witness
        self.retry = retry

    def on_incoming(self, host: Host, incoming: Incoming) -> None:
        """A client knocks."""
        if self.connection is not None:
            incoming.ignore()
        elif self.retry and not incoming.token_valid:
            incoming.retry(host.now)
        else:
            self.began = host.now
            self.connection = host.track(incoming.accept(self.config, host.now))
            self.watchers.watch(self.witness, host, self.connection)
