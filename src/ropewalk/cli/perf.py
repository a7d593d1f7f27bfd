"""``ropewalk perf``: measure throughput and CPU with the QUIC performance protocol."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Final

import anyio
import click
from anyio.abc import TaskStatus

from ropewalk import _build
from ropewalk.cli.errors import one_line_errors
from ropewalk.cli.figures import Figures, Meter
from ropewalk.cli.parameters import HOST_PORT, MTU, SIZE, HostPort
from ropewalk.cli.perf_protocol import ALPN, PerfServer, transfer
from ropewalk.cli.watching import qlog_option, watching
from ropewalk.quic.types.configuration import NoVerification
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.runtime import Connection, Settings, connect, serve
from ropewalk.runtime.certificates import make_certificate

_DEFAULT_DOWNLOAD: Final = 200_000_000

_mtu_option = click.option(
    "--mtu",
    type=MTU,
    help="Largest UDP payload to look for, in bytes. 1452 fits any Ethernet. [1200]",
)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


@click.group()
def perf() -> None:
    """Measure throughput and CPU per packet.

    Speaks draft-banks-quic-performance (ALPN "perf"), so the other side may be another
    implementation's. Start `ropewalk perf serve` on one machine and `ropewalk perf run
    HOST:PORT` on the other. Each side reports its own CPU: its process's user and system
    time over all packets that it sent and received.
    """


@perf.command("serve")
@click.option(
    "--bind",
    type=HOST_PORT,
    default="localhost:4433",
    show_default=True,
    metavar="HOST:PORT",
    help="Where to listen. Port 0 takes a free one; [::]:4433 hears all addresses.",
)
@_mtu_option
@click.option("--cert", type=click.Path(), help="Certificate chain, PEM.")
@click.option("--key", type=click.Path(), help="Private key, PEM.")
@qlog_option
@_json_option
def serve_command(
    bind: HostPort,
    mtu: int | None,
    cert: str | None,
    key: str | None,
    qlog: str | None,
    as_json: bool,
) -> None:
    """Answer `perf run` until interrupted.

    Without --cert and --key a certificate is made on the spot, and its pin is printed for
    the client's --pin. Figures go to stderr whenever the last open connection has ended;
    with --json they are one object a line on stdout, after a first line with the address.
    """
    if (cert is None) != (key is None):
        raise click.UsageError("--cert and --key belong together; give both or neither")
    with one_line_errors():
        anyio.run(_serve, bind, _settings(mtu, qlog), cert, key, as_json)


async def _serve(
    bind: HostPort, settings: Settings, cert: str | None, key: str | None, as_json: bool
) -> None:
    def report(figures: Figures) -> None:
        if as_json:
            click.echo(json.dumps(figures.as_json()))
        else:
            for line in figures.lines():
                click.echo(line, err=True)

    pin: str | None = None
    certificate: str | bytes | None = cert
    private_key: str | bytes | None = key
    if cert is None:
        made = make_certificate([bind.host or "localhost", "localhost"])
        certificate, private_key = made.cert_pem, made.key_pem
        pin = made.spki_sha256.hex()
    async with serve(
        PerfServer(report).handle,
        bind.host or None,
        bind.port,
        alpn=ALPN,
        certificate=certificate,
        key=private_key,
        **settings,
    ) as server:
        addresses = [str(address) for address in server.addresses]
        if as_json:
            click.echo(
                json.dumps(
                    {
                        "listening": addresses,
                        "port": server.address.port,
                        "pin": pin,
                        "build": _build.describe(),
                    }
                )
            )
        else:
            click.echo(f"listening at {', '.join(addresses)}", err=True)
            if pin is not None:
                click.echo(f"clients may use --pin {pin}", err=True)
        await _wait_for_interrupt()


async def _wait_for_interrupt() -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            return


@perf.command("run")
@click.argument("server", type=HOST_PORT, metavar="HOST:PORT")
@click.option(
    "--download", type=SIZE, help="Bytes to fetch in all, such as 64K, 200M, 1GiB. [200M]"
)
@click.option("--upload", type=SIZE, help="Bytes to send in all. [0]")
@click.option(
    "--streams",
    type=click.IntRange(1, 100_000),
    default=1,
    show_default=True,
    help="Streams on each connection; the bytes are split evenly among them.",
)
@click.option(
    "--connections",
    type=click.IntRange(1, 10_000),
    default=1,
    show_default=True,
    help="Connections at the same time.",
)
@_mtu_option
@click.option("--insecure", is_flag=True, help="Trust any certificate.")
@click.option("--ca", type=click.Path(), help="Trust this CA (PEM) instead of the system's.")
@click.option("--pin", metavar="H", help="Trust the key with this SHA-256 (hexadecimal).")
@qlog_option
@_json_option
def run_command(
    server: HostPort,
    download: int | None,
    upload: int | None,
    streams: int,
    connections: int,
    mtu: int | None,
    insecure: bool,
    ca: str | None,
    pin: str | None,
    qlog: str | None,
    as_json: bool,
) -> None:
    """Transfer with a `perf serve` at HOST:PORT and print the figures.

    Without --download and --upload, 200 MB are fetched. Given both, both run at the same
    time. The clock runs from the end of the handshakes to the last byte. Retransmissions
    count packets that this side sent and declared lost; of a download's, the server tells.
    """
    if sum((insecure, ca is not None, pin is not None)) > 1:
        raise click.UsageError("--insecure, --ca and --pin exclude one another; give one of them")
    if download is None and upload is None:
        download = _DEFAULT_DOWNLOAD
    with one_line_errors():
        figures = anyio.run(
            partial(
                _run,
                server,
                download or 0,
                upload or 0,
                streams,
                connections,
                settings=_settings(mtu, qlog),
                insecure=insecure,
                ca=ca,
                pin=pin,
            )
        )
    if as_json:
        click.echo(json.dumps({**figures.as_json(), "build": _build.describe()}))
    else:
        for line in figures.lines():
            click.echo(line)


async def _run(
    server: HostPort,
    download: int,
    upload: int,
    streams: int,
    connections: int,
    *,
    settings: Settings,
    insecure: bool,
    ca: str | None,
    pin: str | None,
) -> Figures:
    if not server.host:
        raise ConfigurationError("no host is given; write HOST:PORT, for example localhost:4433")
    dial = partial(
        connect,
        server.host,
        server.port,
        alpn=ALPN,
        ca=ca,
        pin=pin,
        verification=NoVerification() if insecure else None,
        **settings,
    )
    async with anyio.create_task_group() as holders:
        done = anyio.Event()
        opened: list[Connection] = []
        for _ in range(connections):
            opened.append(await holders.start(_hold, dial, done))
        meter = Meter("client")
        meter.add(opened, sign=-1)
        async with anyio.create_task_group() as transfers:
            shares = zip(
                split(download, streams * connections),
                split(upload, streams * connections),
                strict=True,
            )
            for index, (down, up) in enumerate(shares):
                connection = opened[index % connections]
                transfers.start_soon(_one_stream, connection, down, up, meter)
        meter.stop()
        meter.add(opened)
        done.set()
    return meter.figures()


async def _hold(
    dial: Callable[[], AbstractAsyncContextManager[Connection]],
    done: anyio.Event,
    *,
    task_status: TaskStatus[Connection],
) -> None:
    """Own one connection until all are done; so they drain at the same time."""
    async with dial() as connection:
        task_status.started(connection)
        await done.wait()


async def _one_stream(connection: Connection, download: int, upload: int, meter: Meter) -> None:
    await transfer(await connection.open_stream(), download, upload, meter)


def split(total: int, parts: int) -> Iterator[int]:
    """``total`` in ``parts`` that differ by one at most."""
    share, rest = divmod(total, parts)
    for index in range(parts):
        yield share + (index < rest)


def _settings(mtu: int | None, qlog: str | None) -> Settings:
    settings = Settings(observer=watching(qlog))
    if mtu is not None:
        settings["max_udp_payload"] = mtu
    return settings
