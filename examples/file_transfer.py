"""Send a file: `file_transfer.py serve FILE`, then `file_transfer.py fetch PORT PIN COPY`."""

import sys
from pathlib import Path

import anyio

import ropewalk
from ropewalk.runtime.certificates import make_certificate


async def serve(file: str) -> None:
    async def send(connection: ropewalk.Connection) -> None:
        async with await connection.open_stream(bidirectional=False) as stream:
            await stream.send(Path(file).read_bytes())

    made = make_certificate(["localhost"])
    cert, key = made.cert_pem, made.key_pem
    async with ropewalk.serve(send, "localhost", 0, alpn="f", certificate=cert, key=key) as server:
        print(server.address.port, made.spki_sha256.hex(), flush=True)
        await anyio.sleep_forever()


async def fetch(port: str, pin: str, copy: str) -> None:
    async with ropewalk.connect("localhost", int(port), alpn="f", pin=pin) as connection:
        stream = await connection.accept_stream(bidirectional=False)
        Path(copy).write_bytes(b"".join([data async for data in stream]))


anyio.run({"serve": serve, "fetch": fetch}[sys.argv[1]], *sys.argv[2:])
