"""Static files: a handler that serves a folder (RFC 9110 8, 13, 14)."""

from __future__ import annotations

import errno
import mimetypes
import os
import secrets
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO, Final, final
from urllib.parse import quote, unquote_to_bytes

from anyio import to_thread
from anyio.lowlevel import cancel_shielded_checkpoint

from ropewalk.http.listing import directory_page
from ropewalk.http.ranges import parse_range
from ropewalk.http.server import Request, Response
from ropewalk.quic.types.errors import ConfigurationError

#: One read of the file, and one write to the stream.
_CHUNK: Final = 256 * 1024
#: The one hidden name that is meant to be fetched (RFC 8615).
_WELL_KNOWN: Final = ".well-known"
_INDEX: Final = "index.html"
_ALLOW: Final = "GET, HEAD, OPTIONS"

# The system's own tables are left out, so that the answer is the same on every machine.
_types = mimetypes.MimeTypes(filenames=())
for _type, _suffix in (
    ("application/manifest+json", ".webmanifest"),
    ("application/wasm", ".wasm"),
    ("application/x-ndjson", ".ndjson"),
    ("font/otf", ".otf"),
    ("font/ttf", ".ttf"),
    ("font/woff", ".woff"),
    ("font/woff2", ".woff2"),
    ("image/avif", ".avif"),
    ("image/svg+xml", ".svg"),
    ("image/webp", ".webp"),
    ("text/javascript", ".js"),
    ("text/javascript", ".mjs"),
    ("text/markdown", ".md"),
    ("text/plain", ".log"),
    ("text/plain", ".toml"),
    ("text/plain", ".yaml"),
    ("text/plain", ".yml"),
    ("text/x-python", ".py"),
):
    _types.add_type(_type, _suffix)
_TEXT: Final = ("application/json", "application/xml", "image/svg+xml")
_COMPRESSED: Final = {
    "gzip": "application/gzip",
    "bzip2": "application/x-bzip2",
    "xz": "application/x-xz",
    "br": "application/octet-stream",
    "compress": "application/octet-stream",
}


def content_type(name: str) -> str:
    """The media type by a file's name; text is taken to be UTF-8."""
    kind, encoding = _types.guess_type(name)
    if encoding is not None:
        # The file as it lies there is what is served, not what it unpacks to.
        return _COMPRESSED.get(encoding, "application/octet-stream")
    if kind is None:
        return "application/octet-stream"
    if kind.startswith("text/") or kind in _TEXT:
        return f"{kind}; charset=utf-8"
    return kind


@dataclass(frozen=True)
class _Found:
    """An open file or the names in a folder; neither for what is not there."""

    file: BinaryIO | None = None
    status: os.stat_result | None = None
    name: str = ""
    page: bytes | None = None
    moved: bool = False


