"""A folder over HTTP/3: types, conditions, ranges, pages, and what must stay inside."""

from __future__ import annotations

import io
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import anyio
import pytest

import ropewalk
from ropewalk.http import Client
from ropewalk.http.files import StaticFiles, content_type

from .conftest import BOUND, Site

pytestmark = pytest.mark.anyio

ALPHABET = b"abcdefghijklmnopqrstuvwxyz"

Folder = Callable[[], AbstractAsyncContextManager[Client]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "with index").mkdir()
    (root / "with index" / "index.html").write_text("<p>the index")
    (root / "alphabet.txt").write_bytes(ALPHABET)
    (root / "empty.css").touch()
    (root / ".hidden").write_text("secret")
    (root / "visible").symlink_to(".hidden")
    (root / ".folder").mkdir()
    (root / ".folder" / "in.txt").write_text("secret")
    (root / "visible folder").symlink_to(".folder")
    (root / ".well-known").mkdir()
    (root / ".well-known" / "security.txt").write_text("contact")
    (root / "sub" / "<b>&.txt").write_text("odd")
    (root / "sub" / "file 10.txt").write_text("ten")
    (root / "sub" / "file 9.txt").write_text("nine")
    (root / "sub" / "ünï.txt").write_text("more than ascii")
    (tmp_path / "outside.txt").write_text("secret")
    (root / "escape.txt").symlink_to(tmp_path / "outside.txt")
    (root / "escape").symlink_to(tmp_path)
    (root / "inside.txt").symlink_to("alphabet.txt")
    (root / "broken").symlink_to("nowhere")
    os.mkfifo(root / "fifo")
    return root


@pytest.fixture
def folder(root: Path, site: Site) -> Folder:
    @asynccontextmanager
    async def joined() -> AsyncIterator[Client]:
        with anyio.fail_after(BOUND):
            async with site(StaticFiles(root)) as (client, _):
                yield client

    return joined


async def test_files_come_with_type_length_and_validators(folder: Folder) -> None:
    async with folder() as client:
        response = await client.get("/alphabet.txt?query=ignored")
        assert await response.read() == ALPHABET
        assert response.status == 200
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        assert response.headers["content-length"] == "26"
        assert response.headers["accept-ranges"] == "bytes"
        assert response.headers["etag"].startswith('"')
        assert response.headers["last-modified"].endswith(" GMT")
        empty = await client.get("/empty.css")
        assert (empty.status, await empty.read()) == (200, b"")
        assert empty.headers["content-type"] == "text/css; charset=utf-8"


async def test_head_tells_the_length_without_the_file(folder: Folder) -> None:
    async with folder() as client:
        response = await client.request("HEAD", "/alphabet.txt")
        assert response.status == 200
        assert response.headers["content-length"] == "26"
        assert await response.read() == b""


async def test_a_large_file_arrives_whole(root: Path, folder: Folder) -> None:
    content = os.urandom(3_000_001)
    (root / "large.bin").write_bytes(content)
    async with folder() as client:
        assert await (await client.get("/large.bin")).read() == content


async def test_what_the_client_has_is_not_sent_again(folder: Folder) -> None:
    async with folder() as client:
        headers = (await client.get("/alphabet.txt")).headers
        for condition in (
            {"if-none-match": headers["etag"]},
            {"if-none-match": f'"other", W/{headers["etag"]}'},
            {"if-none-match": "*"},
            {"if-modified-since": headers["last-modified"]},
        ):
            response = await client.get("/alphabet.txt", headers=condition)
            assert response.status == 304, condition
            assert await response.read() == b""
            assert response.headers["etag"] == headers["etag"]
        for condition in (
            {"if-none-match": '"other"'},
            {"if-none-match": '"other"', "if-modified-since": headers["last-modified"]},
            {"if-modified-since": "Thu, 01 Jan 2015 00:00:00 GMT"},
            {"if-modified-since": "not a date"},
        ):
            assert (await client.get("/alphabet.txt", headers=condition)).status == 200, condition


