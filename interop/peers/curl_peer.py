"""curl_cffi, libcurl with ngtcp2, as a client of the HTTP/3 cases.

Only HTTP/3 is allowed, so nothing can fall back to TCP unseen. Prints one JSON line with what
it saw, like every client of these cases. Runs in the peers' own environment.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

import curl_cffi
from curl_cffi.const import CurlHttpVersion, CurlOpt
from pattern import digest
from raw_peer import say


async def fetch(arguments: argparse.Namespace) -> None:
    """Ask as often as the case wants, over one session."""
    body = Path(arguments.upload).read_bytes() if arguments.upload else None
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    url = f"https://{host}:{arguments.port}{arguments.path}"
    options = {"http_version": "v3only", "timeout": arguments.timeout, "verify": arguments.ca}
    if arguments.impersonate:
        options["impersonate"] = arguments.impersonate
    places = asyncio.Semaphore(arguments.parallel)
    # Wait for the first connection to multiplex on, rather than open one for each request.
    wait = {CurlOpt.PIPEWAIT: 1}
    async with curl_cffi.AsyncSession(max_clients=arguments.parallel, curl_options=wait) as session:

        async def one(number: int) -> Any:
            async with places:
                query = f"?n={number}" if arguments.count > 1 else ""
                return await session.request(arguments.method, url + query, data=body, **options)

        answers = await asyncio.gather(*(one(n) for n in range(arguments.count)))
    first = answers[0]
    spoken = {answer.http_version for answer in answers}
    say(
        protocol="h3" if spoken <= {CurlHttpVersion.V3, CurlHttpVersion.V3ONLY} else str(spoken),
        completed=len(answers),
        alike=len({(answer.status_code, digest(answer.content)) for answer in answers}) == 1,
        status=first.status_code,
        bytes=len(first.content),
        content_length=first.headers.get("content-length", ""),
        sha256=digest(first.content),
        body=first.content[:80].decode("ascii", "replace"),
    )
    say(closed=True)


def main() -> int:
    """Command line of the runner."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ca", required=True)
    parser.add_argument("--path", default="/")
    parser.add_argument("--method", default="GET")
    parser.add_argument("--upload", default="")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--impersonate", default="")
    parser.add_argument("--timeout", type=float, default=60.0)
    asyncio.run(fetch(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
