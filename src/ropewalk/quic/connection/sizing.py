"""How large the datagrams of each route are (RFC 9000 14.3, RFC 8899)."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64

from ropewalk.quic.connection.state import ConnectionState
from ropewalk.quic.path.mtu_search import MtuSearch
from ropewalk.quic.path.route import MINIMUM_DATAGRAM_SIZE, Route
from ropewalk.quic.recovery.route_recovery import RouteRecovery
from ropewalk.quic.recovery.sent_packet import SentPacket
from ropewalk.quic.types.events import MtuChanged


@final
class Sizing:
    """Runs the search of each route and applies what it finds.

    There are no timers: a probe leaves when the connection sends anyway, so that an idle
    connection stays idle.
    """

    def __init__(self, state: ConnectionState) -> None:
        self._state = state

    def probe_size(self, route: Route, now: float) -> i64:
        """The size of the probe that may leave on ``route`` now; 0 for none."""
        state = self._state
        if not state.handshake_confirmed or not route.validated:
            return 0  # a probe would not fit under the amplification limit (8.1)
        search = route.search
        if search is None:
            if state.config.max_udp_payload == MINIMUM_DATAGRAM_SIZE:
                return 0  # nothing to look for, and nothing to fall back from
            search = self._begin(route)
        if now < search.next_probe:
            return 0
        size = search.wanted(now)
        return size if size <= route.recovery.window_bytes() else 0

    def on_probe_sent(self, route: Route) -> None:
        """The probe of :meth:`probe_size` left."""
        if route.search is not None:
            route.search.on_sent()

    def on_acked(self, slots: list[SentPacket]) -> None:
        """Packets were acknowledged, in ascending order; the newest large one counts."""
        index: i64 = len(slots) - 1
        while index >= 0:
            slot = slots[index]
            route = self._searched(slot.route)
            if route is None or route.search is None:
                return
            if slot.size > route.search.base:
                route.search.on_large_arrived(slot.packet_number)
                return
            index -= 1

    def on_lost(self, slot: SentPacket, now: float) -> None:
        """A packet was lost, a probe or any other."""
        route = self._searched(slot.route)
        if route is None or route.search is None:
            return
        search = route.search
        if slot.mtu_probe:
            search.on_lost(slot.size, now, self._state.probe_timeout())
        elif slot.size > search.base and search.on_large_lost(slot.packet_number, now):
            self._apply(route, search, now)

    def on_probe_acked(self, slot: SentPacket, now: float) -> None:
        """A probe arrived."""
        route = self._searched(slot.route)
        if route is None or route.search is None:
            return
        if route.search.on_arrived(slot.size, now):
            self._apply(route, route.search, now)

    def on_probe_timeout(self, now: float) -> None:
        """Another probe timeout of the active route expired."""
        route = self._state.path.active
        search = route.search
        if search is not None and search.on_silence(route.recovery.pto_count, now):
            self._apply(route, search, now)

    def on_refused(self, size: i64, now: float) -> None:
        """This host's own network refused datagrams of ``size`` bytes on the active route."""
        route = self._state.path.active
        search = route.search
        if search is None:
            search = self._begin(route)
        if search.on_refused(size, now):
            self._apply(route, search, now)

    def _begin(self, route: Route) -> MtuSearch:
        state = self._state
        ceiling: i64 = state.config.max_udp_payload
        parameters = state.peer_parameters
        if parameters is not None and parameters.max_udp_payload_size < ceiling:
            ceiling = parameters.max_udp_payload_size
        search = MtuSearch(MINIMUM_DATAGRAM_SIZE, route.datagram_size, ceiling)
        route.search = search
        return search

    def _searched(self, recovery: RouteRecovery | None) -> Route | None:
        """The route in use with this recovery state, if sizes are being searched on it."""
        path = self._state.path
        route = path.active
        if route.recovery is not recovery:
            fallback = path.fallback
            if fallback is None or fallback.recovery is not recovery:
                return None
            route = fallback
        return None if route.search is None else route

    def _apply(self, route: Route, search: MtuSearch, now: float) -> None:
        state = self._state
        path_id = state.path.path_id
        if state.observer is not None:
            state.observer.mtu(now, path_id, route.datagram_size, search.size)
        route.datagram_size = search.size
        route.recovery.set_max_datagram_size(search.size)
        if route is state.path.active:
            state.events.append(MtuChanged(int(path_id), int(search.size)))
