"""Who waits at the door, and who is sent away without a connection (RFC 9000 8.1, 5.2.2)."""

from __future__ import annotations

from math import inf
from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.endpoint.counters import EndpointCounters
from ropewalk.quic.endpoint.knock import Knock
from ropewalk.quic.endpoint.replies import Replies
from ropewalk.quic.endpoint.tokens import (
    TOKEN_NEW_TOKEN,
    TOKEN_RETRY,
    TokenCheck,
    check_token,
    make_retry_token,
)
from ropewalk.quic.types.configuration import EndpointConfiguration
from ropewalk.quic.types.datagrams import Datagrams
from ropewalk.quic.types.error_codes import CONNECTION_REFUSED, INVALID_TOKEN
from ropewalk.quic.wire.header import PACKET_INITIAL, LongHeader

#: 7.2: the first destination ID of a client has at least this length.
_SHORTEST_FIRST_CID: Final = 8
#: How long a half-received ClientHello is kept, in seconds.
_LIFETIME: Final = 5.0
#: Bytes kept per knock: a ClientHello needs few, and anyone can send datagrams of 64 KiB.
_MAX_WAITING_BYTES: Final = 32768


@final
class Door:
    """Keeps the knocks until they are whole and decided. At most one per first ID."""

    def __init__(
        self, config: EndpointConfiguration, replies: Replies, counters: EndpointCounters
    ) -> None:
        self._config = config
        self._replies = replies
        self._counters = counters
        self._knocks: dict[bytes, Knock] = {}

    def waiting(self) -> i64:
        """How many knocks are kept."""
        return len(self._knocks)

    def knock(
        self, header: LongHeader, datagram: Datagrams, full: bool, now: float
    ) -> Knock | None:
        """A datagram that begins with an Initial or 0-RTT packet for an unknown ID.

        Returns the knock when its ClientHello has just become whole.
        """
        knock = self._knocks.get(header.destination_cid)
        if knock is None:
            return self._first(header, datagram, full, now)
        if (
            knock.remote != datagram.remote
            or len(knock.datagrams) >= self._config.max_waiting_datagrams
            or knock.bytes_received + len(datagram.data) > _MAX_WAITING_BYTES
        ):
            self._counters.datagrams_dropped += 1
            return None
        was_ready = knock.ready
        knock.add(datagram)
        return knock if knock.ready and not was_ready else None

    def _first(
        self, header: LongHeader, datagram: Datagrams, full: bool, now: float
    ) -> Knock | None:
        if (
            header.packet_type != PACKET_INITIAL
            or len(header.destination_cid) < _SHORTEST_FIRST_CID
            or len(datagram.data) > _MAX_WAITING_BYTES
        ):
            self._counters.datagrams_dropped += 1
            return None
        knock = Knock(header, datagram, now)
        if not knock.add(datagram):
            self._counters.datagrams_dropped += 1
            return None
        if full:
            self._counters.connections_refused += 1
            self._replies.close(knock, CONNECTION_REFUSED, b"the server is full", now)
            return None
        self._knocks[knock.destination_cid] = knock
        return knock if knock.ready else None

    def check(self, knock: Knock, now: float) -> TokenCheck | None:
        """What the client's token proves; None when it had to be turned away for it."""
        config = self._config
        check = check_token(
            config.token_keys,
            knock.token,
            knock.remote,
            config.wall_clock(),
            config.retry_token_lifetime,
            config.new_token_lifetime,
        )
        if check.kind == TOKEN_RETRY and (
            not check.valid or check.retry_source_cid != knock.destination_cid
        ):
            # RFC 9000 8.1.3: the client cannot recover from this by itself.
            self._replies.close(knock, INVALID_TOKEN, b"the Retry token is not valid", now)
            self.forget(knock)
            return None
        if check.kind == TOKEN_NEW_TOKEN and check.valid and self._was_used(knock.token):
            check.valid = False
        return check

    def _was_used(self, token: bytes) -> bool:
        """RFC 9000 8.1.4: a token that opens a door twice may have been stolen."""
        config = self._config
        guard = config.replay_guard
        if guard is None:
            return False
        return not guard.first_use(token, config.wall_clock() + config.new_token_lifetime)

    def retry(self, knock: Knock, now: float) -> None:
        """Send the client away to come back with a token (8.1.2)."""
        self.forget(knock)
        self._counters.retries += 1
        source_cid = self._config.connection_ids.generate()
        token = make_retry_token(
            self._config.token_keys,
            knock.remote,
            knock.destination_cid,
            source_cid,
            self._config.wall_clock(),
        )
        self._replies.retry(knock, source_cid, token, now)

    def refuse(self, knock: Knock, now: float) -> None:
        """Turn the client away with CONNECTION_REFUSED."""
        self.forget(knock)
        self._counters.connections_refused += 1
        self._replies.close(knock, CONNECTION_REFUSED, b"", now)

    def forget(self, knock: Knock) -> None:
        """Keep nothing of a knock."""
        self._knocks.pop(knock.destination_cid, None)

    def deadline(self) -> float:
        """When the oldest half-received ClientHello is given up; inf for never."""
        # The oldest comes first: a dict keeps the order of arrival.
        for knock in self._knocks.values():
            if not knock.ready:
                return knock.arrived + _LIFETIME
        return inf

    def expire(self, now: float) -> None:
        """Give up half-received ClientHellos whose time has come."""
        expired = [
            knock
            for knock in self._knocks.values()
            if not knock.ready and knock.arrived + _LIFETIME <= now
        ]
        for knock in expired:
            self.forget(knock)
