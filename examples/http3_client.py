"""Fetch pages over HTTP/3, all at once on one connection: `http3_client.py PORT PIN PATH...`."""

import sys

import anyio

import ropewalk


async def fetch(client: ropewalk.http.Client, path: str) -> None:
    async with await client.get(path) as response:
        size = 0
        async for data in response:
            size += len(data)
    print(response.status, size, path)


async def main(port: str, pin: str, *paths: str) -> None:
    async with (
        ropewalk.http3_client("localhost", int(port), pin=pin) as client,
        anyio.create_task_group() as requests,
    ):
        for path in paths:
            requests.start_soon(fetch, client, path)


anyio.run(main, *sys.argv[1:])