@final
class StaticFiles:
    """A handler for :func:`serve_http` that serves what is below ``root``.

    GET and HEAD with conditions and ranges; folders by their index.html, or by a page that
    lists them. Names that begin with a dot are neither served nor listed (except
    .well-known), nor is anything that a symbolic link puts outside of ``root`` or takes from
    such a name.

    Raises ``ConfigurationError`` when ``root`` is not a folder that can be read.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        try:
            self._root = Path(root).resolve(strict=True)
            os.scandir(self._root).close()
        except OSError as error:
            raise ConfigurationError(
                f"cannot serve {os.fspath(root)!r}: {error.strerror}; "
                "name a folder that this user may read"
            ) from error

    @property
    def root(self) -> Path:
        """The folder, without symbolic links in its path."""
        return self._root

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        if request.method == "OPTIONS":
            return Response(204, {"allow": _ALLOW})
        if request.method not in ("GET", "HEAD"):
            return _plain(405, "Only GET and HEAD are served here.", {"allow": _ALLOW})
        segments = _segments(request.path)
        if segments is None:
            return _plain(404, "There is nothing of that name.")
        last = request.path.rpartition("/")[2]
        folder = unquote_to_bytes(last) in (b"", b".")
        found = await to_thread.run_sync(self._look, segments, folder)
        if found.moved:
            query = f"?{request.query}" if request.query else ""
            name = quote(segments[-1], errors="surrogateescape")
            return _plain(301, "This is a folder.", {"location": f"./{name}/{query}"})
        if found.page is not None:
            return _page(found.page)
        if found.file is None or found.status is None:
            return _plain(404, "There is nothing of that name.")
        handed_on = False
        try:
            response = _respond(request, found.file, found.status, found.name)
            handed_on = not isinstance(response.body, (bytes, str))
            return response
        finally:
            if not handed_on:
                found.file.close()

    # -- in a worker thread

    def _look(self, segments: list[str], folder: bool) -> _Found:
        path = self._inside(self._root.joinpath(*segments))
        if path is None:
            return _Found()
        if path.is_dir():
            if not folder:
                return _Found(moved=True)
            index = self._inside(path / _INDEX)
            if index is None or not index.is_file():
                return _Found(page=self._list(path, segments))
            path = index
        elif folder:
            return _Found()
        try:
            # Without O_NONBLOCK a FIFO would hold the thread for ever; without O_NOFOLLOW the
            # link that was resolved above could have been exchanged for another one.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO):
                return _Found()
            raise
        file = os.fdopen(descriptor, "rb", buffering=0)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            file.close()
            return _Found()
        return _Found(file, status, path.name)

    def _inside(self, path: Path) -> Path | None:
        """The path without symbolic links; None where it is not there, not below the root, or
        hidden."""
        try:
            resolved = path.resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            return None
        if not resolved.is_relative_to(self._root):
            return None
        hidden = any(map(_is_hidden, resolved.relative_to(self._root).parts))
        return None if hidden else resolved

    def _list(self, path: Path, segments: list[str]) -> bytes | None:
        entries: list[tuple[str, bool, int, float]] = []
        try:
            with os.scandir(path) as listed:
                for entry in listed:
                    if _is_hidden(entry.name) or self._inside(Path(entry.path)) is None:
                        continue
                    try:
                        status = entry.stat()
                    except OSError:
                        continue
                    is_folder = entry.is_dir()
                    if is_folder or stat.S_ISREG(status.st_mode):
                        entries.append((entry.name, is_folder, status.st_size, status.st_mtime))
        except OSError:
            return None
        return directory_page(segments, entries).encode("utf-8", "surrogateescape")


def _segments(path: str) -> list[str] | None:
    """The decoded names of a path; None for one that cannot be meant.

    Names are taken apart before they are decoded, so that an encoded slash or dot gains
    nothing.
    """
    if not path.startswith("/"):
        return None
    names: list[str] = []
    for segment in path.split("/"):
        name = os.fsdecode(unquote_to_bytes(segment))
        if name in ("", "."):
            continue
        if name == ".." or "/" in name or "\0" in name or _is_hidden(name):
            return None
        names.append(name)
    return names


def _is_hidden(name: str) -> bool:
    return name.startswith(".") and name != _WELL_KNOWN


def _respond(request: Request, file: BinaryIO, status: os.stat_result, name: str) -> Response:
    size = status.st_size
    etag = f'"{status.st_mtime_ns:x}-{size:x}"'
    headers = {
        "last-modified": formatdate(int(status.st_mtime), usegmt=True),
        "etag": etag,
        "accept-ranges": "bytes",
        "x-content-type-options": "nosniff",
    }
    if not _is_as_wanted(request, etag, status.st_mtime):
        return _plain(412, "The file is not in the state that was asked for.")
    if _is_unchanged(request, etag, status.st_mtime):
        return Response(304, headers)
    kind = content_type(name)
    ranges: list[tuple[int, int]] | None = None
    wanted = request.headers.get("range")
    if (
        wanted is not None
        and request.method == "GET"
        and _range_still_holds(request, etag, headers["last-modified"])
    ):
        ranges = parse_range(wanted, size)
    if ranges is None:
        headers |= {"content-type": kind, "content-length": str(size)}
        if request.method == "HEAD":
            return Response(200, headers)
        return Response(200, headers, _FileBody(file, [(b"", 0, size)]))
    if not ranges:
        return _plain(
            416, "The file does not have these bytes.", {"content-range": f"bytes */{size}"}
        )
    if len(ranges) == 1:
        start, stop = ranges[0]
        headers |= {
            "content-type": kind,
            "content-length": str(stop - start),
            "content-range": f"bytes {start}-{stop - 1}/{size}",
        }
        return Response(206, headers, _FileBody(file, [(b"", start, stop)]))
    boundary = secrets.token_hex(16)
    parts = [
        (
            f"--{boundary}\r\ncontent-type: {kind}\r\n"
            f"content-range: bytes {start}-{stop - 1}/{size}\r\n\r\n".encode(),
            start,
            stop,
        )
        for start, stop in ranges
    ]
    last = f"--{boundary}--\r\n".encode()
    length = sum(len(head) + stop - start + 2 for head, start, stop in parts) + len(last)
    headers |= {
        "content-type": f"multipart/byteranges; boundary={boundary}",
        "content-length": str(length),
    }
    return Response(206, headers, _FileBody(file, parts, last))


def _is_as_wanted(request: Request, etag: str, modified: float) -> bool:
    """Whether the file is what the request is meant for (RFC 9110 13.1.1, 13.1.4, 13.2.2)."""
    tags = request.headers.get("if-match")
    if tags is not None:
        # The strong comparison: a weak tag matches nothing.
        listed = [tag.strip() for tag in tags.split(",")]
        return "*" in listed or etag in listed
    since = _date(request.headers.get("if-unmodified-since"))
    return since is None or int(modified) <= since


def _is_unchanged(request: Request, etag: str, modified: float) -> bool:
    """Whether the client's copy is good (RFC 9110 13.1.2, 13.1.3, 13.2.2)."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        listed = [tag.strip().removeprefix("W/") for tag in tags.split(",")]
        return "*" in listed or etag in listed
    since = _date(request.headers.get("if-modified-since"))
    return since is not None and int(modified) <= since


