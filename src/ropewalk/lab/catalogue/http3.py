"""HTTP/3 without a runtime: requests, bodies both ways, GOAWAY, cancelling, bad lines."""

from __future__ import annotations

from ropewalk.lab.http3_traffic import Http3Pair, Request
from ropewalk.lab.registry import catalogue
from ropewalk.lab.trial import Trial
from ropewalk.quic.types.errors import ApplicationError
from ropewalk.sim.link import LinkProfile
from ropewalk.sim.presets import PRESETS


@catalogue.play(
    family="http3",
    about="60 requests, eight at a time, 20 kB each, on one connection (RFC 9114 4.1)",
)
def http3_requests_in_parallel(trial: Trial) -> None:
    pair = Http3Pair(trial, [Request(download=20_000)] * 60)
    pair.run()
    pair.check_all_answered()
    trial.check(not pair.client.waiting, "all_sent", "requests were never sent")


@catalogue.play(
    family="http3",
    about="bodies of 300 kB go up and come down at once, while packets are lost (RFC 9114 2)",
)
def http3_bodies_both_ways(trial: Trial) -> None:
    line = LinkProfile(rate=2_500_000.0, delay=0.02, loss=0.02, queue_packets=100)
    pair = Http3Pair(trial, [Request(download=300_000, upload=300_000)] * 4, up=line, down=line)
    pair.run()
    pair.check_all_answered()


@catalogue.play(
    family="http3",
    about="GOAWAY after ten requests: those are answered, later ones refused unread (RFC 9114 5.2)",
    parameters={"served": 10},
)
def http3_goaway_in_the_middle(trial: Trial) -> None:
    served = int(str(trial.parameters["served"]))
    pair = Http3Pair(trial, [Request(download=5_000)] * 40, parallel=16, goaway_after=served)
    pair.run()
    client = pair.client
    answered = [one for one in client.requests if one in client.complete]
    # GOAWAY and the resets of what it refuses may come in any order.
    refused = {*client.unprocessed, *client.failed}
    trial.check(
        {*answered, *refused} == set(client.requests) and len(answered) == served,
        "every_fate_known",
        f"of {len(client.requests)} requests {len(answered)} were answered, {len(refused)} refused",
    )
    trial.check(bool(client.waiting), "stopped", "requests were sent after GOAWAY")
    trial.note("answered", len(answered))
    trial.note("refused", len(refused))


@catalogue.play(
    family="http3",
    about="a download is cancelled half way: its server learns, the others go on (RFC 9114 4.1.1)",
)
def http3_cancelled_request(trial: Trial) -> None:
    pair = Http3Pair(trial, [Request(download=400_000)] * 4)
    pair.network.clock.at(0.3, lambda: pair.client.cancel(pair.client_host, 4))
    pair.run()
    client = pair.client
    for stream_id in (0, 8, 12):
        trial.check(stream_id in client.complete, "others_go_on", f"stream {stream_id} stopped")
    trial.check(4 in pair.server.failed, "peer_learns", "the server was not told")
    error = client.connection.close_error if client.connection is not None else None
    trial.check(
        isinstance(error, ApplicationError) and error.code == 0x100, "closed", f"closed by {error}"
    )


@catalogue.play(
    family="http3",
    about="a hundred requests in the first flight: all are under way at once (RFC 9114 6.1)",
)
def http3_hundred_at_once(trial: Trial) -> None:
    pair = Http3Pair(trial, [Request(download=5_000)] * 100, parallel=100)
    pair.run()
    pair.check_all_answered()
    # 500 kB at 2.5 MB/s, and two round trips of 30 ms
    trial.check(pair.network.clock.now < 0.8, "together", f"it took {pair.network.clock.now} s")


@catalogue.play(
    family="http3",
    about="300 exchanges without bodies: header sections only, in few packets (RFC 9114 4.1)",
)
def http3_without_bodies(trial: Trial) -> None:
    pair = Http3Pair(trial, [Request()] * 300, parallel=50)
    pair.run()
    pair.check_all_answered()
    trial.check(len(pair.client.complete) == 300, "all", "exchanges are missing")
    trial.check(trial.packets() < 200, "few_packets", f"it took {trial.packets()} datagrams")


@catalogue.play(
    family="http3",
    about="one response of 8 MB: DATA frames of any size add up to content-length (RFC 9114 4.1.2)",
)
def http3_one_large_body(trial: Trial) -> None:
    pair = Http3Pair(trial, [Request(download=8_000_000)])
    pair.run()
    pair.check_all_answered()
    # 8 MB at 2.5 MB/s, less what headers take
    trial.check(pair.network.clock.now < 4.0, "in_time", f"it took {pair.network.clock.now} s")


@catalogue.play(
    family="http3",
    about="pages of 30 requests over Wi-Fi at the edge of its reach: bursts of loss, every "
    "answer whole",
)
def http3_over_lossy_wifi(trial: Trial) -> None:
    preset = PRESETS["lossy-wifi"]
    requests = [Request(download=1_000 + 2_000 * (number % 15)) for number in range(60)]
    pair = Http3Pair(trial, requests, parallel=30, up=preset.up, down=preset.down)
    pair.run()
    pair.check_all_answered()
    trial.check(pair.network.clock.now < 10.0, "in_time", f"it took {pair.network.clock.now} s")


@catalogue.play(
    family="http3",
    about="SETTINGS are lost with the rest of the first flight: requests need not wait (RFC "
    "9114 7.2.4.2)",
)
def http3_settings_are_late(trial: Trial) -> None:
    line = LinkProfile(rate=2_500_000.0, delay=0.02, queue_packets=100)
    # Everything is lost for a while once the handshake is through.
    gap = LinkProfile(rate=2_500_000.0, delay=0.02, queue_packets=100, outages=((0.03, 0.12),))
    pair = Http3Pair(trial, [Request(download=3_000, upload=3_000)] * 10, up=line, down=gap)
    pair.run()
    pair.check_all_answered()
    trial.check(pair.network.clock.now < 1.5, "in_time", f"it took {pair.network.clock.now} s")


@catalogue.play(
    family="http3",
    about="GOAWAY in the rain: lost and late frames do not change any request's fate (RFC 9114 "
    "5.2)",
    parameters={"served": 12},
)
def http3_goaway_in_the_rain(trial: Trial) -> None:
    served = int(str(trial.parameters["served"]))
    line = LinkProfile(rate=2_500_000.0, delay=0.03, queue_packets=100, loss=0.1, jitter=0.01)
    requests = [Request(download=4_000, upload=1_000)] * 40
    pair = Http3Pair(trial, requests, parallel=10, goaway_after=served, up=line, down=line)
    pair.run()
    client = pair.client
    answered = [one for one in client.requests if one in client.complete]
    refused = {*client.unprocessed, *client.failed}
    trial.check(
        {*answered, *refused} == set(client.requests),
        "every_fate_known",
        f"of {len(client.requests)} requests {len(answered)} were answered, {len(refused)} refused",
    )
    # Requests that overtook others on their way make GOAWAY's identifier higher.
    trial.check(
        served <= len(answered) < served + 10,
        "answered",
        f"{len(answered)} answers, where GOAWAY came after {served}",
    )
