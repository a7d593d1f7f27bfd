"""Where a target starts: the corpora of other stacks, shaped as the target takes them."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Final

Harness = Callable[[bytes], None]

_CORPORA: Final = Path(__file__).parents[1] / "tests" / "data" / "corpora"
#: Target: the (file, group) pairs of the corpora that suit it.
_SOURCES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "packets": (
        ("neqo", "packet"),
        ("ngtcp2", "read_write_pkt"),
        ("ngtcp2", "read_write_handshake_pkt"),
    ),
    "frames": (
        ("neqo", "frame"),
        ("neqo", "client_initial"),
        ("neqo", "server_initial"),
        ("ngtcp2", "decode_frame"),
    ),
    "transport_parameters": (("neqo", "tparams"),),
    "tls_client": (),
    "tls_server": (("neqo", "find_sni"),),
    "qpack_encoder_stream": (("neqo_http3", "qpack"),),
    "qpack_decoder_stream": (),
    "qpack_field_section": (("neqo_http3", "qpack"),),
    "http3_frames": (("neqo_http3", "hframe"), ("neqo_http3", "hsettings")),
    "http3_streams": (("neqo_http3", "hframe"), ("nghttp3", "fuzz_http3serverreq")),
}
TARGETS: Final = tuple(_SOURCES)


def harness(target: str) -> Harness:
    """The function that a target is."""
    found: Harness = getattr(import_module(f"fuzz.targets.{target}"), f"fuzz_{target}")
    return found


def seeds(target: str) -> list[bytes]:
    """Inputs for a target, from the corpora and from what our own stack says."""
    prefix: bytes = import_module(f"fuzz.targets.{target}").SEED_PREFIX
    found = [
        prefix + seed for name, group in _SOURCES[target] for seed in corpus(name).get(group, [])
    ]
    return [*found, *_own(target)]


def corpus(name: str) -> dict[str, list[bytes]]:
    """One of the corpora: seeds by group."""

    def read(entry: str | dict[str, str]) -> bytes:
        if isinstance(entry, str):
            return bytes.fromhex(entry)
        return zlib.decompress(base64.b64decode(entry["zlib"]))

    groups = json.loads((_CORPORA / f"{name}.json").read_text())["seeds"]
    return {group: [read(entry) for entry in entries] for group, entries in groups.items()}


def _own(target: str) -> Iterator[bytes]:
    match target:
        case "tls_client":
            from fuzz.tls_sides import SERVER_FLIGHT

            for index, message in enumerate(SERVER_FLIGHT):
                yield bytes([index]) + message
        case "tls_server":
            from fuzz.tls_sides import CLIENT_FLIGHT

            yield b"\x00" + CLIENT_FLIGHT[0]
            yield b"\x01" + CLIENT_FLIGHT[1]
        case "qpack_decoder_stream":
            # A section acknowledged, a stream cancelled, an increment; two in a row.
            yield from (b"\x00\x80", b"\x00\x44", b"\x00\x01", b"\x02\x44\x7f\x80\x01")
        case "qpack_encoder_stream" | "qpack_field_section":
            for stream, sections in map(_blocks, _encoded_lists()):
                if target == "qpack_encoder_stream":
                    yield b"\x03" + stream
                elif len(stream) < 256:
                    for section in sections:
                        yield bytes([len(stream), 0]) + stream + section
        case _:
            return


def _encoded_lists() -> list[bytes]:
    return [*corpus("ls_qpack")["decode"], *corpus("nghttp3")["fuzz_qpackdecoder"]]


def _blocks(data: bytes) -> tuple[bytes, list[bytes]]:
    """The encoder stream and the sections of a row of blocks: ID (8), length (4), bytes."""
    stream, sections, position = b"", [], 0
    while position + 12 <= len(data):
        stream_id = int.from_bytes(data[position : position + 8], "big")
        size = int.from_bytes(data[position + 8 : position + 12], "big")
        block = data[position + 12 : position + 12 + size]
        position += 12 + size
        if stream_id == 0:
            stream += block
        else:
            sections.append(block)
    return stream, sections
