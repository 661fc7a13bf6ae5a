"""The peak size of the process that asks. Scripts run by tests import it as `tests.memory`."""

from __future__ import annotations

import sys
from pathlib import Path


def peak_mb() -> float:
    """Peak resident size in MB; on Linux from /proc, as getrusage there gives the parent's peak if that was larger."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def forget_peak() -> None:
    """From here on `peak_mb` gives the largest size since; Linux only."""
    Path("/proc/self/clear_refs").write_text("5")
