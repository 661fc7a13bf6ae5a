"""TensorBoard beside results.csv, where the package tensorboard is installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tracker.errors import ConfigError

__all__ = ["TensorBoardWriter", "board_values"]


class TensorBoardWriter:
    """Writes the rows of results.csv as TensorBoard events into the run's folder."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ConfigError(f"--tensorboard: {error}; pip install tensorboard, or read results.csv") from error
        self._writer: Any = SummaryWriter(str(folder))

    def note(self, row: Mapping[str, float | int], *, step: int) -> None:
        """One evaluation's figures."""
        for name, value in board_values(row).items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def board_values(row: Mapping[str, float | int]) -> dict[str, float]:
    """The figures grouped as TensorBoard folds them: loss_box becomes loss/box, mask_ap50_car mask_ap50/car."""
    groups = ("loss", "ap", "ap50", "mask_ap50", "mask_ap75")
    values = {}
    for name, value in row.items():
        group = next((each for each in groups if name.startswith(f"{each}_")), None)
        values[name if group is None else f"{group}/{name.removeprefix(group)[1:]}"] = float(value)
    return values
