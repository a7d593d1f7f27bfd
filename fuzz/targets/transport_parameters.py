"""Transport parameters of either side."""

from __future__ import annotations

from ropewalk.quic.types.error_codes import TRANSPORT_PARAMETER_ERROR
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.wire.transport_parameters import (
    decode_transport_parameters,
    encode_transport_parameters,
)

SEED_PREFIX = b""


def fuzz_transport_parameters(data: bytes) -> None:
    """Values that are the same after another round, or TRANSPORT_PARAMETER_ERROR."""
    for from_client in (True, False):
        try:
            parameters = decode_transport_parameters(data, from_client)
        except TransportError as error:
            assert error.code == TRANSPORT_PARAMETER_ERROR, error
            assert error.reason
            continue
        encoded = encode_transport_parameters(parameters)
        assert decode_transport_parameters(encoded, from_client) == parameters
