"""The loss-detection timer: time-threshold losses and probe timeouts (RFC 9002 6.2, A.8)."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.recovery.route_recovery import RouteRecovery
from ropewalk.quic.recovery.space import PacketSpace
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT

INFINITY: Final = float("inf")
#: A probe timeout sends two packets, so that one more loss does not cost another period.
PROBES: Final = 2


@final
class TimerAction:
    """What the owner has to do after :meth:`LossTimer.on_timeout`.

    Either ``lost_in`` names the space whose ``lost`` list was filled, or probes are due:
    that many ack-eliciting packets per level, sent regardless of window and pacer. Refilled
    by the next call.
    """

    def __init__(self) -> None:
        self.lost_in: PacketSpace | None = None
        self.initial_probes: i64 = 0
        self.handshake_probes: i64 = 0
        self.application_probes: i64 = 0

    def clear(self) -> None:
        """Nothing to do."""
        self.lost_in = None
        self.initial_probes = 0
        self.handshake_probes = 0
        self.application_probes = 0

    def probes(self) -> i64:
        """Probes due at all levels together."""
        return self.initial_probes + self.handshake_probes + self.application_probes


@final
class LossTimer:
    """One timer for the spaces that send on one route.

    A connection has one for its path 0 (all three spaces), further paths have one each
    with ``initial`` and ``handshake`` None. A space is None before it exists and after its
    keys are discarded. Call :meth:`deadline` after everything that was sent, received or
    timed out: it is a function of the spaces' state, except that the anti-deadlock probe's
    period runs from the call at which it became necessary.
    """

    def __init__(self) -> None:
        self._action = TimerAction()
        # Start of the period of a probe with nothing in flight (A.8); negative = none.
        self._anti_deadlock_since = -1.0
        #: level of the probe timeout that :meth:`deadline` found to be the earliest
        self.level: i64 = -1

    def deadline(
        self,
        now: float,
        initial: PacketSpace | None,
        handshake: PacketSpace | None,
        application: PacketSpace | None,
        route: RouteRecovery,
        is_client: bool,
        handshake_confirmed: bool,
        has_handshake_keys: bool,
        peer_completed_validation: bool,
        at_amplification_limit: bool,
        max_ack_delay: float,
    ) -> float:
        """When :meth:`on_timeout` is due, in seconds; infinity while nothing is awaited.

        ``peer_completed_validation`` is True on a server, and on a client once it has
        received a Handshake ACK or the handshake is confirmed; ``at_amplification_limit``
        is a server's (RFC 9000 8.1). ``max_ack_delay`` is the peer's.
        """
        loss_time = INFINITY
        eliciting: i64 = 0
        for space in (initial, handshake, application):
            if space is not None:
                loss_time = min(loss_time, space.loss_time)
                eliciting += space.ack_eliciting_in_flight
        if eliciting > 0 or peer_completed_validation or not is_client:
            self._anti_deadlock_since = -1.0
        if loss_time != INFINITY:
            return loss_time
        # Probes could not be sent; once the peer is heard again, the time is computed anew.
        if at_amplification_limit:
            return INFINITY
        if eliciting == 0:
            if peer_completed_validation or not is_client:
                return INFINITY
            if self._anti_deadlock_since < 0.0:
                self._anti_deadlock_since = now
            self.level = HANDSHAKE if has_handshake_keys else INITIAL
            return self._anti_deadlock_since + route.backed_off_probe_timeout(0.0)
        return self._probe_time(
            initial, handshake, application, route, handshake_confirmed, max_ack_delay
        )

    def on_timeout(
        self,
        now: float,
        initial: PacketSpace | None,
        handshake: PacketSpace | None,
        application: PacketSpace | None,
        route: RouteRecovery,
        is_client: bool,
        handshake_confirmed: bool,
        has_handshake_keys: bool,
        peer_completed_validation: bool,
        at_amplification_limit: bool,
        max_ack_delay: float,
    ) -> TimerAction:
        """Act if the deadline has come (A.9). An early call is harmless and does nothing."""
        action = self._action
        action.clear()
        due = self.deadline(
            now,
            initial,
            handshake,
            application,
            route,
            is_client,
            handshake_confirmed,
            has_handshake_keys,
            peer_completed_validation,
            at_amplification_limit,
            max_ack_delay,
        )
        if due > now:
            return action
        earliest: PacketSpace | None = None
        for space in (initial, handshake, application):
            if (
                space is not None
                and space.loss_time != INFINITY
                and (earliest is None or space.loss_time < earliest.loss_time)
            ):
                earliest = space
        if earliest is not None:
            earliest.detect_lost(now)
            action.lost_in = earliest
            return action

        # RFC 9002 6.2.1: only a probe timeout backs off, and it declares nothing lost.
        route.pto_count += 1
        if self._anti_deadlock_since >= 0.0:
            self._anti_deadlock_since = now
            if self.level == HANDSHAKE:
                action.handshake_probes = 1
            else:
                action.initial_probes = 1
            return action
        if self.level == ONE_RTT:
            action.application_probes = PROBES
            return action
        # 6.2.4: data of the other handshake space shares the datagrams.
        if initial is not None and initial.ack_eliciting_in_flight > 0:
            action.initial_probes = PROBES if self.level == INITIAL else 1
        if handshake is not None and handshake.ack_eliciting_in_flight > 0:
            action.handshake_probes = PROBES if self.level == HANDSHAKE else 1
        # And a client's application data goes along: the server may have keys for that alone.
        if is_client and application is not None and application.ack_eliciting_in_flight > 0:
            action.application_probes = 1
        return action

    def _probe_time(
        self,
        initial: PacketSpace | None,
        handshake: PacketSpace | None,
        application: PacketSpace | None,
        route: RouteRecovery,
        handshake_confirmed: bool,
        max_ack_delay: float,
    ) -> float:
        earliest = INFINITY
        period = route.backed_off_probe_timeout(0.0)
        if initial is not None and initial.ack_eliciting_in_flight > 0:
            earliest = initial.last_ack_eliciting_sent + period
            self.level = INITIAL
        if handshake is not None and handshake.ack_eliciting_in_flight > 0:
            due = handshake.last_ack_eliciting_sent + period
            if due < earliest:
                earliest = due
                self.level = HANDSHAKE
        # 6.2.1: no probe timeout for application data before the handshake is confirmed.
        if (
            handshake_confirmed
            and application is not None
            and application.ack_eliciting_in_flight > 0
        ):
            period = route.backed_off_probe_timeout(max_ack_delay)
            due = application.last_ack_eliciting_sent + period
            if due < earliest:
                earliest = due
                self.level = ONE_RTT
        return earliest
