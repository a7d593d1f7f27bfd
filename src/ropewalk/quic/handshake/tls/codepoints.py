"""Code points of TLS 1.3 that QUIC needs (RFC 9846 4, 6 and B; RFC 9001 8.2)."""

from __future__ import annotations

from typing import Final

TLS_1_2: Final = 0x0303
TLS_1_3: Final = 0x0304

# -- handshake messages
CLIENT_HELLO: Final = 1
SERVER_HELLO: Final = 2
NEW_SESSION_TICKET: Final = 4
ENCRYPTED_EXTENSIONS: Final = 8
CERTIFICATE: Final = 11
CERTIFICATE_REQUEST: Final = 13
CERTIFICATE_VERIFY: Final = 15
FINISHED: Final = 20
KEY_UPDATE: Final = 24
MESSAGE_HASH: Final = 254

MESSAGE_NAMES: Final[dict[int, str]] = {
    CLIENT_HELLO: "ClientHello",
    SERVER_HELLO: "ServerHello",
    NEW_SESSION_TICKET: "NewSessionTicket",
    ENCRYPTED_EXTENSIONS: "EncryptedExtensions",
    CERTIFICATE: "Certificate",
    CERTIFICATE_REQUEST: "CertificateRequest",
    CERTIFICATE_VERIFY: "CertificateVerify",
    FINISHED: "Finished",
    KEY_UPDATE: "KeyUpdate",
}

# -- extensions
SERVER_NAME: Final = 0
SUPPORTED_GROUPS: Final = 10
SIGNATURE_ALGORITHMS: Final = 13
ALPN: Final = 16
PRE_SHARED_KEY: Final = 41
EARLY_DATA: Final = 42
SUPPORTED_VERSIONS: Final = 43
COOKIE: Final = 44
PSK_KEY_EXCHANGE_MODES: Final = 45
KEY_SHARE: Final = 51
QUIC_TRANSPORT_PARAMETERS: Final = 0x39

# -- signature schemes
RSA_PKCS1_SHA256: Final = 0x0401
RSA_PKCS1_SHA384: Final = 0x0501
RSA_PKCS1_SHA512: Final = 0x0601
ECDSA_SECP256R1_SHA256: Final = 0x0403
ECDSA_SECP384R1_SHA384: Final = 0x0503
RSA_PSS_RSAE_SHA256: Final = 0x0804
RSA_PSS_RSAE_SHA384: Final = 0x0805
RSA_PSS_RSAE_SHA512: Final = 0x0806
ED25519: Final = 0x0807

# -- alerts that this side raises
UNEXPECTED_MESSAGE: Final = 10
HANDSHAKE_FAILURE: Final = 40
BAD_CERTIFICATE: Final = 42
UNSUPPORTED_CERTIFICATE: Final = 43
CERTIFICATE_EXPIRED: Final = 45
CERTIFICATE_UNKNOWN: Final = 46
ILLEGAL_PARAMETER: Final = 47
UNKNOWN_CA: Final = 48
DECODE_ERROR: Final = 50
DECRYPT_ERROR: Final = 51
PROTOCOL_VERSION: Final = 70
INTERNAL_ERROR: Final = 80
MISSING_EXTENSION: Final = 109
UNSUPPORTED_EXTENSION: Final = 110
UNRECOGNIZED_NAME: Final = 112
NO_APPLICATION_PROTOCOL: Final = 120

#: The random of a ServerHello that is a HelloRetryRequest: SHA-256 of that very name.
HELLO_RETRY_REQUEST: Final = bytes.fromhex(
    "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"
)