async def test_a_request_for_another_state_of_the_file_is_refused(folder: Folder) -> None:
    """RFC 9110 13.1.1, 13.1.4; what comes before what: 13.2.2."""
    long_ago = "Thu, 01 Jan 2015 00:00:00 GMT"
    async with folder() as client:
        known = (await client.get("/alphabet.txt")).headers
        etag, modified = known["etag"], known["last-modified"]
        conditions: list[tuple[dict[str, str], int]] = [
            ({"if-match": '"other"'}, 412),
            ({"if-match": f"W/{etag}"}, 412),  # the strong comparison
            ({"if-match": etag}, 200),
            ({"if-match": f'"other", {etag}'}, 200),
            ({"if-match": "*"}, 200),
            ({"if-unmodified-since": long_ago}, 412),
            ({"if-unmodified-since": modified}, 200),
            ({"if-unmodified-since": "not a date"}, 200),
            ({"if-match": etag, "if-unmodified-since": long_ago}, 200),
            ({"if-match": '"other"', "if-none-match": etag}, 412),
            ({"if-match": etag, "if-none-match": etag}, 304),
            ({"if-unmodified-since": long_ago, "if-modified-since": modified}, 412),
            ({"if-match": '"other"', "range": "bytes=0-0"}, 412),
            ({"if-match": etag, "range": "bytes=0-0"}, 206),
        ]
        for condition, status in conditions:
            for method in ("GET", "HEAD"):
                response = await client.request(method, "/alphabet.txt", headers=condition)
                await response.read()
                wanted = 200 if (method, status) == ("HEAD", 206) else status
                assert response.status == wanted, (method, condition)


@pytest.mark.parametrize(
    ("asked", "got", "told"),
    [
        ("bytes=0-3", b"abcd", "bytes 0-3/26"),
        ("bytes=24-", b"yz", "bytes 24-25/26"),
        ("bytes=-3", b"xyz", "bytes 23-25/26"),
        ("bytes=-100", ALPHABET, "bytes 0-25/26"),
        ("bytes=20-100", b"uvwxyz", "bytes 20-25/26"),
        ("bytes=1-1,90-", b"b", "bytes 1-1/26"),
    ],
)
async def test_a_range_is_a_part(folder: Folder, asked: str, got: bytes, told: str) -> None:
    async with folder() as client:
        response = await client.get("/alphabet.txt", headers={"range": asked})
        assert response.status == 206
        assert await response.read() == got
        assert response.headers["content-range"] == told
        assert response.headers["content-length"] == str(len(got))


async def test_several_ranges_are_parts_of_one_answer(folder: Folder) -> None:
    async with folder() as client:
        response = await client.get("/alphabet.txt", headers={"range": "bytes=0-1, 24-"})
        assert response.status == 206
        body = await response.read()
        assert response.headers["content-length"] == str(len(body))
        match = re.fullmatch(
            "multipart/byteranges; boundary=([0-9a-f]+)", response.headers["content-type"]
        )
        assert match is not None
        _, first, second, end = body.split(b"--" + match[1].encode())
        assert first.endswith(b"content-range: bytes 0-1/26\r\n\r\nab\r\n")
        assert second.endswith(b"content-range: bytes 24-25/26\r\n\r\nyz\r\n")
        assert end == b"--\r\n"


async def test_ranges_beyond_the_end_are_refused(folder: Folder) -> None:
    async with folder() as client:
        for asked in ("bytes=26-", "bytes=100-200", "bytes=-0"):
            response = await client.get("/alphabet.txt", headers={"range": asked})
            assert response.status == 416, asked
            assert response.headers["content-range"] == "bytes */26"


async def test_if_range_falls_back_to_the_whole_file(folder: Folder) -> None:
    async with folder() as client:
        known = (await client.get("/alphabet.txt")).headers
        for validator in (known["etag"], known["last-modified"]):
            headers = {"range": "bytes=0-0", "if-range": validator}
            assert (await client.get("/alphabet.txt", headers=headers)).status == 206
        for validator in ('"other"', "Thu, 01 Jan 2015 00:00:00 GMT"):
            headers = {"range": "bytes=0-0", "if-range": validator}
            assert (await client.get("/alphabet.txt", headers=headers)).status == 200


async def test_a_folder_is_a_page_with_its_names_escaped(folder: Folder) -> None:
    async with folder() as client:
        response = await client.get("/sub/")
        page = (await response.read()).decode()
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert "&lt;b&gt;&amp;.txt" in page
        assert "<b>&" not in page
        assert page.index("deep/") < page.index("file 9.txt") < page.index("file 10.txt")
        for link in re.findall(r'href="(\./[^"/]+)"', page):
            assert (await client.get(f"/sub/{link[2:]}")).status == 200, link


async def test_the_page_lists_nothing_that_is_not_served(folder: Folder) -> None:
    async with folder() as client:
        page = (await (await client.get("/")).read()).decode()
        for name in (".hidden", "visible", "escape", "broken", "fifo"):
            assert name not in page
        assert "inside.txt" in page
        assert ".well-known" in page


async def test_an_index_stands_for_its_folder(folder: Folder) -> None:
    async with folder() as client:
        response = await client.get("/with%20index/")
        assert await response.read() == b"<p>the index"
        assert response.headers["content-type"] == "text/html; charset=utf-8"


