"""``ropewalk serve``: a folder over HTTP/3."""

from __future__ import annotations

import hashlib
import signal
import socket
from base64 import b64encode
from collections.abc import Sequence
from shlex import quote
from typing import Final

import anyio
import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ropewalk.cli.errors import one_line_errors
from ropewalk.cli.parameters import HOST_PORT, HostPort
from ropewalk.cli.watching import qlog_option, watching
from ropewalk.http import Request, Response, serve_http
from ropewalk.http.files import StaticFiles
from ropewalk.observe.observer import Observer
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.runtime.certificates import make_certificate
from ropewalk.runtime.settings import read_pem

#: How long Ctrl-C waits for responses that are under way.
_GRACE: Final = 10.0
#: Addresses to listen at that are none to connect to, and where such a server is reached.
_ANY: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # no binding


@click.command()
@click.argument("root", type=click.Path())
@click.option(
    "--bind",
    type=HOST_PORT,
    default="127.0.0.1:4433",
    show_default=True,
    metavar="HOST:PORT",
    help="Where to listen. Port 0 takes a free one; [::]:4433 hears all addresses.",
)
@click.option("--cert", type=click.Path(), help="Certificate chain, PEM.")
@click.option("--key", type=click.Path(), help="Private key, PEM.")
@qlog_option
@click.option("-q", "--quiet", is_flag=True, help="Do not print a line for each request.")
def serve(
    root: str, bind: HostPort, cert: str | None, key: str | None, qlog: str | None, quiet: bool
) -> None:
    """Serve the folder ROOT over HTTP/3 until interrupted.

    Without --cert and --key a certificate is made on the spot. The commands that reach the
    server are printed ready to use: they trust its key by its hash, whoever has signed it.
    Hidden files are not served. Ctrl-C lets responses under way finish for ten seconds; a
    second one does not.
    """
    if (cert is None) != (key is None):
        raise click.UsageError("--cert and --key belong together; give both or neither")
    with one_line_errors():
        anyio.run(_serve, root, bind, cert, key, watching(qlog), quiet)


async def _serve(
    root: str,
    bind: HostPort,
    cert: str | None,
    key: str | None,
    observer: Observer | None,
    quiet: bool,
) -> None:
    files = StaticFiles(root)
    if cert is None or key is None:
        made = make_certificate(_names(bind.host))
        chain, private_key, pin = made.cert_pem, made.key_pem, made.spki_sha256
    else:
        chain, private_key = read_pem(cert, "certificate"), read_pem(key, "key")
        pin = spki_hash(chain)

    async def handle(request: Request) -> Response:
        response = await files(request)
        if not quiet:
            click.echo(
                f"{request.client.ip} {request.method} {_printable(request.target)} "
                f"{response.status}",
                err=True,
            )
        return response

    async with serve_http(
        handle,
        bind.host or None,
        bind.port,
        certificate=chain,
        key=private_key,
        grace=_GRACE,
        observer=observer,
    ) as server:
        for line in instructions(str(files.root), _reached_at(bind, server.address), pin):
            click.echo(line)
        await _wait_for_interrupt()
        click.echo("stopping when responses under way are complete; Ctrl-C stops now", err=True)


def instructions(root: str, where: HostPort, pin: bytes) -> Sequence[str]:
    """What is served, and the commands that reach it."""
    url = f"https://{where}/"
    base64 = b64encode(pin).decode()
    # Chromium matches no IPv6 literal in this list, but anything by the asterisk.
    forced = "*" if ":" in where.host else str(where)
    return (
        f"Serving {_printable(root)} over HTTP/3 at {url}",
        "",
        "SHA-256 of the certificate's key (SPKI):",
        f"  hex     {pin.hex()}",
        f"  base64  {base64}",
        "",
        "Fetch it:",
        f"  ropewalk get --pin {pin.hex()} {quote(url)}",
        "Open it:",
        "  chromium --user-data-dir=/tmp/ropewalk-chromium "
        f"--origin-to-force-quic-on={quote(forced)} "
        f"--ignore-certificate-errors-spki-list={base64} {quote(url)}",
        "",
        "Ctrl-C stops.",
    )


def _reached_at(bind: HostPort, bound: Address) -> HostPort:
    """The address that was bound, not its name: browsers may try another one of the name's."""
    # A scope has its meaning in the words it was given in.
    host = bind.host if "%" in bind.host else bound.ip
    return HostPort(_ANY.get(host, host), bound.port)


def spki_hash(chain: bytes) -> bytes:
    """The pin of the first certificate in PEM. Raises ``ConfigurationError``."""
    try:
        certificate = x509.load_pem_x509_certificate(chain)
    except ValueError as error:
        raise ConfigurationError(
            f"the certificate file holds no certificate in PEM: {error}"
        ) from error
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()


def _names(host: str) -> list[str]:
    """What a certificate made on the spot is for."""
    names = ["localhost", "127.0.0.1", "::1"]
    own = host.partition("%")[0] if host not in _ANY else socket.gethostname()
    if own and own.isascii() and own not in names:
        names.insert(0, own)
    return names


def _printable(text: str) -> str:
    """What came from elsewhere must not steer the terminal."""
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)


async def _wait_for_interrupt() -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            return
