"""TLS messages: what they say, when and where they come (RFC 9001 4, 6, 8)."""

from __future__ import annotations

from typing import Final

from ropewalk.lab.hostile import frames, messages
from ropewalk.lab.hostile.check import CLIENT, SERVER, Check, Story, checks, sends
from ropewalk.lab.hostile.outcome import Closes, Holds, Survives, alert
from ropewalk.lab.hostile.scene import Scene
from ropewalk.quic.handshake.tls import codepoints as tls
from ropewalk.quic.types.error_codes import PROTOCOL_VIOLATION
from ropewalk.quic.types.handshake import HANDSHAKE

_VIOLATION: Final = Closes((PROTOCOL_VIOLATION,))


_CRYPTO_VIOLATION: Final = Closes((PROTOCOL_VIOLATION,), 0x06)


#: The extension's code point in drafts, before RFC 9001 gave it 0x39.
_DRAFT_PARAMETERS: Final = 0xFFA5


_END_OF_EARLY_DATA: Final = 5


#: More than is held of CRYPTO data ahead.
_FAR: Final = 1 << 20


_KEY_UPDATE: Final = messages.message(tls.KEY_UPDATE, b"\x00")


_UNEXPECTED: Final = alert(tls.UNEXPECTED_MESSAGE)


def bends(bending: messages.Bending) -> Story:
    """The story of a handshake with other messages."""

    def story(scene: Scene) -> None:
        scene.bend_messages(bending)
        scene.meet()

    return story


def _hello_or_extensions(scene: Scene) -> int:
    return tls.CLIENT_HELLO if scene.role == SERVER else tls.ENCRYPTED_EXTENSIONS


def application_protocol() -> list[Check]:
    """8.1: there is no connection without an agreed protocol."""
    none = alert(tls.NO_APPLICATION_PROTOCOL)
    section = "RFC 9001 8.1"

    def chooses(extension: bytes) -> Story:
        return bends(messages.with_extension(tls.ENCRYPTED_EXTENSIONS, tls.ALPN, extension))

    return [
        *checks(
            "alpn-unknown",
            section,
            "a client that offers another protocol only",
            bends(messages.with_extension(tls.CLIENT_HELLO, tls.ALPN, b"\x00\x06\x05dummy")),
            none,
            victims=(SERVER,),
            h3spec=30,
        ),
        *checks(
            "alpn-missing",
            section,
            "no ALPN extension",
            _without_extension(tls.ALPN),
            none,
        ),
        *checks(
            "alpn-not-offered",
            section,
            "a server that chooses a protocol which was not offered",
            chooses(b"\x00\x06\x05dummy"),
            none,
            victims=(CLIENT,),
        ),
        *checks(
            "alpn-two-chosen",
            "RFC 7301 3.1",
            "a server that chooses two protocols",
            chooses(b"\x00\x0e\x07hostile\x05dummy"),
            alert(tls.DECODE_ERROR, tls.ILLEGAL_PARAMETER, tls.NO_APPLICATION_PROTOCOL),
            victims=(CLIENT,),
        ),
    ]


def _without_extension(code: int) -> Story:
    def story(scene: Scene) -> None:
        scene.bend_messages(messages.without_extension(_hello_or_extensions(scene), code))
        scene.meet()

    return story


def transport_parameters_extension() -> list[Check]:
    """8.2: the extension is there, under its code point."""

    def renumbered(scene: Scene) -> None:
        scene.bend_messages(
            messages.renumbered_extension(
                _hello_or_extensions(scene), tls.QUIC_TRANSPORT_PARAMETERS, _DRAFT_PARAMETERS
            )
        )
        scene.meet()

    missing = alert(tls.MISSING_EXTENSION)
    return [
        *checks(
            "transport-parameters-missing",
            "RFC 9001 8.2",
            "no quic_transport_parameters extension",
            _without_extension(tls.QUIC_TRANSPORT_PARAMETERS),
            missing,
            h3spec=31,
        ),
        *checks(
            "transport-parameters-of-a-draft",
            "RFC 9001 8.2",
            "transport parameters under the code point of the drafts",
            renumbered,
            missing,
            victims=(SERVER,),
            h3spec=32,
        ),
        *checks(
            "transport-parameters-of-a-draft",
            "RFC 9001 8.2",
            "transport parameters under the code point of the drafts",
            renumbered,
            # The extension itself was not asked for, which counts as much.
            alert(tls.MISSING_EXTENSION, tls.UNSUPPORTED_EXTENSION),
            victims=(CLIENT,),
        ),
    ]