async def test_a_folder_without_its_slash_is_elsewhere(folder: Folder) -> None:
    async with folder() as client:
        response = await client.get("/with%20index?a=b")
        assert response.status == 301
        assert response.headers["location"] == "./with%20index/?a=b"
        # A path that looks like another host's must not lead there.
        assert (await client.get("//sub")).headers["location"] == "./sub/"


async def test_a_folder_whose_name_is_not_utf8_is_elsewhere_too(root: Path, folder: Folder) -> None:
    os.mkdir(os.fsencode(root) + b"/\xff\xfe")
    async with folder() as client:
        response = await client.get("/%ff%fe")
        assert (response.status, response.headers["location"]) == (301, "./%FF%FE/")
        assert (await client.get("/%ff%fe/")).status == 200


async def test_a_dot_at_the_end_is_the_folder_itself(folder: Folder) -> None:
    async with folder() as client:
        for path in ("/.", "/sub/.", "/sub/%2e"):
            assert (await client.get(path)).status == 200, path


@pytest.mark.parametrize(
    "path",
    [
        "/../outside.txt",
        "/sub/../../outside.txt",
        "/%2e%2e/outside.txt",
        "/sub/%2e%2e/%2e%2e/outside.txt",
        "/..%2foutside.txt",
        "/%2e%2e%2foutside.txt",
        "/sub%2f..%2f..%2foutside.txt",
        "//../outside.txt",
        "/escape.txt",
        "/escape/outside.txt",
        "/escape/",
        "/escape",
        "/.hidden",
        "/visible",
        "/visible%20folder/in.txt",
        "/visible%20folder/",
        "/%2ehidden",
        "/broken",
        "/fifo",
        "/nothing",
        "/alphabet.txt/",
        "/alphabet.txt/more",
        "/alphabet.txt%00",
        "/%00",
        "/%ff%fe",
        "/" + "a" * 5000,
    ],
)
async def test_what_is_outside_hidden_or_nothing_is_not_found(folder: Folder, path: str) -> None:
    async with folder() as client:
        response = await client.get(path)
        assert response.status == 404, path
        assert b"secret" not in await response.read()


async def test_links_and_well_known_names_inside_are_served(folder: Folder) -> None:
    async with folder() as client:
        assert await (await client.get("/inside.txt")).read() == ALPHABET
        assert await (await client.get("/.well-known/security.txt")).read() == b"contact"
        assert await (await client.get("/sub/%C3%BCn%C3%AF.txt")).read() == b"more than ascii"


async def test_other_methods_are_told_what_is_allowed(folder: Folder) -> None:
    async with folder() as client:
        for method, status in (("POST", 405), ("DELETE", 405), ("OPTIONS", 204)):
            response = await client.request(method, "/alphabet.txt")
            assert response.status == status
            assert response.headers["allow"] == "GET, HEAD, OPTIONS"


async def test_no_file_stays_open(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[io.FileIO] = []
    fdopen = os.fdopen

    def recording(descriptor: int, mode: str, buffering: int) -> io.FileIO:
        opened.append(fdopen(descriptor, mode, buffering))
        return opened[-1]

    monkeypatch.setattr(os, "fdopen", recording)
    async with folder() as client:
        for method, headers in (
            ("GET", {}),
            ("HEAD", {}),
            ("HEAD", {"range": "bytes=0-0"}),
            ("GET", {"if-none-match": "*"}),
            ("GET", {"range": "bytes=0-0"}),
            ("GET", {"range": "bytes=99-"}),
        ):
            response = await client.request(method, "/alphabet.txt", headers=headers)
            await response.read()
        assert len(opened) == 6
        while not all(file.closed for file in opened):
            await anyio.sleep(0.01)


async def test_a_root_that_cannot_be_served_is_told(tmp_path: Path) -> None:
    with pytest.raises(ropewalk.ConfigurationError, match="name a folder"):
        StaticFiles(tmp_path / "missing")
    (tmp_path / "file").touch()
    with pytest.raises(ropewalk.ConfigurationError, match="name a folder"):
        StaticFiles(tmp_path / "file")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.html", "text/html; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.json", "application/json; charset=utf-8"),
        ("a.svg", "image/svg+xml; charset=utf-8"),
        ("a.png", "image/png"),
        ("a.wasm", "application/wasm"),
        ("a.woff2", "font/woff2"),
        ("a.tar.gz", "application/gzip"),
        ("README", "application/octet-stream"),
    ],
)
async def test_types_follow_from_names(name: str, kind: str) -> None:
    assert content_type(name) == kind
