"""Settings that cannot work are refused where they are made, with the range that would."""

from __future__ import annotations

import pytest

from ropewalk.quic.endpoint import check_configuration
from ropewalk.quic.types.errors import ConfigurationError, Unsupported
from tests.connection.pair import Pair


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("max_udp_payload", 1199),
        ("max_udp_payload", 65528),
        ("idle_timeout", 1e300),
        ("idle_timeout", float("nan")),
        ("idle_timeout", -1.0),
        ("handshake_timeout", 0.0),
        ("keep_alive", float("inf")),
        ("initial_rtt", 0.0),
        ("max_ack_delay", 17.0),
        ("max_datagram_frame_size", 2**70),
        ("max_bidirectional_streams", 2**61),
        ("max_unidirectional_streams", -1),
        ("connection_window", 0),
        ("stream_window_limit", 2**62),
        ("active_connection_id_limit", 1),
        ("alpn", ()),
        ("alpn", ("x" * 256,)),
        ("groups", ("P-256",)),
        ("version", 7),
    ],
)
def test_a_setting_out_of_range_names_itself(setting: str, value: object) -> None:
    words = {"groups": "key_shares", "alpn": "(?i)alpn"}.get(setting, setting.split("_")[0])
    with pytest.raises(ConfigurationError, match=words):
        Pair(client={setting: value})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"congestion": "nonesuch"}, "known are"),
        ({"cipher_suites": ()}, "cipher_suites"),
        ({"groups": ("nonesuch",), "key_shares": ()}, "nonesuch"),
    ],
)
def test_what_only_a_part_of_the_core_knows_is_checked_up_front(
    settings: dict[str, object], words: str
) -> None:
    with pytest.raises((ConfigurationError, Unsupported), match=words):
        Pair(client=settings)
    # a server's would only fail with its first client, were it not for the check
    pair = Pair(server=settings)
    with pytest.raises((ConfigurationError, Unsupported), match=words):
        check_configuration(pair.server_config, is_client=False)


def test_settings_that_work_pass_the_check() -> None:
    pair = Pair()
    check_configuration(pair.client_config, is_client=True)
    check_configuration(pair.server_config, is_client=False)
