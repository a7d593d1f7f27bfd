"""How a caller of the runner watches connections, beside the oracles."""

from __future__ import annotations

from collections.abc import Callable

from ropewalk.observe.observer import Observer

#: Makes one more observer for a connection: of which host, which flow, and is it the client's?
Watching = Callable[[str, str, bool], Observer]
