"""A path: a path ID with its packet-number space, connection IDs and routes."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.path.connection_ids import OwnConnectionIds, PeerConnectionIds
from ropewalk.quic.path.route import Route
from ropewalk.quic.recovery.space import PacketSpace
from ropewalk.quic.types.address import Address

#: Routes on trial beside the active one.
MAX_CANDIDATES: Final = 2
#: PATH_RESPONSEs waiting to be sent; more challenges than this are not answered.
MAX_RESPONSES: Final = 16


@final
class PathResponse:
    """A PATH_RESPONSE to send, on the route its challenge came from (RFC 9000 8.2.2)."""

    __slots__ = ("data", "route")

    def __init__(self, data: bytes, route: Route) -> None:
        self.data = data
        self.route = route


@final
class Path:
    """One path ID (RFC 10069). A connection without multipath has path 0 alone.

    ``active`` is the route in use, ``candidates`` are being validated.
    """

    def __init__(
        self,
        path_id: i64,
        space: PacketSpace,
        route: Route,
        own_ids: OwnConnectionIds,
        peer_ids: PeerConnectionIds,
    ) -> None:
        self.path_id: i64 = path_id
        self.space = space
        self.active = route
        self.candidates: list[Route] = []
        #: the last validated route, while the active one is still being validated (9.3.2)
        self.fallback: Route | None = None
        self.own_ids = own_ids
        self.peer_ids = peer_ids
        self.backup = False
        self.responses: list[PathResponse] = []
        self.responses_refused: i64 = 0

    def route_of(self, local: i64, remote: Address) -> Route | None:
        """The route that a datagram with these addresses belongs to."""
        if self.active.matches(local, remote):
            return self.active
        for route in self.candidates:
            if route.matches(local, remote):
                return route
        fallback = self.fallback
        if fallback is not None and fallback.matches(local, remote):
            return fallback
        return None

    def under_validation(self) -> list[Route]:
        """The routes that may have a challenge under way."""
        routes = [self.active, *self.candidates]
        if self.fallback is not None:
            routes.append(self.fallback)
        return routes

    def add_candidate(self, route: Route) -> Route | None:
        """Put a route on trial. Returns the oldest candidate when it had to give way."""
        displaced: Route | None = None
        if len(self.candidates) >= MAX_CANDIDATES:
            displaced = self.candidates.pop(0)
        self.candidates.append(route)
        return displaced

    def activate(self, route: Route) -> Route | None:
        """Make a candidate or the fallback the active route.

        A validated route that gives way becomes the fallback until its successor is
        validated, too. Returns a route that is no longer needed.
        """
        former = self.active
        self.active = route
        if route is self.fallback:
            self.fallback = None
            return former
        self.candidates.remove(route)
        if former.validated:
            dropped = self.fallback
            self.fallback = None if route.validated else former
            return former if route.validated else dropped
        return former

    def settle(self) -> Route | None:
        """The active route is validated: the fallback is no longer needed."""
        dropped = self.fallback
        self.fallback = None
        return dropped

    def forget_responses(self, route: Route) -> None:
        """The route is gone; what it is owed would only stand in the way of others."""
        self.responses = [one for one in self.responses if one.route is not route]

    def respond(self, data: bytes, route: Route) -> None:
        """Queue the answer to a PATH_CHALLENGE."""
        if len(self.responses) < MAX_RESPONSES:
            self.responses.append(PathResponse(data, route))
        else:
            self.responses_refused += 1
