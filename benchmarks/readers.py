"""Whether the programs others use read all of our files: objects in, objects read, how far boxes are off, mask IoU.

`python -m benchmarks.readers [VIDEO ...] [--env FOLDER]`

Annotates the videos with refinement (by default two of ../shared/data/video), exports the recordings in every format
and asks each program for all objects it finds. Compared is with the recording itself: its boxes, and its masks where it
has them. The programs are installed into an environment of their own, FOLDER, at the first run (readers.txt).
CVAT's importer is followed by its rules. Exits with 1 where an object is lost.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

import main as command_line
from tests.formats.cvat_rules import import_cvat
from tracker.annotate.dataset import ImageOptions
from tracker.annotate.export import export, export_suffix
from tracker.formats.core.content import Segmentation
from tracker.formats.core.polygons import to_window
from tracker.formats.core.write_options import WriteOptions
from tracker.store import Recording

VIDEOS = [f"../shared/data/video/{name}.mp4" for name in ("cctv", "car_traffic_small")]
ENVIRONMENT = Path(os.environ.get("SIGHTLINE_READERS", Path.home() / ".cache" / "sightline" / "readers"))
HERE = Path(__file__).parent
FILES: tuple[tuple[str, bool, tuple[str, ...]], ...] = (
    ("cvat", False, ("rules", "datumaro", "fiftyone")),
    ("cvat", True, ("rules", "datumaro", "fiftyone")),
    ("yolo", False, ("ultralytics", "supervision", "datumaro")),
    ("yolo", True, ("ultralytics", "supervision")),
    ("cvatimages", False, ("rules", "datumaro")),
    ("coco", False, ("pycocotools", "torchvision", "datumaro", "supervision")),
    ("voc", False, ("supervision", "datumaro")),
    ("mot", False, ("trackeval",)),
    ("mots", False, ("trackeval",)),
    ("kitti", False, ("trackeval",)),
    ("labelstudio", False, ("sdk",)),
    ("csv", False, ("pandas", "duckdb")),
    ("parquet", False, ("pandas", "duckdb")),
    ("jsonl", False, ("pandas", "duckdb")),
)
"""Format, whether outlines are asked for, and who reads it."""


@dataclass(frozen=True, slots=True)
class Found:
    """One object: where and what."""

    frame: int
    label: str
    """Empty where the format has no classes, or calls several alike."""
    box: tuple[float, float, float, float]
    mask: Segmentation | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What of a recording a program found."""

    objects: int
    read: int
    lost: int
    box_difference: float
    """The largest between edges, in pixels."""
    mask_iou: tuple[float, float]
    """Mean and least over the objects with a mask on both sides; NaN without any."""


