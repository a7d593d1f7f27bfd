"""One request and its response: which part of a message may follow which (RFC 9114 4.1)."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from ropewalk.http3.errors import H3_MESSAGE_ERROR
from ropewalk.http3.fields import MessageError
from ropewalk.http3.frames import FrameReader
from ropewalk.quic.types.errors import Error

#: States of a message, sent or received.
START: Final = 0
BODY: Final = 1
#: after a CONNECT, where nothing but DATA may follow (RFC 9114 4.4)
TUNNEL: Final = 2
TRAILED: Final = 3
ENDED: Final = 4
#: given up by either side
FAILED: Final = 5

STATE_NAMES: Final = ("start", "body", "tunnel", "after trailers", "ended", "failed")

#: Parts of a message.
INFORMATIONAL: Final = 0
HEADER: Final = 1
CONNECT_HEADER: Final = 2
CONTENT: Final = 3
TRAILER: Final = 4
END: Final = 5
FAILURE: Final = 6

PART_NAMES: Final = (
    "an informational response",
    "a header section",
    "a header section",
    "content",
    "a trailer section",
    "the end",
    "a failure",
)

#: A row for each state, a column for each part. -1 marks what must not come.
_TRANSITIONS: Final[tuple[tuple[int, ...], ...]] = (
    # INFORMATIONAL, HEADER, CONNECT_HEADER, CONTENT, TRAILER, END, FAILURE
    (START, BODY, TUNNEL, -1, -1, -1, FAILED),  # start
    (-1, -1, -1, BODY, TRAILED, ENDED, FAILED),  # body
    (-1, -1, -1, TUNNEL, -1, ENDED, FAILED),  # tunnel
    (-1, -1, -1, -1, -1, ENDED, FAILED),  # after trailers
    (-1, -1, -1, -1, -1, -1, ENDED),  # ended: it is whole, whatever comes
    (-1, -1, -1, -1, -1, -1, FAILED),  # failed
)


@final
class Message:
    """The state of one message, and whether its content has the length it announced."""

    def __init__(self) -> None:
        self.state: i64 = START
        #: content-length, -1 without one
        self.announced: i64 = -1
        #: content that came or went so far
        self.size: i64 = 0
        #: the message has no content whatever its fields say: HEAD, 204, 304
        self.bodiless = False

    def allows(self, part: i64) -> bool:
        """Whether the part may come now."""
        return _TRANSITIONS[self.state][part] >= 0

    def move(self, part: i64) -> None:
        """Follow the table of states; the caller has asked :meth:`allows`."""
        following: i64 = _TRANSITIONS[self.state][part]
        if following < 0:
            raise AssertionError(f"{PART_NAMES[part]} in state {STATE_NAMES[self.state]}")
        self.state = following

    def is_over(self) -> bool:
        """Whether nothing more comes."""
        return self.state >= ENDED

    def count(self, size: i64) -> None:
        """Content of so many bytes comes. Raises H3_MESSAGE_ERROR when that is too much."""
        if size == 0:
            return
        if self.bodiless:
            raise MessageError(H3_MESSAGE_ERROR, "there is content where there cannot be any")
        # Both are below 2**62, so the sum does not wrap before it is compared.
        if self.announced >= 0 and size > self.announced - self.size:
            raise MessageError(
                H3_MESSAGE_ERROR,
                f"content-length is {self.announced}, but {self.size} + {size} bytes come",
            )
        self.size += size

    def check_end(self) -> None:
        """The message ends here. Raises H3_MESSAGE_ERROR when content is missing."""
        if self.announced >= 0 and not self.bodiless and self.size != self.announced:
            raise MessageError(
                H3_MESSAGE_ERROR,
                f"content-length is {self.announced}, but the message ends after {self.size} bytes",
            )


@final
class Exchange:
    """A request and its response on their stream."""

    def __init__(self, stream_id: int) -> None:
        self.stream_id = stream_id
        self.method = b""
        #: client: 1xx responses so far
        self.informational: i64 = 0
        self.incoming = Message()
        self.outgoing = Message()
        self.frames = FrameReader()
        #: QUIC has delivered the end of the incoming stream
        self.stream_ended = False
        #: server: the code with which the response was declined before the request was here
        self.declined: i64 = -1
        #: why the incoming message failed, if it did
        self.failure: Error | None = None
        #: an encoded field section that waits for the peer's QPACK encoder stream
        self.blocked_section: bytes | None = None
        #: bytes that QUIC has refused so far; they go before all others
        self.unsent: list[bytes] = []
        #: the outgoing stream is to be ended once ``unsent`` is gone
        self.finish_due = False
        #: ``send_body`` refused something: the application waits for room
        self.refused = False

    def is_over(self) -> bool:
        """Whether both messages are over and nothing waits."""
        return self.incoming.is_over() and self.outgoing.is_over() and not self.unsent
