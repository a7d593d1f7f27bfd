"""Each fuzz target sees what it is there to see: a planted bug comes out of it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from fuzz import duo, run
from fuzz.seeds import TARGETS, harness, seeds

Fault = Callable[..., object]


def raises(*arguments: object) -> object:
    """A parser with a bug."""
    raise KeyError("planted")


class Broken:
    """Any class of ours, with a bug in each of its methods."""

    def __init__(self, *arguments: object) -> None:
        """Take whatever it is made with."""

    def __getattr__(self, name: str) -> Fault:
        return raises


#: For each target: a name in its module, and what takes its place.
PLANTED: dict[str, list[tuple[str, object]]] = {
    "packets": [("parse_long_header", raises), ("destination_cid", lambda *_: b"another")],
    "frames": [("parse_frames", raises), ("forge", raises)],
    "transport_parameters": [
        ("decode_transport_parameters", raises),
        ("encode_transport_parameters", lambda _: b""),
    ],
    "tls_client": [("make_client", Broken)],
    "tls_server": [("peek_client_hello", raises), ("make_server", Broken)],
    "qpack_encoder_stream": [("Decoder", Broken)],
    "qpack_decoder_stream": [("Encoder", Broken)],
    "qpack_field_section": [("Decoder", Broken), ("Encoder", Broken)],
    "http3_frames": [("FrameReader", Broken), ("encode_settings", lambda _: b"\x06\x01")],
    "http3_streams": [("Http3Connection", Broken)],
}
CASES = [(target, name, fault) for target in PLANTED for name, fault in PLANTED[target]]


def test_every_target_has_a_planted_fault() -> None:
    assert set(PLANTED) == set(TARGETS)
    files = Path(run.__file__).parent.joinpath("targets").glob("[!_]*.py")
    assert {file.stem for file in files} == set(TARGETS)


@pytest.mark.parametrize(("target", "name", "fault"), CASES)
def test_a_planted_bug_comes_out(
    target: str, name: str, fault: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The harness is interpreted on both builds: only its own names are changed.
    monkeypatch.setattr(import_module(f"fuzz.targets.{target}"), name, fault)
    with pytest.raises((KeyError, AssertionError)):
        list(map(harness(target), seeds(target)))


def test_a_stream_that_got_lost_is_noticed() -> None:
    pair = duo.Duo().connect()
    pair.check()
    pair.client.state.streams._registry.opened += 1
    with pytest.raises(AssertionError):
        pair.check()


def test_a_finding_is_replayed_by_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finding = tmp_path / "crash-1"
    finding.write_bytes(b"\x00\x01\x02")
    monkeypatch.setattr("sys.argv", ["fuzz", "http3_frames", "--replay", str(finding)])
    assert run.main() == 0
    assert "nothing is wrong" in capsys.readouterr().out


def test_without_atheris_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "find_spec", lambda name: None)
    monkeypatch.setattr("sys.argv", ["fuzz"])
    assert run.main() == 2
    assert "Unsupported: atheris is not installed" in capsys.readouterr().err
