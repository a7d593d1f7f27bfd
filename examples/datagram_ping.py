"""Measure round trips with unreliable datagrams."""

import time

import anyio

import ropewalk
from ropewalk.runtime.certificates import make_certificate


async def reflect(connection: ropewalk.Connection) -> None:
    while True:
        await connection.send_datagrams(await connection.receive_datagrams())


async def main() -> None:
    made = make_certificate(["localhost"])
    cert, key = made.cert_pem, made.key_pem
    async with (
        ropewalk.serve(reflect, "localhost", 0, alpn="ping", certificate=cert, key=key) as server,
        ropewalk.connect("localhost", server.address.port, alpn="ping", ca=cert) as connection,
    ):
        for number in range(5):
            sent = time.perf_counter()
            await connection.send_datagrams([b"%d" % number])
            (answer,) = await connection.receive_datagrams()
            print(f"ping {answer.decode()}: {(time.perf_counter() - sent) * 1e6:.0f} µs")


anyio.run(main)
