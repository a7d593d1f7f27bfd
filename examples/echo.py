"""Echo over QUIC: a server and a client in one program."""

import anyio

import ropewalk
from ropewalk.runtime.certificates import make_certificate


async def echo(connection: ropewalk.Connection) -> None:
    async for stream in connection:
        async with stream:
            async for data in stream:
                await stream.send(data)


async def main() -> None:
    made = make_certificate(["localhost"])
    async with (
        ropewalk.serve(
            echo, "localhost", 0, alpn="echo", certificate=made.cert_pem, key=made.key_pem
        ) as server,
        ropewalk.connect("localhost", server.address.port, alpn="echo", ca=made.cert_pem) as client,
        await client.open_stream() as stream,
    ):
        await stream.send(b"A strand alone is weak; laid together they hold.")
        await stream.send_eof()
        print(b"".join([data async for data in stream]).decode())


anyio.run(main)
