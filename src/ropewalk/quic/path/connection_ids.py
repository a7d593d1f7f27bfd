"""The supply of connection IDs of one path, both ways (RFC 9000 5.1)."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from ropewalk.quic.types.error_codes import (
    CONNECTION_ID_LIMIT_ERROR,
    FRAME_ENCODING_ERROR,
    PROTOCOL_VIOLATION,
)
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.wire.frame_types import NEW_CONNECTION_ID, RETIRE_CONNECTION_ID

#: RFC 9000 5.1.2: how many retirements may wait to be acknowledged before a peer that
#: keeps making us retire is in the wrong.
_RETIREMENT_FACTOR: Final = 4
#: Retired IDs remembered above the first one that is not.
_MAX_RETIRED: Final = 64


@final
class ConnectionId:
    """A connection ID with its sequence number and stateless-reset token (b"" for none)."""

    __slots__ = ("connection_id", "reset_token", "sequence")

    def __init__(self, sequence: i64, connection_id: bytes, reset_token: bytes) -> None:
        self.sequence: i64 = sequence
        self.connection_id = connection_id
        self.reset_token = reset_token


@final
class PeerConnectionIds:
    """The IDs that the peer gave us to address it with.

    ``current`` is in use. ``retirements`` lists sequence numbers for which a
    RETIRE_CONNECTION_ID frame has to be sent; ``added_tokens`` and ``removed_tokens``
    are stateless-reset tokens for the endpoint's table, taken by the owner. Only the token
    of the ID in use is in that table (10.3.1).
    """

    def __init__(self, first: bytes, limit: i64) -> None:
        self.limit: i64 = limit
        self.current = ConnectionId(0, first, b"")
        self.spare: list[ConnectionId] = []
        self.retire_prior_to: i64 = 0
        self.retirements: list[int] = []
        #: Sequence numbers retired and not yet known by the peer to be.
        self._unacknowledged: list[int] = []
        #: All IDs below this number are retired, and so are those listed.
        self._retired_below: i64 = 0
        self._retired: list[int] = []
        self.added_tokens: list[bytes] = []
        self.removed_tokens: list[bytes] = []

    def replace_first(self, connection_id: bytes) -> None:
        """The handshake changed the peer's ID: a Retry, or the server's own choice (7.2)."""
        self.current = ConnectionId(0, connection_id, self.current.reset_token)

    def set_first_token(self, token: bytes) -> None:
        """The reset token of ID 0 came with the transport parameters (18.2)."""
        self.current.reset_token = token
        self.added_tokens.append(token)

    def add(self, sequence: i64, retire_prior_to: i64, connection_id: bytes, token: bytes) -> None:
        """A NEW_CONNECTION_ID frame (19.15). Raises ``TransportError`` where 5.1.1 says so."""
        if len(self.current.connection_id) == 0:
            raise TransportError(
                PROTOCOL_VIOLATION, "new connection ID for a zero-length one", NEW_CONNECTION_ID
            )
        if retire_prior_to > sequence:
            raise TransportError(
                FRAME_ENCODING_ERROR, "Retire Prior To exceeds Sequence Number", NEW_CONNECTION_ID
            )
        if self._is_retired(sequence):
            # A late copy of a frame must not bring back what is gone.
            pass
        elif self._repeats(sequence, connection_id, token):
            pass
        elif sequence < self.retire_prior_to:
            # 19.15: arrived after a later frame had already retired it.
            self._retire(sequence)
        else:
            self.spare.append(ConnectionId(sequence, connection_id, token))
        if retire_prior_to > self.retire_prior_to:
            self.retire_prior_to = retire_prior_to
            self._retire_below(retire_prior_to)
        if 1 + len(self.spare) > self.limit:
            raise TransportError(
                CONNECTION_ID_LIMIT_ERROR,
                f"more than {self.limit} connection IDs are active",
                NEW_CONNECTION_ID,
            )

    def rotate(self) -> bool:
        """Retire the current ID and use the next. False when there is no spare one."""
        if not self.spare:
            return False
        self._next()
        return True

    @property
    def unacknowledged_retirements(self) -> int:
        """Retirements that the peer is not known to have seen."""
        return len(self._unacknowledged)

    def on_retirement_acked(self, sequence: i64) -> None:
        """The peer has a RETIRE_CONNECTION_ID frame. Copies of it may be acknowledged, too."""
        number = int(sequence)
        if number in self._unacknowledged:
            self._unacknowledged.remove(number)
        if number in self.retirements:
            self.retirements.remove(number)

    def on_retirement_lost(self, sequence: i64) -> None:
        """A RETIRE_CONNECTION_ID frame was lost: repeat it, unless a copy arrived."""
        number = int(sequence)
        if number in self._unacknowledged and number not in self.retirements:
            self.retirements.append(number)

    def _repeats(self, sequence: i64, connection_id: bytes, token: bytes) -> bool:
        known = self.spare
        if self.current.sequence == sequence or self.current.connection_id == connection_id:
            known = [self.current, *known]
        for one in known:
            if one.sequence == sequence:
                if one.connection_id != connection_id or (
                    one.reset_token and one.reset_token != token
                ):
                    raise TransportError(
                        PROTOCOL_VIOLATION,
                        f"connection ID {sequence} was issued with other contents",
                        NEW_CONNECTION_ID,
                    )
                return True
            if one.connection_id == connection_id:
                raise TransportError(
                    PROTOCOL_VIOLATION,
                    "one connection ID was issued under two sequence numbers",
                    NEW_CONNECTION_ID,
                )
        return False

    def _retire_below(self, bound: i64) -> None:
        kept: list[ConnectionId] = []
        for one in self.spare:
            if one.sequence < bound:
                self._retire(one.sequence)
            else:
                kept.append(one)
        self.spare = kept
        if self.current.sequence < bound:
            if not self.spare:
                raise TransportError(
                    PROTOCOL_VIOLATION, "all connection IDs were retired", NEW_CONNECTION_ID
                )
            self._next()

    def _next(self) -> None:
        """Retire the current ID and take up the next."""
        former = self.current
        if former.reset_token:
            self.removed_tokens.append(former.reset_token)
        self.current = self.spare.pop(0)
        if self.current.reset_token:
            self.added_tokens.append(self.current.reset_token)
        self._retire(former.sequence)

    def _is_retired(self, sequence: i64) -> bool:
        return sequence < self._retired_below or int(sequence) in self._retired

    def _retire(self, sequence: i64) -> None:
        self._retired.append(int(sequence))
        if len(self._retired) > _MAX_RETIRED:
            # Numbers left out so long ago will hardly be announced any more.
            self._retired_below = min(self._retired)
        while int(self._retired_below) in self._retired:
            self._retired.remove(int(self._retired_below))
            self._retired_below += 1
        if len(self._unacknowledged) >= _RETIREMENT_FACTOR * self.limit:
            raise TransportError(
                CONNECTION_ID_LIMIT_ERROR,
                "too many retirements are waiting to be acknowledged",
                NEW_CONNECTION_ID,
            )
        self._unacknowledged.append(int(sequence))
        self.retirements.append(int(sequence))


@final
class OwnConnectionIds:
    """The IDs that we issued for the peer to address us with.

    ``announcements`` lists those for which a NEW_CONNECTION_ID frame has to be sent.
    """

    def __init__(self, first: bytes) -> None:
        self.active: list[ConnectionId] = [ConnectionId(0, first, b"")]
        self.next_sequence: i64 = 1
        self.announcements: list[ConnectionId] = []

    def issue(self, connection_id: bytes, reset_token: bytes) -> ConnectionId:
        """Make an ID known; it is announced with the next packet."""
        one = ConnectionId(self.next_sequence, connection_id, reset_token)
        self.next_sequence += 1
        self.active.append(one)
        self.announcements.append(one)
        return one

    def announce_again(self, sequence: i64) -> None:
        """The frame that announced an ID was lost; repeat it unless it was retired since."""
        for one in self.active:
            if one.sequence == sequence and one not in self.announcements:
                self.announcements.append(one)

    def retire(self, sequence: i64, used: bytes) -> ConnectionId | None:
        """A RETIRE_CONNECTION_ID frame (19.16). ``used`` is the ID its packet was sent to.

        Returns the ID that left, ``None`` when it had left before.
        """
        if sequence >= self.next_sequence:
            raise TransportError(
                PROTOCOL_VIOLATION,
                f"connection ID {sequence} was never issued",
                RETIRE_CONNECTION_ID,
            )
        for index in range(len(self.active)):
            one = self.active[index]
            if one.sequence == sequence:
                if one.connection_id == used:
                    raise TransportError(
                        PROTOCOL_VIOLATION,
                        "a packet retires the connection ID it was sent to",
                        RETIRE_CONNECTION_ID,
                    )
                del self.active[index]
                if one in self.announcements:
                    # Whoever retires what it was not told of must not make us hoard.
                    self.announcements.remove(one)
                return one
        return None