def _date(given: str | None) -> float | None:
    """The time in a field; None for none, or one that is to be ignored as it is no date."""
    if given is None:
        return None
    try:
        return parsedate_to_datetime(given).timestamp()
    except (ValueError, OverflowError):
        return None


def _range_still_holds(request: Request, etag: str, modified: str) -> bool:
    """If-Range: the range counts only while the file is the one the client knows (13.1.5)."""
    condition = request.headers.get("if-range")
    return condition is None or condition in (etag, modified)


@final
class _FileBody(AsyncIterator[bytes]):
    """Parts of a file, each behind its head, and the last words.

    Not a generator: one that never started would not close its file.
    """

    def __init__(
        self, file: BinaryIO, parts: list[tuple[bytes, int, int]], last: bytes = b""
    ) -> None:
        self._file = file
        self._parts = iter(parts)
        self._last = last
        self._position = 0
        self._stop = 0
        self._tail = b""

    async def __anext__(self) -> bytes:
        if self._position < self._stop:
            wanted = min(_CHUNK, self._stop - self._position)
            data = await to_thread.run_sync(self._pread, self._position, wanted)
            if not data:
                raise OSError(errno.EIO, "the file became shorter while it was sent")
            self._position += len(data)
            return data
        between, self._tail = self._tail, b""
        part = next(self._parts, None)
        if part is not None:
            head, self._position, self._stop = part
            if head:
                self._tail = b"\r\n"
                return between + head
            return await self.__anext__() if self._position < self._stop else b""
        last, self._last = self._last, b""
        if between or last:
            return between + last
        raise StopAsyncIteration

    def _pread(self, position: int, size: int) -> bytes:
        return os.pread(self._file.fileno(), size, position)

    async def aclose(self) -> None:
        """Close the file."""
        self._file.close()
        await cancel_shielded_checkpoint()


def _page(page: bytes) -> Response:
    return Response(
        200,
        {
            "content-type": "text/html; charset=utf-8",
            "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
            "cache-control": "no-cache",
        },
        page,
    )


def _plain(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return Response(
        status, {"content-type": "text/plain; charset=utf-8", **(headers or {})}, f"{text}\n"
    )
