"""The HTTP/3 client and server on loopback, as the tests of ``http`` have them."""

from tests.http.conftest import anyio_backend, made, site

__all__ = ["anyio_backend", "made", "site"]