def forbidden_messages() -> list[Check]:
    """4.4, 4.6.1, 6, 8.3: messages that have no place in QUIC."""
    ticket = _ticket(b"\x00\x2a\x00\x04")
    request = messages.message(
        tls.CERTIFICATE_REQUEST, b"\x01x\x00\x08\x00\x0d\x00\x04\x00\x02\x04\x03"
    )
    end_of_early_data = messages.message(_END_OF_EARLY_DATA, b"")
    return [
        *checks(
            "key-update-in-handshake",
            "RFC 9001 6",
            "a TLS KeyUpdate in a Handshake packet",
            sends(frames.crypto(0, _KEY_UPDATE), HANDSHAKE),
            _UNEXPECTED,
            h3spec=28,
        ),
        *checks(
            "key-update-in-1-rtt",
            "RFC 9001 6",
            "a TLS KeyUpdate in a 1-RTT packet",
            sends(frames.crypto(0, _KEY_UPDATE)),
            _UNEXPECTED,
            h3spec=29,
        ),
        *checks(
            "end-of-early-data",
            "RFC 9001 8.3",
            "EndOfEarlyData in a Handshake packet",
            sends(frames.crypto(0, end_of_early_data), HANDSHAKE),
            _UNEXPECTED,
            victims=(SERVER,),
            h3spec=33,
        ),
        *checks(
            "certificate-request-after-the-handshake",
            "RFC 9001 4.4",
            "a CertificateRequest in a 1-RTT packet",
            sends(frames.crypto(0, request)),
            _VIOLATION,
            victims=(CLIENT,),
        ),
        *checks(
            "ticket-that-limits-early-data-in-bytes",
            "RFC 9001 4.6.1",
            "a NewSessionTicket with another max_early_data_size than 0xffffffff",
            sends(frames.crypto(0, ticket + bytes((0, 0, 16, 0)))),
            _VIOLATION,
            victims=(CLIENT,),
        ),
        *checks(
            "ticket-that-allows-early-data",
            "RFC 9001 4.6.1",
            "a NewSessionTicket with max_early_data_size 0xffffffff",
            sends(frames.crypto(0, ticket + b"\xff" * 4)),
            Survives(processed=True),
            victims=(CLIENT,),
        ),
        *checks(
            "session-ticket-from-a-client",
            "RFC 9846 4.7.1",
            "a NewSessionTicket from a client",
            sends(frames.crypto(0, ticket + b"\xff" * 4)),
            _UNEXPECTED,
            victims=(SERVER,),
        ),
        *checks(
            "finished-in-1-rtt",
            "RFC 9846 4",
            "a Finished message after the handshake",
            sends(frames.crypto(0, messages.message(tls.FINISHED, bytes(32)))),
            _UNEXPECTED,
        ),
        *checks(
            "message-of-unknown-type",
            "RFC 9846 4",
            "a handshake message of a type that nobody knows",
            sends(frames.crypto(0, messages.message(99, b"?")), HANDSHAKE),
            _UNEXPECTED,
        ),
    ]


def _ticket(extension_head: bytes) -> bytes:
    """A NewSessionTicket up to the four bytes of its early_data extension's value."""
    extensions = len(extension_head) + 4
    body = bytes(8) + b"\x01n" + b"\x00\x06ticket" + extensions.to_bytes(2, "big")
    size = len(body) + extensions
    return bytes([tls.NEW_SESSION_TICKET]) + size.to_bytes(3, "big") + body + extension_head


