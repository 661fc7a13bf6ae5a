"""Tasks that a CVAT file mentions: one, or all of a project one after another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from tracker.formats.core.annotations import ExternalInfo
from tracker.formats.core.collector import Collector
from tracker.formats.core.parsing import to_int
from tracker.formats.core.xml_tree import Node

__all__ = ["CvatTask", "chosen_task", "read_tasks"]

STEP = re.compile(r"step\s*=?\s*(\d+)")


class CvatTask(NamedTuple):
    """What the file says of one task or job."""

    number: str
    """Its id; empty where none is given."""
    name: str
    source: str
    """File name of its video; empty for a task of images."""
    is_video: bool
    width: int
    height: int
    first: int
    last: int
    """Numbers of its frames; the last one is -1 where it is not given."""
    step: int
    """Every how many frames of the video there is one of the task."""


def read_tasks(root: Node, path: object) -> tuple[list[CvatTask], list[str]]:
    """The tasks and the labels that are declared for them. Raises FormatError for numbers that are none."""
    meta = root.first("meta") or Node("meta", {}, root.line)
    project = meta.first("project")
    listed = (project.first("tasks") or Node("tasks", {}, 0)).all("task") if project else []
    nodes = listed or [node for node in (meta.first("task"), meta.first("job")) if node is not None][:1] or [meta]
    owner = project or nodes[0]
    labels = (owner.first("labels") or owner).all("label")
    # the parts of a skeleton are listed too, by names that stand again in other skeletons
    names = [node.words("name") for node in labels if not node.words("parent")]
    return [_read_task(node, meta, str(path)) for node in nodes], names


def _read_task(node: Node, meta: Node, path: str) -> CvatTask:
    where = f"line {node.line}"
    size = node.first("original_size") or meta.first("original_size") or Node("", {}, 0)
    width, height = (to_int(size.words(side) or "0", side, path, where) for side in ("width", "height"))
    step = STEP.search(node.words("frame_filter"))
    first = to_int(node.words("start_frame") or "0", "start_frame", path, where)
    last = to_int(node.words("stop_frame") or "-1", "stop_frame", path, where)
    steps = max(int(step.group(1)), 1) if step else 1
    if node.tag == "job" and steps > 1:
        last = -1  # a job counts the frames of its task, not of the video
    source = node.words("source") or meta.words("source")
    is_video = node.words("mode") == "interpolation" or bool(source)
    return CvatTask(node.words("id"), node.words("name"), source, is_video, width, height, first, last, steps)


def chosen_task(tasks: Sequence[CvatTask], known: ExternalInfo, rows: Collector) -> CvatTask:
    """The only task, or that of the known video; of several none is guessed."""
    if len(tasks) == 1:
        return tasks[0]
    wanted = PurePosixPath(known.source).name
    same = [task for task in tasks if wanted and wanted in (PurePosixPath(task.source).name, task.name)]
    if len(same) != 1:
        found = ", ".join(task.source or task.name for task in tasks[:8])
        hint = f"{len(same)} of them about {known.source}" if known.source else "--video FILE says which is meant"
        rows.refuse("", f"expected one task, found {len(tasks)} ({found}); {hint}")
    return same[0]
