"""Serve a folder over HTTP/3, with one page that is made on request: `file_server.py FOLDER`."""

import sys

import anyio

import ropewalk
from ropewalk.http import Request, Response
from ropewalk.http.files import StaticFiles
from ropewalk.runtime.certificates import make_certificate


async def main(folder: str) -> None:
    files = StaticFiles(folder)

    async def handle(request: Request) -> Response:
        if request.path == "/whoami":
            return Response(200, {"content-type": "text/plain"}, f"{request.client.ip}\n")
        return await files(request)

    made = make_certificate(["localhost"])
    cert, key = made.cert_pem, made.key_pem
    async with ropewalk.serve_http(handle, "localhost", 0, certificate=cert, key=key) as server:
        print(server.address.port, made.spki_sha256.hex(), flush=True)
        await anyio.sleep_forever()


anyio.run(main, *sys.argv[1:])
