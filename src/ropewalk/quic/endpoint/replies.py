"""The few datagrams that an endpoint sends on its own, without a connection."""

from __future__ import annotations

from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64

from ropewalk.quic.endpoint.knock import Knock
from ropewalk.quic.endpoint.reset import make_stateless_reset
from ropewalk.quic.protection.burst import BurstWriter
from ropewalk.quic.protection.retry import retry_integrity_tag
from ropewalk.quic.types.configuration import QUIC_V1, EndpointConfiguration
from ropewalk.quic.types.datagrams import ECN_NOT_ECT, Burst, Datagrams
from ropewalk.quic.wire.header import (
    PACKET_INITIAL,
    LongHeader,
    encode_retry_without_tag,
    encode_version_negotiation,
    write_long_header,
)
from ropewalk.quic.wire.writers import write_connection_close

#: Replies waiting to be sent; more are dropped, for nobody may make us hoard.
_MAX_WAITING: Final = 256
#: A version nobody speaks, so that clients must tolerate unknown ones (RFC 9000 6.3).
_RESERVED_VERSION: Final = 0x1A2A3A4A


@final
class Replies:
    """Version Negotiation, Retry, refusal and stateless reset, limited in rate."""

    def __init__(self, config: EndpointConfiguration) -> None:
        self._config = config
        self._waiting: list[Burst] = []
        self._credit = config.reply_rate
        self._filled = 0.0
        self.suppressed: i64 = 0

    def next(self) -> Burst | None:
        """The oldest reply that waits."""
        return self._waiting.pop(0) if self._waiting else None

    def pending(self) -> bool:
        """Whether a reply waits."""
        return len(self._waiting) > 0

    def version_negotiation(self, header: LongHeader, to: Datagrams, now: float) -> None:
        """Offer our versions to a client that speaks another (RFC 9000 6.1)."""
        if self._allowed(now):
            data = encode_version_negotiation(
                header.source_cid,
                header.destination_cid,
                [QUIC_V1, _RESERVED_VERSION],
                self._config.entropy(1)[0],
            )
            self._queue(data, to, now)

    def stateless_reset(self, cid: bytes, size: i64, to: Datagrams, now: float) -> None:
        """Tell a peer that nothing is known of this ID (RFC 9000 10.3)."""
        if not self._allowed(now):
            return
        token = self._config.token_keys.reset_token(cid)
        data = make_stateless_reset(token, size, self._config.entropy)
        if data is not None:
            self._queue(data, to, now)

    def retry(self, knock: Knock, source_cid: bytes, token: bytes, now: float) -> None:
        """Send the client away to come back with a token (RFC 9000 17.2.5)."""
        packet = encode_retry_without_tag(
            knock.version, knock.source_cid, source_cid, token, self._config.entropy(1)[0]
        )
        tag = retry_integrity_tag(int(knock.version), knock.destination_cid, packet)
        self._queue(packet + tag, knock.datagrams[0], now)

    def close(self, knock: Knock, code: i64, reason: bytes, now: float) -> None:
        """Close at once, in an Initial packet (RFC 9000 10.2.3), keeping nothing."""
        if not self._allowed(now):
            return
        writer = BytesWriter()
        write_connection_close(writer, code, 0, reason, False)
        payload = writer.getvalue()
        header = write_long_header(
            PACKET_INITIAL,
            knock.version,
            knock.source_cid,
            knock.destination_cid,
            b"",
            0,
            1,
            len(payload) + 16,
        )
        burst = BurstWriter()
        burst.add(knock.server_protection, 0, 0, header, 1, payload)
        self._queue(burst.finish(), knock.datagrams[0], now)

    def _allowed(self, now: float) -> bool:
        rate = self._config.reply_rate
        self._credit = min(rate, self._credit + (now - self._filled) * rate)
        self._filled = now
        if self._credit < 1.0:
            self.suppressed += 1
            return False
        self._credit -= 1.0
        return True

    def _queue(self, data: bytes, to: Datagrams, now: float) -> None:
        if len(self._waiting) >= _MAX_WAITING:
            self.suppressed += 1
            return
        self._waiting.append(
            Burst(data, len(data), to.local, to.local_ip, to.remote, ECN_NOT_ECT, now)
        )
