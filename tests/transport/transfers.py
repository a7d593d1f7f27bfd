"""What the transfer tests share: links by loss and round trip, and which build runs."""

from ropewalk.quic.connection import connection
from ropewalk.sim.link import LinkProfile
from ropewalk.sim.transfer import TransferPlan, TransferResult, run_transfer

#: The interpreted build moves the issue's 10 MB in the principal cases only.
COMPILED = not str(connection.__file__).endswith(".py")
TEN_MB = 10_000_000

#: 100 Mbit/s, as in most of the cases.
RATE = 12_500_000.0


def link(*, rtt: float = 0.05, loss: float = 0.0, **named: float) -> LinkProfile:
    """One direction with half the round trip and a queue of 25 packets."""
    return LinkProfile(
        **{"rate": RATE, "delay": rtt / 2, "loss": loss, "queue_packets": 25, **named}
    )


def transfer(profile: LinkProfile, seed: int = 1, **named: object) -> TransferResult:
    """Run one transfer over equal links in both directions, with all oracles.

    The idle timeout is long: at 20 % loss a few probes in a row get lost now and then, and
    at 600 ms their backoff reaches half a minute.
    """
    settings = {"idle_timeout": 600.0, "handshake_timeout": 300.0, **named.pop("settings", {})}
    plan = TransferPlan(
        **{
            "seed": seed,
            "forward": profile,
            "backward": profile,
            "time_limit": 100_000.0,
            "settings": settings,
            **named,
        }
    )
    return run_transfer(plan)
