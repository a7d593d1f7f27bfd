"""Hostile peers: a client and a server that break any rule of QUIC they are asked to, and the
checks of what has to become of their victims.

A peer lives on a simulated network and completes real handshakes with the victim's stack::

    scene = Scene("server")
    scene.connect()
    scene.peer.send(frames.max_streams(2**60 + 1))
    closure = scene.peer.expect_close()

``CHECKS`` is the table of all rules that are tried this way, each with its section of the RFC,
its victim and the outcome that it asks for; :func:`run_check` plays one of them.
"""

from ropewalk.lab.hostile import frames
from ropewalk.lab.hostile.check import Check, CheckResult, run_check
from ropewalk.lab.hostile.checks import CHECKS
from ropewalk.lab.hostile.client import BendingClient
from ropewalk.lab.hostile.inbox import Closure
from ropewalk.lab.hostile.peer import BendingPeer
from ropewalk.lab.hostile.scene import Scene
from ropewalk.lab.hostile.server import BendingServer

__all__ = [
    "CHECKS",
    "BendingClient",
    "BendingPeer",
    "BendingServer",
    "Check",
    "CheckResult",
    "Closure",
    "Scene",
    "frames",
    "run_check",
]
