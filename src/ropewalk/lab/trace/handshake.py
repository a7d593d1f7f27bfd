"""What a log tells of the handshake: version, ALPN, parameters, and when it was complete."""

from __future__ import annotations

import math
from typing import Final, final

from ropewalk.lab.trace.model import Mark
from ropewalk.lab.trace.names import alpn_name, version_name
from ropewalk.lab.trace.values import items, text

_MOST_PARAMETERS: Final = 100
#: Not parameters: what the event says about them.
_ABOUT: Final = ("owner", "initiator")


@final
class HandshakeFacts:
    """Gathers them from events and packets."""

    def __init__(self) -> None:
        self.version = ""
        self.original_dcid = ""
        self.parameters: dict[str, dict[str, str]] = {}
        self.marks: list[Mark] = []
        self._chosen = ""
        self._offered = ""
        self._told = math.nan
        self._keys = math.nan
        #: A log that begins later holds no handshake.
        self._begun = False
        self._first_sent = math.nan
        self._first_received = math.nan

    def alpn(self) -> str:
        """The chosen ALPN, or what was offered when the log does not tell what came of it."""
        if self._chosen or not self._offered:
            return self._chosen
        return f"{self._offered} (offered)"

    def complete_time(self, vantage_point: str) -> float:
        """When the handshake was complete: as told, or else when the 1-RTT keys of both
        directions were there, or else when the first 1-RTT packet passed."""
        if not math.isnan(self._told):
            return self._told
        if not self._begun:
            return math.nan
        if vantage_point == "client":
            return self._keys if not math.isnan(self._keys) else self._first_sent
        return self._first_received

    def state(self, time: float, state: str) -> None:
        """The connection's state became this."""
        if state.startswith("handshake_complete") and math.isnan(self._told):
            self._told = time

    def key_updated(self, time: float, data: dict[str, object]) -> None:
        """A secret is there."""
        kind = text(data.get("key_type"), 40)
        if kind == "client_1rtt_secret" and math.isnan(self._keys):
            self._keys = time
            return
        phase = text(data.get("key_phase"), 20) or text(data.get("generation"), 20)
        if "1rtt" in kind and phase not in ("", "0") and len(self.marks) < _MOST_PARAMETERS:
            self.marks.append(Mark(time, "keys", f"{kind.partition('_')[0]} key phase {phase}"))

    def initial_packet(self) -> None:
        """An Initial packet passed."""
        self._begun = True

    def one_rtt_packet(self, time: float, sent: bool) -> None:
        """A 1-RTT packet passed."""
        if sent and math.isnan(self._first_sent):
            self._first_sent = time
        if not sent and math.isnan(self._first_received):
            self._first_received = time

    def packet_version(self, value: object) -> None:
        """A long header names a version."""
        if not self.version and value is not None:
            self.version = version_name(value)

    def read_version(self, data: dict[str, object]) -> None:
        if data.get("chosen_version") is not None:
            self.version = version_name(data["chosen_version"])

    def read_alpn(self, data: dict[str, object]) -> None:
        self._chosen = alpn_name(data.get("chosen_alpn")) or self._chosen
        offered = [alpn_name(each) for each in items(data.get("client_alpns"))[:8]]
        self._offered = ", ".join(name for name in offered if name) or self._offered

    def read_parameters(self, data: dict[str, object]) -> None:
        """One side's transport parameters; the ALPN has been among them, too."""
        owner = text(data.get("owner"), 10) or text(data.get("initiator"), 10)
        if owner not in ("local", "remote"):
            owner = "local"
        self._chosen = self._chosen or alpn_name(data.get("alpn"))
        told = self.parameters.setdefault(owner, {})
        for name, value in data.items():
            if name in _ABOUT or len(told) >= _MOST_PARAMETERS:
                continue
            shown = text(value, 80)
            if shown:
                told[text(name, 80)] = shown
        if not self.original_dcid:
            self.original_dcid = text(data.get("original_destination_connection_id"), 40)
