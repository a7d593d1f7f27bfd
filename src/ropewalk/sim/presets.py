"""Networks that people have, with where the figures come from.

Rates lie below what some of these reach today, on purpose: a run of 70 virtual seconds at
200 Mbit/s carries more than a million packets, at some 20 to 40 µs of computing each. What
a transport meets is governed by the bandwidth-delay product, the buffer and the way delay
varies, and these are kept. Rates are constant, so that utilisation has a meaning; for rates
that vary there are traces (:mod:`ropewalk.sim.rate_trace`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, final

from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.sim.link import Handovers, LinkProfile
from ropewalk.sim.loss import GilbertElliott, LossModel
from ropewalk.sim.queues import DropTail, QueueProfile

#: No queue is shorter than this, in bytes on the wire: ten full packets.
_SHORTEST_QUEUE: Final = 15_000


@final
@dataclass(frozen=True, kw_only=True)
class Preset:
    """An access network: ``down`` leads to the client, ``up`` away from it.

    Lay it with ``network.join(client, server, preset.up, preset.down)``. ``source`` tells
    where the figures come from.
    """

    name: str
    about: str
    source: str
    down: LinkProfile
    up: LinkProfile

    @property
    def rtt(self) -> float:
        """The round trip of bulk traffic while the queues are empty, in seconds: jitter does
        not reorder, so that back to back packets meet most of it."""
        return _delay(self.down) + _delay(self.up)

    def bdp(self, profile: LinkProfile) -> int:
        """The bandwidth-delay product of one of the two directions, in bytes on the wire."""
        return round(profile.rate * self.rtt)

    def altered(
        self,
        *,
        queue_bdp: float | None = None,
        queue: QueueProfile | None = None,
        loss: float | None = None,
    ) -> Preset:
        """The same with another queue in both directions, or with random loss, or both.

        ``queue_bdp``: drop-tail of so many bandwidth-delay products. ``queue``: any
        discipline. ``loss``: the chance of each packet, on top of the preset's own losses.
        """
        if queue_bdp is not None and queue is not None:
            raise ConfigurationError("a preset's queue is given by queue_bdp or queue, not both")
        return replace(
            self,
            down=self._altered(self.down, queue_bdp, queue, loss),
            up=self._altered(self.up, queue_bdp, queue, loss),
        )

    def without_loss(self) -> Preset:
        """The same, but only full queues lose packets."""
        return replace(
            self,
            down=replace(self.down, loss=0.0, loss_model=None),
            up=replace(self.up, loss=0.0, loss_model=None),
        )

    def _altered(
        self,
        profile: LinkProfile,
        queue_bdp: float | None,
        queue: QueueProfile | None,
        loss: float | None,
    ) -> LinkProfile:
        if queue_bdp is not None:
            if not queue_bdp > 0.0:
                raise ConfigurationError("a preset's queue_bdp must be positive")
            queue = _queue_of(queue_bdp * self.bdp(profile))
        return replace(
            profile,
            queue=profile.queue if queue is None else queue,
            loss=profile.loss if loss is None else loss,
        )


def _delay(profile: LinkProfile) -> float:
    spread = 0.0 if profile.handovers is None else profile.handovers.delay_spread / 2.0
    return profile.delay + profile.jitter + profile.aggregation + spread


def _queue_of(size: float) -> QueueProfile:
    return DropTail(packets=1 << 30, size=max(round(size), _SHORTEST_QUEUE))


def _preset(
    name: str,
    about: str,
    source: str,
    *,
    down_mbit: float,
    up_mbit: float,
    rtt: float,
    jitter: float = 0.0,
    aggregation: float = 0.0,
    queue_bdp: float = 1.0,
    loss_model: LossModel | None = None,
    handovers: Handovers | None = None,
) -> Preset:
    """Rates in Mbit/s, ``rtt`` the shortest one in seconds, ``jitter`` in each direction."""
    common = LinkProfile(
        delay=rtt / 2.0,
        jitter=jitter,
        aggregation=aggregation,
        loss_model=loss_model,
        handovers=handovers,
    )
    down = replace(common, rate=down_mbit * 125_000.0)
    up = replace(common, rate=up_mbit * 125_000.0)
    preset = Preset(name=name, about=about, source=source, down=down, up=up)
    return preset.altered(queue_bdp=queue_bdp)


_ALL: Final = (
    _preset(
        "fibre",
        "fibre to the home: 200 Mbit/s both ways, 10 ms, next to no jitter",
        "Latency: FCC, Measuring Broadband America (Eighth and Thirteenth Fixed Broadband "
        "Report), where fibre has the lowest of all technologies, around 10 ms. The rate of a "
        "common tier, kept low for computing time. Queue: 1 BDP.",
        down_mbit=200.0,
        up_mbit=200.0,
        rtt=0.010,
    ),
    _preset(
        "dsl",
        "VDSL2: 50 Mbit/s down, 10 up, 30 ms",
        "Latency: FCC, Measuring Broadband America, where DSL takes some tens of "
        "milliseconds, for its interleaving. Rates: a common VDSL2 tier (ITU-T G.993.2). "
        "Queue: 1.5 BDP, as home gateways tend to have more than they need.",
        down_mbit=50.0,
        up_mbit=10.0,
        rtt=0.030,
        jitter=0.001,
        queue_bdp=1.5,
    ),
    _preset(
        "lte",
        "4G: 30 Mbit/s down, 10 up, 50 ms, scheduling jitter, a bloated queue",
        "Delay: Nguyen et al., Towards Understanding TCP Performance on LTE/EPC Mobile "
        "Networks (AllThingsCellular 2014), and grants of 1 ms with HARQ rounds of 8 ms, "
        "which make the jitter (3GPP TS 36.321). Queue: 8 BDP, some 0.5 s, after Jiang et "
        "al., Tackling Bufferbloat in 3G/4G Mobile Networks (IMC 2012), who saw hundreds of "
        "milliseconds and more.",
        down_mbit=30.0,
        up_mbit=10.0,
        rtt=0.050,
        jitter=0.008,
        queue_bdp=8.0,
    ),
    _preset(
        "5g",
        "5G in the mid-band: 150 Mbit/s down, 30 up, 25 ms, some jitter",
        "Narayanan et al., A First Look at Commercial 5G Performance on Smartphones (WWW "
        "2020), its mid-band carrier; Mid-Band 5G: A Measurement Study in Europe and US "
        "(arXiv 2310.11000) for frame structure and delay. Rates lie in the lower part of what "
        "they saw, for computing time. Queue: 2 BDP.",
        down_mbit=150.0,
        up_mbit=30.0,
        rtt=0.025,
        jitter=0.003,
        queue_bdp=2.0,
    ),
    _preset(
        "starlink",
        "low earth orbit: 150 Mbit/s down, 15 up, 40 ms, another path every 15 s",
        "Michel et al., A First Look at Starlink Performance (IMC 2022): a median round trip "
        "of 50 ms with quartiles of 40 and 60, 100 to 200 Mbit/s down. Mohan et al., A "
        "Multifaceted Look at Starlink Performance (WWW 2024): the links are reconfigured "
        "every 15 s all over the world, with another delay after it. Here the delay steps by "
        "up to 10 ms each way, after a gap of 30 ms in which packets wait. Queue: 1 BDP.",
        down_mbit=150.0,
        up_mbit=15.0,
        rtt=0.040,
        jitter=0.003,
        handovers=Handovers(period=15.0, gap=0.030, delay_spread=0.010),
    ),
    _preset(
        "geo",
        "a geostationary satellite: 20 Mbit/s down, 2 up, 600 ms",
        "The emulated satellite link of Endres et al., Performance of QUIC Implementations "
        "Over Geostationary Satellite Links (arXiv 2202.08228): 20 and 2 Mbit/s, 600 ms, no "
        "proxy in between, for QUIC allows none. Queue: 1 BDP.",
        down_mbit=20.0,
        up_mbit=2.0,
        rtt=0.600,
    ),
    _preset(
        "wifi",
        "Wi-Fi at home before a fast line: 80 Mbit/s, 12 ms, bursts of aggregated frames",
        "Aggregates of up to 4 ms on the air and what they do to delay: Høiland-Jørgensen et "
        "al., Ending the Anomaly (USENIX ATC 2017). Here what leaves within 2 ms arrives "
        "together, after up to 3 ms of contention. Queue: 1 BDP, as with its airtime queues.",
        down_mbit=80.0,
        up_mbit=80.0,
        rtt=0.012,
        jitter=0.003,
        aggregation=0.002,
    ),
    _preset(
        "lossy-wifi",
        "Wi-Fi at the edge of its reach: 20 Mbit/s, 20 ms, 1 % lost in bursts",
        "Losses after all retries come in bursts: Carvalho et al., A New Packet Loss Model of "
        "the IEEE 802.11g Wireless Network (IEEE Trans. Consumer Electronics 2005), who also "
        "tell that a two-state chain is an approximation. Here bursts of 5 packets in the "
        "mean in which 4 of 5 are lost, 1 % in all. Queue: 1 BDP.",
        down_mbit=20.0,
        up_mbit=20.0,
        rtt=0.020,
        jitter=0.008,
        aggregation=0.004,
        loss_model=GilbertElliott(to_bad=0.0025, to_good=0.2, loss_bad=0.8, loss_good=0.0001),
    ),
)

#: The presets by their names.
PRESETS: Final[dict[str, Preset]] = {preset.name: preset for preset in _ALL}

#: Pairs that a machine with two interfaces may well have; :func:`presets` knows all others.
PAIRS: Final = ("dsl+lte", "fibre+5g", "wifi+lte", "wifi+5g", "starlink+lte", "geo+lte")


def presets(names: str) -> tuple[Preset, ...]:
    """The presets of a name, or of names joined by ``+``, one for each interface.

    Raises ``ConfigurationError`` for a name that is not known.
    """
    found: list[Preset] = []
    for name in names.split("+"):
        preset = PRESETS.get(name)
        if preset is None:
            raise ConfigurationError(f"no preset {name!r}; there are {', '.join(PRESETS)}")
        found.append(preset)
    return tuple(found)
