"""Many connections on many sockets: demultiplexing, Retry, version negotiation, resets."""

from ropewalk.quic.endpoint.checks import check_configuration
from ropewalk.quic.endpoint.connection_ids import RandomConnectionIds
from ropewalk.quic.endpoint.endpoint import Endpoint
from ropewalk.quic.endpoint.incoming import Incoming
from ropewalk.quic.endpoint.token_keys import RootTokenKeys

__all__ = ["Endpoint", "Incoming", "RandomConnectionIds", "RootTokenKeys", "check_configuration"]
