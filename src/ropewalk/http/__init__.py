"""HTTP/3 under structured concurrency: a client, a server and static files.

:func:`http3_client` and :func:`serve_http` are asynchronous context managers, as ``connect``
and ``serve`` are; the protocol itself is in :mod:`ropewalk.http3`.
"""

from __future__ import annotations

from ropewalk.http.client import Client, http3_client
from ropewalk.http.client import Response as ClientResponse
from ropewalk.http.errors import RequestFailed
from ropewalk.http.headers import Headers
from ropewalk.http.server import Request, Response, serve_http

__all__ = [
    "Client",
    "ClientResponse",
    "Headers",
    "Request",
    "RequestFailed",
    "Response",
    "http3_client",
    "serve_http",
]
