"""The demo's server process: makes a file, serves it once, reports, and ends.

Run by :mod:`ropewalk.cli.demo` as ``python -m ropewalk.cli.demo_server FILE SIZE MTU``. It
writes two lines of JSON, where to connect and the figures, and ends with its standard input.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Final

import anyio
from anyio import to_thread

from ropewalk.cli.figures import Meter
from ropewalk.quic.types.errors import ApplicationError, Error
from ropewalk.runtime import Connection, Settings, serve
from ropewalk.runtime.certificates import make_certificate

ALPN: Final = "ropewalk-demo"
PROTOCOL_REQUEST: Final = b"file, please\n"
#: One read of the file, one write to the stream, and the most that one receive takes.
CHUNK: Final = 256 * 1024
_HOST: Final = "127.0.0.1"
_PIECE: Final = 1 << 20


async def run(path: Path, size: int, mtu: int) -> None:
    """Serve the file until standard input ends."""
    digest = await to_thread.run_sync(make_file, path, size)
    made = make_certificate([_HOST, "localhost"])

    async def handle(connection: Connection) -> None:
        meter = Meter("server")
        stream = await connection.accept_stream()
        request = b""
        while len(request) < len(PROTOCOL_REQUEST):
            request += await stream.receive(len(PROTOCOL_REQUEST))
        if request != PROTOCOL_REQUEST:
            raise ApplicationError(1, "the request is not the demo's")
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(CHUNK):
                await stream.send(chunk)
                meter.bytes_sent += len(chunk)
        await stream.send_eof()
        await connection.flush()
        meter.stop()
        meter.add([connection])
        _tell(meter.figures().as_json())
        await connection.wait_closed()

    async with serve(
        handle,
        _HOST,
        0,
        alpn=ALPN,
        certificate=made.cert_pem,
        key=made.key_pem,
        **Settings(max_udp_payload=mtu),
    ) as server:
        _tell(
            {
                "host": _HOST,
                "port": server.address.port,
                "pin": made.spki_sha256.hex(),
                "sha256": digest,
            }
        )
        await to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)


def make_file(path: Path, size: int) -> str:
    """Write random bytes; returns their SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        while size > 0:
            piece = os.urandom(min(size, _PIECE))
            file.write(piece)
            digest.update(piece)
            size -= len(piece)
    return digest.hexdigest()


def _tell(message: dict[str, object]) -> None:
    print(json.dumps(message), flush=True)


def main() -> None:
    """Entry point of the process."""
    path, size, mtu = sys.argv[1:]
    try:
        anyio.run(run, Path(path), int(size), int(mtu))
    except (Error, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
