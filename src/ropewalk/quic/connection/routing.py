"""Which route a datagram came on, and when another route takes over (RFC 9000 8.2, 9)."""

from __future__ import annotations

from math import inf
from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.connection.state import ConnectionState
from ropewalk.quic.path.route import Route
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
            route = self._candidate(datagrams)
        elif not route.local_ip:
            route.local_ip = datagrams.local_ip
        route.bytes_received += size
        return route

    def on_non_probing(self, route: Route, now: float) -> None:
        """The peer's newest non-probing packet came on ``route``: it has moved there (9.3)."""
        if route.validated:
            self._switch(route)
        elif not route.challenge:
            self.challenge(route, now)

    def challenge(self, route: Route, now: float) -> None:
        """Start validating a route (8.2.1)."""
        route.challenge = self._state.config.entropy(8)
        route.challenge_pending = True
        route.challenges_sent = 0
        pto = max(self._state.probe_timeout(), 2 * self._state.config.initial_rtt)
        route.challenge_deadline = now + _VALIDATION_PERIOD * pto

    def on_path_response(self, data: bytes, now: float) -> None:
        """A PATH_RESPONSE arrived, on whatever route (8.2.3). Unknown data is ignored."""
        path = self._state.path
        for route in [path.active, *path.candidates]:
            if route.challenge and route.challenge == data:
                route.challenge = b""
                route.challenge_pending = False
                route.challenge_deadline = inf
                route.validated = True
                self._state.events.append(PathValidated(int(path.path_id), route.remote))
                if route is not path.active:
                    self._switch(route)
                return

    def deadline(self) -> float:
        """When the next validation must be repeated or has failed."""
        earliest = inf
        for route in self._state.path.candidates:
            earliest = min(earliest, route.challenge_deadline)
        return earliest

    def on_timeout(self, now: float) -> None:
        """Drop candidates whose validation has failed."""
        path = self._state.path
        failed = [route for route in path.candidates if route.challenge_deadline <= now]
        for route in failed:
            path.candidates.remove(route)
            self._leave(route)

    def _candidate(self, datagrams: Datagrams) -> Route:
        state = self._state
        controller = make_controller(state.config.congestion, 1200, state.group)
        recovery = RouteRecovery(controller, 1200, state.config.initial_rtt)
        route = Route(
            datagrams.local, datagrams.local_ip, datagrams.remote, recovery, 1200, validated=False
        )
        displaced = state.path.add_candidate(route)
        if displaced is not None:
            self._leave(displaced)
        return route

    def _switch(self, route: Route) -> None:
        state = self._state
        path = state.path
        former = path.activate(route)
        route.datagram_size = former.datagram_size
        if former.remote.ip == route.remote.ip:
            # 9.4: a change of port alone is most likely a NAT; what was measured still holds.
            self._leave(route)
            route.recovery = former.recovery
        else:
            route.recovery.set_max_datagram_size(former.datagram_size)
            self._leave(former)
        # 9.5: another connection ID on another route, where the peer gave us one.
        path.peer_ids.rotate()
        state.events.append(PathMigrated(int(path.path_id), route.remote))

    def _leave(self, route: Route) -> None:
        group = route.recovery.controller.group
        if group is not None:
            group.leave(route.recovery.controller)
