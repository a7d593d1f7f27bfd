"""Which endings of a connection the model allows, and why."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from ropewalk.lab.machine.model import ENDING, LIVENESS
from ropewalk.lab.machine.party import Party
from ropewalk.lab.machine.plan import RETRY_TOKEN_LIFETIME, Plan
from ropewalk.lab.machine.wire import INSIDE, Wire
from ropewalk.quic.types.error_codes import APPLICATION_ERROR, INVALID_TOKEN
from ropewalk.quic.types.errors import (
    ApplicationError,
    ConnectionLost,
    HandshakeTimeout,
    IdleTimeout,
    StatelessReset,
    TransportError,
)
from ropewalk.quic.types.events import ConnectionClosing, Event
from ropewalk.sim.invariants import Violation
from ropewalk.sim.oracles import Oracle
from ropewalk.sim.witness import Witness

if TYPE_CHECKING:
    from ropewalk.quic.connection import Connection
    from ropewalk.sim.network import Host

_ROUNDING: Final = 1e-6


class Reasons(Oracle):
    """A connection ends for a reason that somebody gave: an application, or silence."""

    def __init__(
        self,
        plan: Plan,
        wire: Wire,
        sides: tuple[Party, Party],
        witnesses: tuple[Witness, Witness],
    ) -> None:
        self.plan = plan
        self.wire = wire
        self.sides = sides
        self.witnesses = witnesses
        #: when each side last heard an authentic packet
        self.heard = [0.0, 0.0]
        #: from when on the line lets everything through
        self.healed_at = inf
        self._counted = [0, 0]

    def after_step(self, host: Host) -> None:
        """Note the time when packets came since the last step."""
        for index, witness in enumerate(self.witnesses):
            if witness.packets_received != self._counted[index]:
                self._counted[index] = witness.packets_received
                self.heard[index] = host.now

    def on_event(self, host: Host, connection: Connection, event: Event) -> None:
        """Judge the beginning of an end."""
        if isinstance(event, ConnectionClosing):
            for side in self.sides:
                if side.connection is connection:
                    self._judge(side, self.sides[1 - side.index], event.error, host.now)

    def _judge(self, side: Party, peer: Party, error: ConnectionLost | None, now: float) -> None:
        silence = now - self.heard[side.index]
        if not self._is_allowed(side, peer, error, silence, now):
            what = (
                f"ended by {error!r} after {silence:.3f} s of silence; it closed with "
                f"{side.closing}, its peer with {peer.closing}"
            )
            raise Violation(ENDING, side.name, now, what)
        heard = self.heard[side.index] > self.healed_at
        if isinstance(error, IdleTimeout) and peer.active and heard and self._meet():
            what = f"idle, though the line lets everything through since {self.healed_at:.3f} s"
            raise Violation(LIVENESS, side.name, now, what)

    def astray(self) -> bool:
        """Whether the server sends to where the client no longer is: a validation that failed
        makes it return to the former address (RFC 9000 9.3.2), and a client that has nothing
        to say does not correct it."""
        server = self.sides[1].connection
        return server is not None and server.remote != self.wire.nat.outside_of(INSIDE)

    def _meet(self) -> bool:
        """Whether two sides on a healed line have to hear of each other before they fall idle.

        Not when probes have backed off beyond the idle timeout and the window is full
        (RFC 9002 6.2.1, 7).
        """
        for side in self.sides:
            state = side.use().state
            recovery = state.path.active.recovery
            timeout = recovery.backed_off_probe_timeout(state.peer_max_ack_delay)
            if timeout >= self.plan.idle_timeout:
                return False
        return not self.astray()

    def _is_allowed(
        self, side: Party, peer: Party, error: ConnectionLost | None, silence: float, now: float
    ) -> bool:
        plan = self.plan
        match error:
            case ApplicationError(from_peer=False):
                return side.closing is not None and error.code == side.closing.code
            case ApplicationError():
                closing = peer.closing
                return closing is not None and closing.code == error.code
            case TransportError():
                if error.code == INVALID_TOKEN and error.from_peer and plan.retry:
                    # The token is for one address and a short time only, and a Retry for
                    # somebody else may have been replayed to the client.
                    late = now - side.began > RETRY_TOKEN_LIFETIME
                    moved = self.wire.rebound > 0 or self.wire.spoofed
                    return (late or moved) and not side.complete
                # RFC 9000 10.2.3: Initial and Handshake packets do not carry the application's.
                hidden = error.from_peer and error.code == APPLICATION_ERROR
                return hidden and peer.closing is not None and not peer.closing.confirmed
            case IdleTimeout():
                return 0 < plan.idle_timeout <= silence + _ROUNDING
            case HandshakeTimeout():
                patience = min(plan.handshake_timeout, plan.idle_timeout or inf)
                return not side.complete and now - side.began >= patience - _ROUNDING
            case StatelessReset():
                return peer.connection is not None and peer.connection.closed
        return False
