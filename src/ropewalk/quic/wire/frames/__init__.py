"""Every frame of RFC 9000 (section 19), RFC 9221 and ACK frequency as a value.

For frames that are rare, and for tools and tests. What arrives in every packet is read in
place instead: ACK by :mod:`ropewalk.quic.wire.ack`, STREAM by
:mod:`ropewalk.quic.wire.stream_header`.
"""

from ropewalk.quic.wire.ack import AckFrame
from ropewalk.quic.wire.frame import Frame
from ropewalk.quic.wire.frames.acks import AckFrequencyFrame, ImmediateAckFrame
from ropewalk.quic.wire.frames.basic import (
    ConnectionCloseFrame,
    CryptoFrame,
    DatagramFrame,
    HandshakeDoneFrame,
    NewTokenFrame,
    PaddingFrame,
    PingFrame,
)
from ropewalk.quic.wire.frames.flow_control import (
    DataBlockedFrame,
    MaxDataFrame,
    MaxStreamDataFrame,
    MaxStreamsFrame,
    StreamDataBlockedFrame,
    StreamsBlockedFrame,
)
from ropewalk.quic.wire.frames.parse import parse_frame, parse_frames
from ropewalk.quic.wire.frames.paths import (
    NewConnectionIdFrame,
    PathChallengeFrame,
    PathResponseFrame,
    RetireConnectionIdFrame,
)
from ropewalk.quic.wire.frames.streams import ResetStreamFrame, StopSendingFrame, StreamFrame

__all__ = [
    "AckFrame",
    "AckFrequencyFrame",
    "ConnectionCloseFrame",
    "CryptoFrame",
    "DataBlockedFrame",
    "DatagramFrame",
    "Frame",
    "HandshakeDoneFrame",
    "ImmediateAckFrame",
    "MaxDataFrame",
    "MaxStreamDataFrame",
    "MaxStreamsFrame",
    "NewConnectionIdFrame",
    "NewTokenFrame",
    "PaddingFrame",
    "PathChallengeFrame",
    "PathResponseFrame",
    "PingFrame",
    "ResetStreamFrame",
    "RetireConnectionIdFrame",
    "StopSendingFrame",
    "StreamDataBlockedFrame",
    "StreamFrame",
    "StreamsBlockedFrame",
    "parse_frame",
    "parse_frames",
]
