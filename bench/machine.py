"""The machine in words: what figures mean nothing without."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def describe_machine() -> dict[str, str]:
    """What a reader needs to judge the figures; says "unknown" where the system is silent."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    cores = os.cpu_count() or 0
    usable = f", {allowed} of them usable" if allowed not in (0, cores) else ""
    return {
        "CPU": f"{_cpu_model()}, {cores} cores{usable}{_hypervisor()}",
        "System": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "Largest receive buffer": _limit("/proc/sys/net/core/rmem_max"),
        "Python": f"{platform.python_implementation()} {platform.python_version()}, "
        f"{platform.python_compiler()}",
    }


def load() -> float:
    """Processes that wanted a core over the last minute; 0.0 where the system does not tell."""
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):
        return 0.0


def _cpuinfo(name: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _cpu_model() -> str:
    return _cpuinfo("model name") or platform.processor() or "unknown CPU"


def _hypervisor() -> str:
    return ", in a virtual machine" if "hypervisor" in _cpuinfo("flags").split() else ""


def _limit(path: str) -> str:
    try:
        return f"{int(Path(path).read_text()):,} bytes"
    except (OSError, ValueError):
        return "unknown"
