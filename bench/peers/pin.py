"""Go on as another program, on one core: ``pin.py CORE PROGRAM ARGUMENT ...``.

Before anything of it runs, so that a program that counts its cores finds one.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[1])})
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - our own programs
