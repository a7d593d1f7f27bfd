"""What is in flight shows when it leaves, not only when it is acknowledged."""

from __future__ import annotations

from ropewalk.observe.observer import Observer
from tests.connection.pair import Pair


class InFlight(Observer):
    def __init__(self) -> None:
        self.values: list[int] = []

    def metrics(  # type: ignore[override]  # this test looks at one figure
        self, now: float, path_id: int, congestion_window: int, bytes_in_flight: int, *more: float
    ) -> None:
        self.values.append(bytes_in_flight)


def test_a_burst_tells_what_is_in_flight_before_any_answer() -> None:
    watched = InFlight()
    pair = Pair(client={"observer": watched}).connect()
    stream = pair.client.open_stream()
    assert stream is not None
    pair.client.write(stream, bytes(5000))
    watched.values.clear()
    pair.flush()
    assert watched.values
    assert max(watched.values) > 2000
