"""What an endpoint counts."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64


@final
class EndpointCounters:
    """What an endpoint counted besides its connections."""

    def __init__(self) -> None:
        self.datagrams_dropped: i64 = 0
        self.connections_accepted: i64 = 0
        self.connections_refused: i64 = 0
        self.connections_opened: i64 = 0
        self.connections_closed: i64 = 0
        self.version_negotiations: i64 = 0
        self.stateless_resets: i64 = 0
        self.retries: i64 = 0
        self.internal_errors: i64 = 0