def hellos() -> list[Check]:
    """4.2, 8.4: versions of TLS, and the compatibility mode for middleboxes."""
    old = alert(tls.PROTOCOL_VERSION, tls.ILLEGAL_PARAMETER)
    session_id = bytes(range(32))
    return [
        *checks(
            "client-hello-with-a-session-id",
            "RFC 9001 8.4",
            "a ClientHello that asks for the middlebox compatibility mode",
            bends(messages.with_session_id(tls.CLIENT_HELLO, session_id)),
            _VIOLATION,
            victims=(SERVER,),
        ),
        *checks(
            "server-hello-with-a-session-id",
            "RFC 9846 4.2.3",
            "a ServerHello that echoes a session ID nobody sent",
            bends(messages.with_session_id(tls.SERVER_HELLO, session_id)),
            alert(tls.ILLEGAL_PARAMETER),
            victims=(CLIENT,),
        ),
        *checks(
            "client-hello-for-tls-1-2",
            "RFC 9001 4.2",
            "a ClientHello that offers TLS 1.2 only",
            bends(
                messages.with_extension(tls.CLIENT_HELLO, tls.SUPPORTED_VERSIONS, b"\x02\x03\x03")
            ),
            old,
            victims=(SERVER,),
        ),
        *checks(
            "client-hello-without-versions",
            "RFC 9001 4.2",
            "a ClientHello without supported_versions, as older TLS writes it",
            bends(messages.without_extension(tls.CLIENT_HELLO, tls.SUPPORTED_VERSIONS)),
            old,
            victims=(SERVER,),
        ),
        *checks(
            "server-hello-for-tls-1-2",
            "RFC 9001 4.2",
            "a ServerHello that chooses TLS 1.2",
            bends(messages.with_extension(tls.SERVER_HELLO, tls.SUPPORTED_VERSIONS, b"\x03\x03")),
            old,
            victims=(CLIENT,),
        ),
        *checks(
            "server-hello-without-version",
            "RFC 9001 4.2",
            "a ServerHello without supported_versions",
            bends(messages.without_extension(tls.SERVER_HELLO, tls.SUPPORTED_VERSIONS)),
            old,
            victims=(CLIENT,),
        ),
        *checks(
            "client-hello-with-unknown-suites",
            "RFC 9001 5.3",
            "a ClientHello that also offers cipher suites of which QUIC has none",
            bends(messages.each(tls.CLIENT_HELLO, _with_strange_suites)),
            Holds("goes on with the handshake"),
            victims=(SERVER,),
        ),
    ]


def _with_strange_suites(hello: bytes) -> list[bytes]:
    start = 4 + 34 + 1
    size = int.from_bytes(hello[start : start + 2], "big")
    suites = b"\x13\x05\xfa\xfa" + hello[start + 2 : start + 2 + size]
    body = hello[4:start] + len(suites).to_bytes(2, "big") + suites + hello[start + 2 + size :]
    return [messages.message(tls.CLIENT_HELLO, body)]


def authentication() -> list[Check]:
    """4.4 and RFC 9846 4.5: what proves the peer and the transcript."""
    decrypt = alert(tls.DECRYPT_ERROR)
    empty = messages.message(tls.CERTIFICATE, bytes(4))
    return [
        *checks(
            "finished-that-does-not-fit",
            "RFC 9846 4.5.3",
            "a Finished message with a bit turned over",
            bends(messages.each(tls.FINISHED, lambda one: [one[:-1] + bytes([one[-1] ^ 1])])),
            decrypt,
        ),
        *checks(
            "finished-of-another-length",
            "RFC 9846 4.5.3",
            "a Finished message that is a byte too long",
            bends(messages.each(tls.FINISHED, lambda one: [messages.message(20, one[4:] + b"x")])),
            alert(tls.DECODE_ERROR, tls.DECRYPT_ERROR),
        ),
        *checks(
            "certificate-verify-that-does-not-fit",
            "RFC 9001 4.4",
            "a CertificateVerify with a bit turned over",
            bends(
                messages.each(tls.CERTIFICATE_VERIFY, lambda one: [one[:-1] + bytes([one[-1] ^ 1])])
            ),
            decrypt,
            victims=(CLIENT,),
        ),
        *checks(
            "certificate-verify-missing",
            "RFC 9001 4.4",
            "a server that proves nothing",
            bends(messages.each(tls.CERTIFICATE_VERIFY, lambda _one: [])),
            _UNEXPECTED,
            victims=(CLIENT,),
        ),
        *checks(
            "certificate-empty",
            "RFC 9846 4.5.1",
            "a server without a certificate",
            bends(messages.each(tls.CERTIFICATE, lambda _one: [empty])),
            alert(tls.DECODE_ERROR),
            victims=(CLIENT,),
        ),
        *checks(
            "extension-nobody-asked-for",
            "RFC 9846 4.3",
            "an extension in EncryptedExtensions that the client did not send",
            bends(messages.with_extension(tls.ENCRYPTED_EXTENSIONS, 0x1234, b"")),
            alert(tls.UNSUPPORTED_EXTENSION),
            victims=(CLIENT,),
        ),
    ]


CHECKS: tuple[Check, ...] = (
    *application_protocol(),
    *transport_parameters_extension(),
    *forbidden_messages(),
    *hellos(),
    *authentication(),
)
