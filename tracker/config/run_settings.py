"""The settings of a run that belong to no algorithm: where frames come from, which network, what is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

__all__ = [
    "LARGEST_IMAGE",
    "DetectorConfig",
    "OutputConfig",
    "SemanticConfig",
    "SourceConfig",
    "check_image_size",
    "check_points",
    "check_polygon",
    "device_name",
    "read_class_conf",
    "tile_grid",
]

FARTHEST = 1_000_000
"""Pixels, or metres, from the first one."""

LARGEST_IMAGE = 8192
"""Pixels of the longest side of what a network looks at: more takes memory that no machine has."""

HardwareChoice: TypeAlias = Literal["auto", "none", "cuda", "vaapi", "videotoolbox", "d3d11va"]
"""What is to decode video: the first device found, software, or a certain device of the machine."""


def device_name(text: str) -> str:
    """The device as torch calls it: 0 is cuda:0. Raises ValueError for what is none."""
    name = text.strip().lower()
    if name.isdecimal():
        return f"cuda:{name}"
    if re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name) is None:
        several = "; one run uses one device" if "," in name else ""
        raise ValueError(f"device {text!r}: no such device; use auto, cpu, cuda, cuda:N (or N alone) or mps{several}")
    return name


def read_class_conf(entry: str) -> tuple[str, float]:
    """(class, threshold) of `person=0.5`. Raises ValueError for anything else."""
    name, _, number = entry.rpartition("=")
    try:
        threshold = float(number)
    except ValueError:
        threshold = -1.0
    if not name.strip() or not 0 <= threshold <= 1:
        raise ValueError(
            f"class_conf: expected CLASS=SCORE with a score from 0 to 1, such as person=0.5, found {entry!r}"
        )
    return name.strip(), threshold


def tile_grid(text: str) -> tuple[int, int] | None:
    """(rows, columns) of `2x3`, None of `auto`. Raises ValueError for anything else."""
    if text.strip().lower() == "auto":
        return None
    rows, _, columns = text.strip().lower().partition("x")
    if not (rows.isdecimal() and columns.isdecimal() and int(rows) and int(columns)):
        raise ValueError(f"tiles: expected auto or ROWSxCOLUMNS, such as 2x3, found {text!r}")
    return int(rows), int(columns)


def check_points(what: str, points: Sequence[tuple[float, float]]) -> None:
    """Raise ValueError for a point so far out that no image can have it, and no computation hold it."""
    for x, y in points:
        if not (abs(x) <= FARTHEST and abs(y) <= FARTHEST):
            raise ValueError(f"{what}: coordinates go up to {FARTHEST:,}, found {x:g}, {y:g}")


def check_image_size(what: str, size: int) -> None:
    """Raise ValueError for a side that no network takes: no multiple of 32, or larger than any memory holds."""
    if size > LARGEST_IMAGE:
        raise ValueError(f"{what} goes up to {LARGEST_IMAGE} pixels, found {size}")
    if size < 32 or size % 32:
        raise ValueError(f"{what} must be a multiple of 32, found {size}; try {max(32, round(size / 32) * 32)}")


def check_polygon(what: str, corners: Sequence[tuple[float, float]]) -> None:
    """Raise ValueError for corners with nothing inside, and say why."""
    check_points(what, corners)
    if len(corners) < 3:
        raise ValueError(f"{what} needs three or more corners, found {len(corners)}")
    if polygon_area(corners) >= 1:
        return
    if crosses_itself(corners):
        raise ValueError(f"{what} crosses itself, so that nothing is inside; give its corners in order, along its edge")
    raise ValueError(f"{what} holds less than a square pixel, found corners {corners}; give corners further apart")


def crosses_itself(corners: Sequence[tuple[float, float]]) -> bool:
    """Whether two edges cut through each other; those that touch at an end do not.

    >>> crosses_itself([(0, 0), (2, 2), (2, 0), (0, 2)]), crosses_itself([(0, 0), (2, 0), (2, 2), (0, 2)])
    (True, False)
    """
    edges = list(zip(corners, (*corners[1:], *corners[:1]), strict=True))

    def side(edge: tuple[tuple[float, float], tuple[float, float]], x: float, y: float) -> float:
        (x1, y1), (x2, y2) = edge
        return (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)

    return any(
        side(one, *other[0]) * side(one, *other[1]) < 0 and side(other, *one[0]) * side(other, *one[1]) < 0
        for place, one in enumerate(edges)
        for other in edges[place + 1 :]
    )


def polygon_area(corners: Sequence[tuple[float, float]]) -> float:
    """Square pixels inside, whichever way round."""
    pairs = zip(corners, (*corners[1:], *corners[:1]), strict=True)
    return abs(sum(x * other_y - other_x * y for (x, y), (other_x, other_y) in pairs)) / 2


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """How frames are read."""

    vid_stride: int = 1
    """Use every n-th frame; time stamps stay those of the container."""
    wait: bool | None = None
    """Keep trying a camera or stream that does not answer yet; without it that is done for addresses."""
    rtsp_transport: Literal["tcp", "udp"] = "tcp"
    """What carries an RTSP stream: tcp loses nothing, udp is for cameras that offer nothing else."""
    hwaccel: HardwareChoice = "none"
    """Device that decodes video: auto takes the first that is there; software decodes what it cannot."""
    most_failures: int = 10
    """Frames of a camera or stream on end that the network may fail on and that are passed over; one more ends the run,
    as the first one does with a file."""

    def __post_init__(self) -> None:
        if self.vid_stride < 1:
            raise ValueError(f"vid_stride must be 1 or more, found {self.vid_stride}")
        if self.most_failures < 0:
            raise ValueError(f"most_failures must be 0 or more, found {self.most_failures}")


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """Which network looks at the frames, and how."""

    model: str = "auto"
    """Network: auto (the embedded default), an .onnx or .safetensors file of ours, or any .pt of ultralytics."""
    conf: float | None = None
    """Lowest score of a detection, 0 to 1; without it the threshold measured for the network."""
    class_conf: tuple[str, ...] = ()
    """Thresholds of single classes or groups in place of `conf`, such as person=0.5 (on the command line: --conf)."""
    iou: float | None = None
    """Overlap above which non-maximum suppression drops the weaker box; without it the network's own."""
    imgsz: int | None = None
    """Longest side the frame is scaled to for the network, in multiples of 32; without it the network's own."""
    classes: tuple[str, ...] = ()
    """Classes to keep, by name or number, or as a group: people-and-vehicles, animals, indoor, all; empty keeps all."""
    tiles: str = ""
    """Look through overlapping windows too, for small objects: auto, or rows x columns such as 2x3."""
    roi: tuple[tuple[float, float], ...] = ()
    """Detect inside this polygon alone: corners x,y in pixels of the image."""
    max_det: int = 300
    """Most detections kept in one frame."""
    masks: bool = True
    """Whether outlines of the objects are computed where the network offers them."""
    classify_tracks: str = ""
    """Classifier of ours (.safetensors or .onnx) that says which kind each track is; its labels replace the class."""
    classify_classes: tuple[str, ...] = ()
    """Classes of the detector whose tracks the classifier names; empty for all."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N (or N alone) or mps."""
    precision: Literal["float", "int8", "auto"] = "float"
    """int8 runs the network's 8-bit file (of `export --int8`), auto the faster one as timed on this machine."""
    batch: int = 1
    """Frames given to the network at once for files; live input always uses 1."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "device", device_name(self.device))
        named: dict[str, str] = {}
        for entry in self.class_conf:
            name, _ = read_class_conf(entry)
            other = named.get(name.casefold())
            if other is not None:
                raise ValueError(f"class_conf: two thresholds for {name}: {other} and {entry}; give one")
            named[name.casefold()] = entry
        for name, value in (("conf", self.conf), ("iou", self.iou)):
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f"{name} must be from 0 to 1, found {value}")
        if self.classify_classes and not self.classify_tracks:
            raise ValueError("classify_classes: names whose tracks are classified; give classify_tracks too")
        if self.tiles:
            tile_grid(self.tiles)
        if self.roi:
            check_polygon("roi", self.roi)
        if self.imgsz is not None:
            check_image_size("imgsz", self.imgsz)
        if self.max_det < 1 or self.batch < 1:
            raise ValueError(f"max_det and batch must be 1 or more, found {self.max_det} and {self.batch}")


@dataclass(frozen=True, slots=True)
class SemanticConfig:
    """Which network says what every pixel shows."""

    network: str = ""
    """Network that labels every pixel: sightline-street (embedded) or one of `train segmentation`; none if empty."""


@dataclass(frozen=True, slots=True)
class OutputConfig:
    """What is written, and where: DIR/NAME, then DIR/NAME2, DIR/NAME3 and so on."""

    save: bool = False
    """Write the annotated video."""
    format: tuple[str, ...] = ("mot", "jsonl")
    """Annotation files to write; none for no file at all."""
    project: Path = Path("runs/track")
    """Folder that the run's own folder is made in."""
    name: str = "run"
    """Name of the run's folder; a number is added when it is taken."""
    progress: Literal["bar", "json", "none"] = "bar"
    """How progress is shown: a bar for people, JSON lines for programs, or nothing."""

    def __post_init__(self) -> None:
        if self.format == ("none",):
            object.__setattr__(self, "format", ())
        elif "none" in self.format:
            raise ValueError(f"format none stands for no file and for itself, found {','.join(self.format)}")
