"""What a typed path means, and file names that every system takes.

May import nothing of the program.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

__all__ = ["exists", "safe_name", "shortened", "typed_path"]

RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
LONGEST_NAME = 100


def exists(path: str | Path) -> bool:
    """Whether something of that name is there; a text too long or odd to be a name is none."""
    try:
        return str(path) != "" and Path(path).exists()
    except (OSError, ValueError):
        return False


def typed_path(text: str | Path) -> Path:
    """The path that was typed: as it stands where that exists, else with a leading ~ for the home folder."""
    path = Path(text)
    if exists(path):
        return path
    try:
        return path.expanduser()
    except RuntimeError:  # ~name, and no user is called so
        return path


def safe_name(name: str) -> str:
    """A file name that every system takes: no separators, control characters, leading dots or reserved words."""
    safe = re.sub(r"[^\w.\- ]+", "-", name).strip(" .-") or "recording"
    if safe.partition(".")[0].lower() in RESERVED:
        safe = f"_{safe}"
    return shortened(safe, mark_of=name)


def shortened(name: str, *, mark_of: str = "") -> str:
    """The name, its end replaced by a hash (of `mark_of`, or itself) where it is too long to be given a suffix."""
    if len(name.encode()) <= LONGEST_NAME:
        return name
    cut = name.encode()[: LONGEST_NAME - 9].decode(errors="ignore").rstrip(" .-")
    return f"{cut}-{hashlib.sha256((mark_of or name).encode()).hexdigest()[:8]}"
