"""The connection's timers, by name, and the one deadline they make (RFC 9002 A.8, A.9)."""

from __future__ import annotations

from math import inf
from typing import final

from mypy_extensions import i64

from ropewalk.quic.connection.accounting import Accounting
from ropewalk.quic.connection.level import Level
from ropewalk.quic.connection.lifecycle import Lifecycle
from ropewalk.quic.connection.routing import Routing
from ropewalk.quic.connection.sizing import Sizing
from ropewalk.quic.connection.state import ACTIVE, ConnectionState
from ropewalk.quic.connection.watching import tell_recovery
from ropewalk.quic.recovery.loss_timer import TimerAction
from ropewalk.quic.types.handshake import ONE_RTT


@final
class Timers:
    """Loss detection, acknowledgement, pacing, keep-alive, validation, keys, idle and close."""

    def __init__(
        self,
        state: ConnectionState,
        lifecycle: Lifecycle,
        routing: Routing,
        accounting: Accounting,
        sizing: Sizing,
    ) -> None:
        self._state = state
        self._lifecycle = lifecycle
        self._routing = routing
        self._accounting = accounting
        self._sizing = sizing

    def deadline(self, now: float) -> float:
        """The earliest moment at which :meth:`on_timeout` has something to do; inf for never."""
        state = self._state
        earliest = self._lifecycle.deadline()
        if state.life != ACTIVE:
            return earliest
        if not self._at_amplification_limit():
            earliest = min(earliest, state.pacing_deadline, self._ack_deadline())
        earliest = min(earliest, self._loss_deadline(now), self._keep_alive())
        if state.path.candidates or state.path.active.challenge:
            earliest = min(earliest, self._routing.deadline())
        if state.keys is not None:
            earliest = min(earliest, state.keys.expires)
        return earliest

    def on_timeout(self, now: float) -> None:
        """Act on every timer that is due. Acknowledgements and paced data go with the next
        transmit."""
        state = self._state
        self._lifecycle.on_timeout(now)
        if state.life != ACTIVE:
            return
        if state.pacing_deadline <= now:
            state.pacing_deadline = inf
        if self._keep_alive() <= now:
            state.ping_pending = True
        if state.path.candidates or state.path.active.challenge:
            self._routing.on_timeout(now)
        if state.keys is not None:
            dropped = state.keys.expire(now)
            if dropped and state.observer is not None:
                generation = state.keys.receive_generation - 1
                state.observer.key_discarded(now, ONE_RTT, False, generation, "local_update")
        if self._loss_deadline(now) <= now:
            self._on_loss_timer(now)

    def _ack_deadline(self) -> float:
        state = self._state
        earliest = inf
        if state.keys is not None:
            earliest = state.path.space.received.ack_deadline
        if state.initial is not None:
            earliest = min(earliest, state.initial.space.received.ack_deadline)
        level = state.handshake_level
        if level is not None and level.send is not None:
            earliest = min(earliest, level.space.received.ack_deadline)
        return earliest

    def _at_amplification_limit(self) -> bool:
        """Nothing can be sent until the peer is heard again (RFC 9000 8.1)."""
        route = self._state.path.active
        return not route.validated and route.amplification_room() < route.datagram_size

    def _keep_alive(self) -> float:
        state = self._state
        if state.config.keep_alive <= 0 or not state.handshake_confirmed or state.ping_pending:
            return inf
        return max(state.last_activity, state.last_sent) + state.config.keep_alive

    def _confirmed(self) -> bool:
        # RFC 9001 4.1.2: at a server, complete is confirmed, even before it could say so.
        state = self._state
        return state.handshake_confirmed or (not state.is_client and state.handshake_complete)

    def _probes_waiting(self) -> bool:
        """Whether probes could not leave yet: no others are called for until they have."""
        state = self._state
        return (
            state.probes > 0
            or (state.initial is not None and state.initial.probes > 0)
            or (state.handshake_level is not None and state.handshake_level.probes > 0)
        )

    def _loss_deadline(self, now: float) -> float:
        state = self._state
        if self._probes_waiting():
            return inf
        route = state.path.active
        return state.loss_timer.deadline(
            now,
            None if state.initial is None else state.initial.space,
            None if state.handshake_level is None else state.handshake_level.space,
            state.path.space,
            route.recovery,
            state.is_client,
            self._confirmed(),
            state.handshake_level is not None and state.handshake_level.send is not None,
            state.peer_validated_address,
            self._at_amplification_limit(),
            state.peer_max_ack_delay,
        )

    def _on_loss_timer(self, now: float) -> None:
        state = self._state
        route = state.path.active
        action = state.loss_timer.on_timeout(
            now,
            None if state.initial is None else state.initial.space,
            None if state.handshake_level is None else state.handshake_level.space,
            state.path.space,
            route.recovery,
            state.is_client,
            self._confirmed(),
            state.handshake_level is not None and state.handshake_level.send is not None,
            state.peer_validated_address,
            self._at_amplification_limit(),
            state.peer_max_ack_delay,
        )
        lost_in = action.lost_in
        observer = state.observer
        if lost_in is not None:
            if observer is not None:
                observer.loss_timeout(now, lost_in.level, lost_in.path_id)
            self._accounting.settle(lost_in, now)
        elif action.probes() > 0:
            if observer is not None:
                level = state.loss_timer.level
                observer.probe_timeout(now, level, state.path.path_id, route.recovery.pto_count)
            self._sizing.on_probe_timeout(now)
            self._probe(action)
        if observer is not None:
            tell_recovery(observer, state, now)

    def _probe(self, action: TimerAction) -> None:
        """RFC 9002 6.2.4: packets that elicit an ACK, with old data where there is any."""
        state = self._state
        state.counters.probe_timeouts += 1
        self._probe_level(state.initial, action.initial_probes)
        self._probe_level(state.handshake_level, action.handshake_probes)
        if action.application_probes > 0:
            state.probes = action.application_probes
            space = state.path.space
            for slot in space.outstanding(action.application_probes):
                self._accounting.repeat(slot, space)

    def _probe_level(self, level: Level | None, probes: i64) -> None:
        if level is not None and probes > 0:
            level.probes = probes
            level.crypto_out.lose_unacknowledged()
