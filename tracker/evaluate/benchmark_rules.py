"""Which benchmark's rules ground truth asks for, and which of its rows are objects to be found."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from tracker.errors import FormatError
from tracker.evaluate.mot_files import MotRows
from tracker.evaluate.mot_files import Sequence as MotSequence

__all__ = ["KITTI_REGION", "Rules", "counted_rows", "rules_by_group", "rules_of"]

log = logging.getLogger(__name__)

Rules: TypeAlias = Literal["mot15", "mot17", "kitti"]

OBJECT_CLASS = 1
KITTI_REGION = 3
MOT_CLASSES = range(1, 14)
"""What a class number of MOT16 and later may be; TrackEval stops at others too."""


def rules_of(truths: Sequence[MotRows], group: str) -> Rules:
    """Which benchmark's rules the ground truth of a group of sequences asks for, by its files.

    MOT15 files have ten columns. KITTI groups have DontCare regions (class 3 without an id) or are called so.
    """
    if any(ground_truth.columns >= 10 for ground_truth in truths):
        return "mot15"
    regions = any(((ground_truth.class_ids == KITTI_REGION) & (ground_truth.ids < 0)).any() for ground_truth in truths)
    named = Path(group).name.lower().startswith("kitti")
    return "kitti" if regions or named else "mot17"


def rules_by_group(sequences: Sequence[MotSequence], truths: Mapping[str, MotRows], folder: Path) -> dict[str, Rules]:
    """The rules of each group of sequences below `folder`; `truths` are by the sequences' names.

    Raises FormatError where the ground truth has classes its benchmark does not know, or no object to be found. One
    sequence of several may be without any, which is reported.
    """
    groups = {sequence.group for sequence in sequences}
    members = {group: [truths[item.name] for item in sequences if item.group == group] for group in groups}
    rules = {group: rules_of(members[group], str(folder.resolve() / group)) for group in groups}
    empty = []
    for sequence in sequences:
        path, ground_truth, own = sequence.folder / "gt/gt.txt", truths[sequence.name], rules[sequence.group]
        unknown = sorted(set(ground_truth.class_ids.tolist()) - set(MOT_CLASSES)) if own == "mot17" else []
        if unknown:
            raise FormatError(
                f"{path}: column 8 has the class {unknown[0]}, expected 1 (pedestrian) to 13 as in MOT16 and later. "
                "Write 1 there for what is to be found, or ten columns as in MOT15, where no class is read"
            )
        if not counted_rows(ground_truth, own).any():
            empty.append(f"{path}: {_why_empty(ground_truth, own)}")
    if empty and len(empty) == len(sequences):
        raise FormatError(f"{empty[0]}. Nothing is left to score")
    for line in empty:
        log.warning("%s; only false positives can be counted there", line)
    return rules


def counted_rows(ground_truth: MotRows, rules: Rules) -> Bool[ndarray, " n"]:
    """Which rows of the ground truth are objects to be found: none of them that has a 0 in column 7."""
    counted: ndarray = ground_truth.scores != 0
    return counted if rules == "mot15" else counted & (ground_truth.class_ids == OBJECT_CLASS)


def _why_empty(ground_truth: MotRows, rules: Rules) -> str:
    if not len(ground_truth):
        return "has no rows"
    counted = ground_truth.scores != 0
    if rules == "mot15" or not counted.any():
        return f"all {len(ground_truth)} rows have a 0 in column 7, which leaves them out"
    classes = ", ".join(map(str, np.unique(ground_truth.class_ids[counted]).tolist()))
    return f"none of its {len(ground_truth)} rows has the class {OBJECT_CLASS} in column 8, found {classes}"
