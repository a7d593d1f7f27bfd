"""Which route a datagram came on, and when another route takes over (RFC 9000 8.2, 9)."""

from __future__ import annotations

from math import inf
from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.connection.state import ACTIVE, ConnectionState
from ropewalk.quic.path.route import MINIMUM_DATAGRAM_SIZE, Route
from ropewalk.quic.recovery.congestion.registry import make_controller
from ropewalk.quic.recovery.route_recovery import RouteRecovery
from ropewalk.quic.types.datagrams import Datagrams
from ropewalk.quic.types.events import PathMigrated, PathValidated

#: 8.2.4: a validation that is not answered within three PTOs has failed.
_VALIDATION_PERIOD: Final = 3.0
_MAX_CHALLENGES: Final = 3


@final
class Routing:
    """Keeps the routes of the path: arrivals, validation, and the switch of a rebound peer."""

    def __init__(self, state: ConnectionState) -> None:
        self._state = state

    def arrival(self, datagrams: Datagrams, size: i64, now: float) -> Route | None:
        """The route of a batch, with its bytes counted; None when it must be dropped."""
        state = self._state
        path = state.path
        route = path.route_of(datagrams.local, datagrams.remote)
        if route is None:
            # 9: no migration before the handshake is confirmed; a server never moves.
            if state.is_client or not state.handshake_confirmed:
                return None
            # Joins the path only once one of its packets proves authentic, see `adopt`.
            route = Route(
                datagrams.local,
                datagrams.local_ip,
                datagrams.remote,
                path.active.recovery,
                MINIMUM_DATAGRAM_SIZE,
                validated=False,
            )
        elif not route.local_ip:
            route.local_ip = datagrams.local_ip
        route.bytes_received += size
        return route

    def adopt(self, route: Route, now: float) -> None:
        """An authentic packet came on a route that the path does not know yet."""
        state = self._state
        path = state.path
        if route is path.active or route in path.candidates or route is path.fallback:
            return
        if route.remote.ip != path.active.remote.ip:
            # 9.4: another host may be another network. After a mere change of port, most
            # likely a NAT's doing, what was measured still holds and is shared.
            size = MINIMUM_DATAGRAM_SIZE
            controller = make_controller(state.config.congestion, size, state.group)
            route.recovery = RouteRecovery(controller, size, state.config.initial_rtt)
        # A peer that only probes a route is not asked to prove it; its trial ends all the same.
        route.challenge_deadline = now + _VALIDATION_PERIOD * self._challenge_period()
        self._tell(route, "assigned", now)
        self._drop(path.add_candidate(route), now)

    def on_non_probing(self, route: Route, now: float) -> None:
        """The peer's newest non-probing packet came on ``route``: it has moved there (9.3).

        What we send follows at once, within the amplification limit, while the route is
        validated. An attacker who forwards packets from elsewhere gains nothing by it: the
        next packet from the real place moves us back (9.3.3), and so does a failed
        validation (9.3.2).
        """
        path = self._state.path
        if self._state.life != ACTIVE:
            return  # the packet closed the connection
        if route in path.candidates or route is path.fallback:
            self._switch(route, now)
            if not route.validated:
                self.challenge(route, now)
                if path.fallback is not None:
                    # 9.3.3: a peer that is still there answers from there, and so returns.
                    self.challenge(path.fallback, now)

    def challenge(self, route: Route, now: float) -> None:
        """Start validating a route (8.2.1)."""
        route.challenges = []
        route.unexpanded = []
        route.challenges_sent = 0
        self._tell(route, "probing", now)
        route.challenge_deadline = now + _VALIDATION_PERIOD * self._challenge_period()
        self._challenge_again(route)

    def on_path_response(self, data: bytes, now: float) -> None:
        """A PATH_RESPONSE arrived, on whatever route (8.2.3). Unknown data is ignored."""
        path = self._state.path
        for route in path.under_validation():
            if route.challenge and data in route.challenges:
                self._validated(route, data in route.unexpanded, now)
                return

    def _validated(self, route: Route, unexpanded: bool, now: float) -> None:
        path = self._state.path
        _stop(route)
        if not route.validated:
            route.validated = True
            self._tell(route, "validated", now)
            self._state.events.append(PathValidated(int(path.path_id), route.remote))
            if route is path.active:
                self._drop(path.settle(), now)
        if unexpanded and route is path.active:
            # 8.2.3: the address is proven, but not that it can be reached with 1,200 bytes.
            self.challenge(route, now)

    def deadline(self) -> float:
        """When the next validation must be repeated or has failed."""
        earliest = inf
        for route in self._state.path.under_validation():
            earliest = min(earliest, route.challenge_deadline, self._repeat_time(route))
        return earliest

    def on_timeout(self, now: float) -> None:
        """Repeat challenges that may be lost; drop candidates whose validation has failed."""
        path = self._state.path
        for route in path.under_validation():
            if self._repeat_time(route) <= now:
                self._challenge_again(route)
        failed = [route for route in path.candidates if route.challenge_deadline <= now]
        for route in failed:
            path.candidates.remove(route)
            if route.challenges_sent > 0:
                self._tell(route, "failed", now)
            self._drop(route, now)
        if path.fallback is not None and path.fallback.challenge_deadline <= now:
            # Nobody answers there now; it stays the place to return to (9.3.2).
            _stop(path.fallback)
        if path.active.challenge_deadline <= now:
            self._return(path.active, now)

    def _return(self, failed: Route, now: float) -> None:
        """9.3.2: the active route was not validated: go back to the last one that was."""
        _stop(failed)
        self._tell(failed, "failed", now)
        fallback = self._state.path.fallback
        if fallback is not None:
            self._switch(fallback, now)

    def _challenge_again(self, route: Route) -> None:
        route.challenge = self._state.config.entropy(8)
        route.challenges.append(route.challenge)
        route.challenge_pending = True

    def _challenge_period(self) -> float:
        # 8.2.1: no more often than an Initial; 8.2.4: the new route's RTT is not known yet.
        return max(self._state.probe_timeout(), 3 * self._state.config.initial_rtt)

    def _repeat_time(self, route: Route) -> float:
        if (
            not route.challenge
            or route.challenge_pending
            or route.challenges_sent >= _MAX_CHALLENGES
        ):
            return inf
        return route.challenge_sent_at + self._challenge_period()

    def _switch(self, route: Route, now: float) -> None:
        state = self._state
        path = state.path
        former = path.active
        path.forget_responses(path.active)
        self._drop(path.activate(route), now)
        if route.validated:
            _stop(route)
        self._tell(route, "migrated", now)
        if route.recovery is former.recovery:
            # Between the same hosts: what was found out about sizes holds as well.
            route.datagram_size = former.datagram_size
            route.search = former.search
        elif route.datagram_size != former.datagram_size and state.observer is not None:
            state.observer.mtu(now, path.path_id, former.datagram_size, route.datagram_size)
        # 9.5: another connection ID on another route, where the peer gave us one.
        before = path.peer_ids.current.connection_id
        if path.peer_ids.rotate() and state.observer is not None:
            current = path.peer_ids.current.connection_id
            state.observer.connection_id(now, False, before, current)
        state.events.append(PathMigrated(int(path.path_id), route.remote))

    def _drop(self, route: Route | None, now: float) -> None:
        """Nothing is sent on this route any more."""
        if route is None:
            return
        self._tell(route, "dropped", now)
        path = self._state.path
        path.forget_responses(route)
        controller = route.recovery.controller
        kept = [path.active, *path.candidates]
        if path.fallback is not None:
            kept.append(path.fallback)
        for other in kept:
            if other.recovery is route.recovery:
                return
        if controller.group is not None:
            controller.group.leave(controller)

    def _tell(self, route: Route, change: str, now: float) -> None:
        state = self._state
        if state.observer is not None:
            path_id = state.path.path_id
            state.observer.route(now, path_id, change, route.local_ip, str(route.remote))


def _stop(route: Route) -> None:
    """No challenge is under way on this route any more."""
    route.challenge = b""
    route.challenges = []
    route.challenge_pending = False
    route.challenge_deadline = inf
