"""What we may advertise (RFC 9114 7.2.4), and what is refused before anything is sent."""

from __future__ import annotations

import pytest

from ropewalk.http3 import Settings
from ropewalk.quic.types.errors import ConfigurationError, Unsupported
from tests.http3.talk import Talk

_BEYOND = 1 << 62


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"max_field_section_size": -1}, "max_field_section_size"),
        ({"max_field_section_size": _BEYOND}, "max_field_section_size"),
        ({"qpack_max_table_capacity": -1}, "qpack_max_table_capacity"),
        ({"qpack_blocked_streams": _BEYOND}, "qpack_blocked_streams"),
        ({"others": ((-1, 0),)}, "identifier -1"),
        ({"others": ((_BEYOND, 0),)}, "identifier"),
        ({"others": ((0x4000, -1),)}, "setting 0x4000"),
        ({"others": ((0x4000, _BEYOND),)}, "setting 0x4000"),
        ({"others": ((0, 1),)}, "reserved"),
        ({"others": ((2, 1),)}, "reserved"),
        ({"others": ((5, 1),)}, "reserved"),
        ({"others": ((6, 1),)}, "name of its own"),
        ({"others": ((8, 1),)}, "name of its own"),
        ({"others": ((0x33, 1),)}, "name of its own"),
        ({"others": ((0x4000, 1), (0x4000, 2))}, "twice"),
    ],
)
def test_settings_that_no_frame_can_carry_are_refused(given: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        Settings(**given)  # type: ignore[arg-type]  # each case has the types of its field


@pytest.mark.parametrize(
    "given",
    [Settings(h3_datagram=True), Settings(enable_connect_protocol=True)],
)
def test_what_is_not_built_is_not_advertised(given: Settings) -> None:
    with pytest.raises(Unsupported):
        Talk(client_settings=given)


def test_the_settings_that_we_make_up_are_not_for_others_to_set() -> None:
    with pytest.raises(ConfigurationError, match="0x21"):
        Talk(client_settings=Settings(others=((0x21, 1),)))


def test_settings_of_extensions_reach_the_peer() -> None:
    talk = Talk(client_settings=Settings(others=((0x4000, 7),)))
    assert (0x4000, 7) in talk.server_side.http.peer_settings.others
