"""A client at the door, and the four answers it may get (RFC 9000 8.1)."""

from __future__ import annotations

from typing import final

from ropewalk.quic.connection.connection import Connection
from ropewalk.quic.endpoint.knock import Knock
from ropewalk.quic.endpoint.tokens import TokenCheck
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.configuration import Configuration
from ropewalk.quic.types.errors import ConfigurationError


class Doorkeeper:
    """Carries out what is decided about an :class:`Incoming`. The endpoint is one."""

    def accept_knock(
        self, knock: Knock, check: TokenCheck, config: Configuration, now: float
    ) -> Connection:
        """Begin the handshake."""
        raise NotImplementedError

    def retry_knock(self, knock: Knock, now: float) -> None:
        """Send a Retry."""
        raise NotImplementedError

    def refuse_knock(self, knock: Knock, now: float) -> None:
        """Send CONNECTION_REFUSED."""
        raise NotImplementedError

    def ignore_knock(self, knock: Knock) -> None:
        """Forget it."""
        raise NotImplementedError


@final
class Incoming:
    """A client that asks for a connection. Decide with exactly one of the four verbs.

    ``token_valid`` tells that the client proved its address with a token of ours;
    ``server_name`` and ``alpns`` are what its ClientHello asks for.
    """

    def __init__(self, keeper: Doorkeeper, knock: Knock, check: TokenCheck) -> None:
        self._keeper = keeper
        self._knock = knock
        self._check = check
        self._decided = False
        self.remote: Address = knock.remote
        self.local = int(knock.local)
        self.local_ip = knock.local_ip
        self.token_valid = check.valid
        self.server_name = knock.server_name
        self.alpns = knock.alpns

    def accept(self, config: Configuration, now: float) -> Connection:
        """Begin the handshake. Raises ``ConfigurationError`` when ``config`` has no
        credentials."""
        if config.credentials is None:
            raise ConfigurationError(
                "a server needs a certificate: set credentials in the configuration"
            )
        self._decide()
        return self._keeper.accept_knock(self._knock, self._check, config, now)

    def retry(self, now: float) -> None:
        """Make the client prove its address first (Retry, RFC 9000 8.1.2). Raises
        ``ConfigurationError`` when it already has."""
        if self.token_valid:
            raise ConfigurationError("the client has proved its address; a second Retry is void")
        self._decide()
        self._keeper.retry_knock(self._knock, now)

    def refuse(self, now: float) -> None:
        """Turn the client away with CONNECTION_REFUSED."""
        self._decide()
        self._keeper.refuse_knock(self._knock, now)

    def ignore(self) -> None:
        """Say nothing; the client runs into its timeout."""
        self._decide()
        self._keeper.ignore_knock(self._knock)

    def _decide(self) -> None:
        if self._decided:
            raise ConfigurationError("this incoming connection has been decided already")
        self._decided = True