def main() -> int:
    """Annotate, export, read, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="*", type=Path, default=[Path(video) for video in VIDEOS], metavar="VIDEO")
    parser.add_argument("--env", type=Path, default=ENVIRONMENT, metavar="FOLDER", help="where the programs are")
    options = parser.parse_args()
    python = environment(options.env)
    lost = 0
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        code = command_line.main(
            ["annotate", *map(str, options.videos), "--out", str(work), "--format", "mot", "--progress", "none"]
        )
        if code:
            return code
        logging.getLogger("tracker").setLevel(logging.ERROR)  # what a format cannot hold is reported by the table
        for video in options.videos:
            lost += sum(row.lost for row in table(work / f"{video.stem}.sqlite", work / "out", python))
    return 1 if lost else 0


def environment(folder: Path) -> Path:
    """The Python that has the programs, installed where it is missing."""
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    wanted, installed = HERE / "readers.txt", folder / "readers.txt"  # a copy, once all of it is there
    if not python.exists() or not installed.exists() or installed.read_text() != wanted.read_text():
        print(f"installing the programs into {folder}")
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", wanted], check=True)
        shutil.copyfile(wanted, installed)
    return python


def table(store: Path, out: Path, python: Path) -> list[Comparison]:
    """Print a line for each format and program, and return what they say."""
    rows = []
    print(
        f"{store.stem}\n{'format':18} {'read by':12} {'in':>6} {'read':>6} {'lost':>5} {'box, px':>8} {'mask IoU':>15}"
    )
    with Recording(store) as recording:
        truth, size = recorded(recording), (recording.info.width, recording.info.height)
        frames = recording.last_frame + 1
        for name, outlines, programs in FILES:
            images = ImageOptions() if name in ("yolo", "coco", "voc") else None
            path = out / f"{store.stem}{'-outlines' * outlines}{export_suffix(name, images=images is not None)}"
            if name == "cvatimages":  # Datumaro wants the images beside it
                path = out / f"{store.stem}.yolo" / "annotations.xml"
            export(recording, name, path, WriteOptions(outlines=outlines), images=images)
            for program in programs:
                found = by_rules(path, frames, size) if program == "rules" else read(python, name, program, path)
                row = compare(truth, found, size)
                title = f"{name} --outlines" if outlines else name
                masks = "" if np.isnan(row.mask_iou[0]) else f"{row.mask_iou[0]:.3f}, {row.mask_iou[1]:.2f}"
                line = f"{title:18} {program:12} {row.objects:6} {row.read:6} {row.lost:5}"
                print(f"{line} {row.box_difference:8.3f} {masks:>15}", flush=True)
                rows.append(row)
    return rows


def recorded(recording: Recording) -> list[Found]:
    """All objects of the recording."""
    found: list[Found] = []
    labels = recording.info.labels
    for chunk in recording.chunks(masks=True):
        rows = chunk.observations
        columns = zip(
            rows.frames.tolist(),
            rows.class_ids.tolist(),
            rows.boxes.tolist(),
            rows.masks or [None] * len(rows),
            strict=True,
        )
        found += [Found(frame, labels[kind], tuple(box), counts) for frame, kind, box, counts in columns]
    return found


def by_rules(path: Path, frames: int, size: tuple[int, int]) -> list[Found]:
    """What a task of CVAT holds after importing the file."""
    found = import_cvat(path, frames=frames, size=size)
    return [
        Found(item.frame, item.label, item.box, item.counts or ((item.points,) if item.points else None))
        for item in found
    ]


def read(python: Path, name: str, program: str, path: Path) -> list[Found]:
    """What a program finds, asked in a process of its own environment."""
    out = path.with_name("found.json")
    command = [str(python), str(HERE / "reader_programs.py"), f"{name}_{program}", str(path), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{program} on {path}: {done.stderr[-2000:]}")
    rows = json.loads(out.read_text())
    return [
        Found(frame, label, (x1, y1, x2, y2), (tuple(mask),) if isinstance(mask, list) else mask)
        for frame, label, x1, y1, x2, y2, mask in rows
    ]


def compare(truth: Sequence[Found], found: Sequence[Found], size: tuple[int, int]) -> Comparison:
    """The objects of each frame, paired by the nearest boxes of one class."""
    difference, ious, paired = 0.0, [], 0
    frames = sorted({item.frame for item in truth})
    theirs: dict[int, list[Found]] = {frame: [] for frame in frames}
    ours: dict[int, list[Found]] = {frame: [] for frame in frames}
    for item in truth:
        ours[item.frame].append(item)
    for item in found:
        theirs.setdefault(item.frame, []).append(item)
    for frame in frames:
        one, other = ours[frame], theirs[frame]
        if not other:
            continue
        apart = np.abs(np.array([item.box for item in one])[:, None] - np.array([item.box for item in other])).max(
            axis=2
        )
        alike = np.array([[item.label in (mine.label, "") for item in other] for mine in one])
        for row, column in zip(*linear_sum_assignment(np.where(alike, apart, 1e6)), strict=True):
            # boxes that do not meet are not of one object; what MOTS leaves of a hidden one may be a small part of it
            (x1, y1, x2, y2), (left, top, right, bottom) = one[row].box, other[column].box
            meet = max(x1, left) <= min(x2, right) and max(y1, top) <= min(y2, bottom)
            if not meet or not alike[row, column]:
                continue
            paired += 1
            difference = max(difference, float(apart[row, column]))
            mine, its = one[row].mask, other[column].mask
            if mine is not None and its is not None:
                ious.append(mask_iou(mine, its, size))
    figures = (float(np.mean(ious)), float(np.min(ious))) if ious else (float("nan"), float("nan"))
    return Comparison(len(truth), len(found), len(truth) - paired, difference, figures)


def mask_iou(one: Segmentation, other: Segmentation, size: tuple[int, int]) -> float:
    """Intersection over union of two masks of an image."""
    masks = []
    for mask in (one, other):
        whole = np.zeros(size[::-1], bool)
        window, covered = to_window(mask, width=size[0], height=size[1])
        whole[window] = covered
        masks.append(whole)
    union = (masks[0] | masks[1]).sum()
    return float((masks[0] & masks[1]).sum() / union) if union else 1.0


if __name__ == "__main__":
    sys.exit(main())
