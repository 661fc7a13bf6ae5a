"""A Python in which packages are missing, as after an install without them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection


def run_without(packages: Collection[str], code: str) -> subprocess.CompletedProcess[str]:
    """What the code wrote in a process of its own, which must end well."""
    missing = f"import sys; sys.modules.update(dict.fromkeys({sorted(packages)}))\n"
    return subprocess.run([sys.executable, "-c", missing + code], capture_output=True, text=True, check=True)
