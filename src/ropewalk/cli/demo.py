"""``ropewalk demo``: a file crosses from one process to another over our own QUIC."""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import anyio
import click
from anyio import EndOfStream
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from ropewalk import _build
from ropewalk.cli.demo_server import ALPN, CHUNK, PROTOCOL_REQUEST
from ropewalk.cli.errors import Failure, one_line_errors
from ropewalk.cli.figures import Figures, Meter
from ropewalk.cli.parameters import MTU, SIZE
from ropewalk.runtime import Settings, connect

_DEFAULT_SIZE: Final = 200_000_000
_DEFAULT_MTU: Final = 1452
#: The server only makes a file and a certificate before it answers.
_START_TIMEOUT: Final = 120.0
_REPORT_TIMEOUT: Final = 30.0
_LINE_LIMIT: Final = 65536


@click.command()
@click.option(
    "--size", type=SIZE, default=_DEFAULT_SIZE, help="Size of the file, such as 50M. [200M]"
)
@click.option(
    "--mtu",
    type=MTU,
    default=_DEFAULT_MTU,
    show_default=True,
    help="Largest UDP payload in bytes, both ways. 1452 fits any Ethernet.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and no bar.")
def demo(size: int, mtu: int, as_json: bool) -> None:
    """Send a file over QUIC on this machine and show what it took.

    A server process makes a file of random bytes and a certificate. This process connects
    over loopback, trusts the certificate by its pin, fetches the file and compares its
    SHA-256 with the server's. Then both sides' figures are printed; CPU per packet is each
    process's user and system time over all packets that it sent and received.
    """
    if size < 1:
        raise click.UsageError("--size must be at least 1 byte")
    with one_line_errors():
        outcome = anyio.run(partial(_demo, size, mtu, show_bar=not as_json))
    if as_json:
        click.echo(json.dumps(outcome.as_json()))
    else:
        _print(outcome)
    if not outcome.intact:
        raise Failure(
            f"the file arrived damaged: SHA-256 is {outcome.received_sha256}, the server's "
            f"{outcome.sent_sha256}; please report this with the figures above"
        )


class Outcome(NamedTuple):
    """What became of a demo."""

    sent_sha256: str
    received_sha256: str
    client: Figures
    server: dict[str, object]

    @property
    def intact(self) -> bool:
        """Whether the file arrived as it was sent."""
        return self.sent_sha256 == self.received_sha256

    def as_json(self) -> dict[str, object]:
        """One object with everything."""
        return {
            "build": _build.describe(),
            "intact": self.intact,
            "sha256": self.received_sha256,
            "client": self.client.as_json(),
            "server": self.server,
        }


async def _demo(size: int, mtu: int, *, show_bar: bool) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="ropewalk-demo-") as folder:
        original, copy = Path(folder, "original"), Path(folder, "copy")
        async with _server_process(original, size, mtu) as server:
            hello = await server.read("it did not start", _START_TIMEOUT)
            client = await _fetch(hello, copy, size, mtu, show_bar)
            report = await server.read("it did not report", _REPORT_TIMEOUT)
        received = await anyio.to_thread.run_sync(sha256_of, copy)
        return Outcome(str(hello["sha256"]), received, client, report)


async def _fetch(
    hello: dict[str, object], copy: Path, size: int, mtu: int, show_bar: bool
) -> Figures:
    host, port, pin = str(hello["host"]), int(str(hello["port"])), str(hello["pin"])
    settings = Settings(max_udp_payload=mtu)
    with _progress(show_bar) as bar:
        task = bar.add_task("fetching", total=size)
        async with connect(host, port, alpn=ALPN, pin=pin, **settings) as connection:
            meter = Meter("client")
            meter.add([connection], sign=-1)
            async with await connection.open_stream() as stream:
                await stream.send(PROTOCOL_REQUEST)
                await stream.send_eof()
                with copy.open("wb", buffering=0) as file:
                    try:
                        while True:
                            # Writing to a file blocks, but only as long as a memory copy.
                            data = await stream.receive(CHUNK)
                            file.write(data)
                            meter.bytes_received += len(data)
                            bar.update(task, completed=meter.bytes_received)
                    except EndOfStream:
                        meter.stop()
            meter.add([connection])
    return meter.figures()


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Server:
    """The other process, which writes lines of JSON."""

    def __init__(self, process: Process) -> None:
        if process.stdout is None or process.stderr is None:
            raise RuntimeError("the server's output is not piped")
        self._lines = BufferedByteReceiveStream(process.stdout)
        self._errors = process.stderr

    async def read(self, complaint: str, timeout: float) -> dict[str, object]:
        """The next line. :exc:`Failure` when none comes."""
        try:
            with anyio.fail_after(timeout):
                line = await self._lines.receive_until(b"\n", _LINE_LIMIT)
        except (anyio.IncompleteRead, TimeoutError, EndOfStream):
            words = b""
            with anyio.move_on_after(1):
                words = await self._errors.receive()
            said = words.decode(errors="replace").strip().splitlines()
            raise Failure(
                f"the demo's server process failed: {complaint}"
                + (f" ({said[-1]})" if said else "")
            ) from None
        message: dict[str, object] = json.loads(line)
        return message


@asynccontextmanager
async def _server_process(file: Path, size: int, mtu: int) -> AsyncIterator[_Server]:
    command = [sys.executable, "-m", "ropewalk.cli.demo_server", str(file), str(size), str(mtu)]
    process = await anyio.open_process(command)
    try:
        yield _Server(process)
    finally:
        # The server ends when its standard input does.
        with anyio.CancelScope(shield=True):
            if process.stdin is not None:
                await process.stdin.aclose()
            with anyio.move_on_after(10):
                await process.wait()
            if process.returncode is None:
                process.kill()
            await process.aclose()


def _progress(visible: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not visible,
        refresh_per_second=5,
    )


def _print(outcome: Outcome) -> None:
    console = Console()
    client, server = outcome.client.as_json(), outcome.server
    table = Table("")
    for side in ("client", "server"):
        table.add_column(side, justify="right")
    for name, label, form in (
        ("gbit_per_second", "Gbit/s", ",.3f"),
        ("seconds", "seconds", ",.3f"),
        ("packets_sent", "packets sent", ",d"),
        ("packets_received", "packets received", ",d"),
        ("retransmissions", "retransmissions", ",d"),
        ("cpu_us_per_packet", "CPU per packet, µs", ",.2f"),
    ):
        table.add_row(label, format(client[name], form), format(server[name], form))
    console.print(_build.describe(), soft_wrap=True, highlight=False)
    console.print(table)
    if outcome.intact:
        console.print("The file arrived intact. SHA-256:")
        console.print(outcome.received_sha256, soft_wrap=True, highlight=False)
