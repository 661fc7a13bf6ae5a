"""Archives of shared data, unpacked."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

__all__ = ["unpack"]


def unpack(archive: Path, folder: Path, wanted: Callable[[str], bool] = lambda _: True) -> Path:
    """The folder, with what the archive holds of `wanted` names.

    Nothing is written outside it, where Python has the filter for that: 3.11 has it from 3.11.4 on.
    """
    with tarfile.open(archive) as content:
        content.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        content.extractall(folder, [member for member in content.getmembers() if wanted(member.name)])
    return folder
