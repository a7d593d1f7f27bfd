"""Echo over QUIC, both sides in one program; `echo.py serve` is the server for another client."""

import sys

import anyio

import ropewalk.runtime.certificates


async def echo(connection: ropewalk.Connection) -> None:
    async for stream in connection:
        async with stream:
            async for data in stream:
                await stream.send(data)


async def main(port: int) -> None:
    made = ropewalk.runtime.certificates.make_certificate(["127.0.0.1"])
    ca, key = made.cert_pem, made.key_pem
    async with ropewalk.serve(echo, "127.0.0.1", port, alpn="echo", certificate=ca, key=key) as up:
        if port and await anyio.Path("ca.pem").write_bytes(ca):
            print(f"listening at {up.address}; clients trust ca.pem", flush=True)
            await anyio.sleep_forever()
        async with ropewalk.connect("127.0.0.1", up.address.port, alpn="echo", ca=ca) as client:
            stream = await client.open_stream()
            await stream.send(b"A strand alone is weak; laid together they hold.")
            print((await stream.receive()).decode())


anyio.run(main, 4433 if sys.argv[1:] == ["serve"] else 0)
