"""Windows and regions, with a detector that sees exactly the discs that are large enough in its input."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.cli import main
from tracker.config import DetectorConfig
from tracker.detect.class_thresholds import ClassThresholds
from tracker.detect.regions import RegionDetector
from tracker.detect.tiles import TiledDetector, join_windows, windows_of
from tracker.errors import ConfigError
from tracker.factory import make_detector
from tracker.geometry import Letterbox, iou, paste_mask
from tracker.types import Detections, Image

SIDE = 64
"""Cells of the masks that discs are given."""


class SeesDiscs:
    """Finds bright discs that measure 16 pixels or more in its input; its masks are the discs themselves."""

    labels, conf, engine = ("disc", "red disc"), 0.3, "discs"
    imgsz = 320

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def detect(self, images: Sequence[Image], *, imgsz: int | None = None) -> list[Detections]:
        return [self.detect_one(image, imgsz or self.imgsz) for image in images]

    def detect_one(self, image: Image, imgsz: int) -> Detections:
        letterbox = Letterbox.fit(image.shape[1], image.shape[0], imgsz)
        self.seen.append((letterbox.width, letterbox.height))
        bright = (image.max(axis=2) > 127).astype(np.uint8)
        count, marks, stats, _ = cv2.connectedComponentsWithStats(bright)
        boxes, masks, classes = [], [], []
        for mark in range(1, count):
            x, y, width, height, _ = stats[mark].tolist()
            if max(width, height) * letterbox.scale < 16:
                continue
            own = marks[y : y + height, x : x + width] == mark
            boxes.append((x, y, x + width, y + height))
            masks.append(cv2.resize(own.astype(np.uint8) * 255, (SIDE, SIDE)))
            classes.append(int(image[y : y + height, x : x + width, 1][own].max() < 127))
        rows = len(boxes)
        return Detections(
            np.array(boxes, np.float32).reshape(rows, 4),
            np.linspace(0.9, 0.5, rows, dtype=np.float32),
            np.array(classes, np.int32),
            np.array(masks, np.uint8).reshape(rows, SIDE, SIDE),
        )


def draw(discs: Sequence[tuple[int, int, int]], *, width: int = 640, height: int = 480, red: bool = False) -> Image:
    image = np.zeros((height, width, 3), np.uint8)
    for x, y, radius in discs:
        cv2.circle(image, (x, y), radius, (255, 0, 0) if red else (255, 255, 255), -1)
    return image


def boxes_of(discs: Sequence[tuple[int, int, int]]) -> np.ndarray:
    return np.array([(x - r, y - r, x + r + 1, y + r + 1) for x, y, r in discs], np.float32)


@given(
    st.integers(33, 4000), st.integers(33, 4000), st.one_of(st.none(), st.tuples(st.integers(1, 9), st.integers(1, 9)))
)
def test_windows_cover_the_image_and_overlap(width: int, height: int, grid: tuple[int, int] | None) -> None:
    try:
        windows = windows_of(width, height, grid, imgsz=416)
    except ConfigError:
        assert grid is not None
        assert min(width / grid[1], height / grid[0]) < 32
        return
    if not windows:
        assert grid in (None, (1, 1))
        return
    assert len(windows) == grid[0] * grid[1] if grid else 1 < len(windows) <= 96
    lefts = sorted({(window.left, window.right) for window in windows})
    tops = sorted({(window.top, window.bottom) for window in windows})
    for spans, length in ((lefts, width), (tops, height)):
        assert spans[0][0] == 0
        assert spans[-1][1] == length
        for (start, end), (following, _) in pairwise(spans):
            assert following < end <= length
            assert end - following >= 0.15 * (end - start)


def test_small_objects_are_found_through_windows_alone_and_none_twice() -> None:
    rng = np.random.default_rng(3)
    discs = [(int(x), int(y), 6) for x in range(30, 620, 47) for y in range(30, 460, 47) if rng.uniform() < 0.7]
    image = draw(discs)
    assert not len(SeesDiscs().detect([image])[0])
    for grid in ((3, 4), None):
        [found] = TiledDetector(SeesDiscs(), grid, imgsz=320, max_det=300).detect([image])
        assert len(found) == len(discs)
        assert iou(boxes_of(discs), found.boxes).max(axis=1).min() == 1.0
        assert (np.diff(found.scores) <= 0).all()


def test_what_is_whole_in_the_image_stays_one_however_many_windows_cut_it() -> None:
    discs = [(320, 240, 180), (60, 60, 30)]
    [found] = TiledDetector(SeesDiscs(), (3, 4), imgsz=320, max_det=300).detect([draw(discs)])
    assert len(found) == 2
    assert iou(boxes_of(discs), found.boxes).max(axis=1).min() > 0.97
    kinds = TiledDetector(SeesDiscs(), (3, 4), imgsz=320, max_det=1).detect([draw(discs, red=True)])[0].class_ids
    assert kinds.tolist() == [1]


def test_pieces_that_nobody_saw_whole_become_one_with_the_masks_of_all() -> None:
    image = draw([(160, 120, 60)], width=320, height=240)
    detector = SeesDiscs()
    left, right = detector.detect_one(image[:, :180], 320), detector.detect_one(image[:, 140:], 320)
    moved = Detections(right.boxes + np.array((140, 0, 140, 0), np.float32), right.scores, right.class_ids, right.masks)
    joined = join_windows([Detections.empty(), left, moved], [np.zeros(0, bool), np.ones(1, bool), np.ones(1, bool)])
    assert len(joined) == 1
    assert joined.masks is not None
    assert iou(joined.boxes, boxes_of([(160, 120, 60)]))[0, 0] > 0.98
    window, covered = paste_mask(joined.masks[0], joined.boxes[0], 320, 240)
    truth = image[window][..., 0] > 127
    assert (covered & truth).sum() / (covered | truth).sum() > 0.95


def test_windows_too_small_for_the_image_are_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    file = tmp_path / "small.png"
    cv2.imwrite(str(file), draw([], width=100, height=80))
    assert main(["detect", str(file), "--tiles", "9x9", "--out", str(tmp_path / "out.json")]) == 2
    output = capsys.readouterr().err.strip().splitlines()
    assert len(output) == 1
    assert "--tiles 9x9: windows of" in output[0]
    assert "give rows x columns up to" in output[0]
    for wrong in ("640", "0x2", "many"):
        assert main(["detect", str(file), "--tiles", wrong]) == 2
        assert "expected auto or ROWSxCOLUMNS" in capsys.readouterr().err


def test_a_region_gives_what_is_inside_it_and_costs_its_share() -> None:
    discs = [(100, 100, 20), (170, 160, 20), (420, 300, 20), (232, 100, 20)]
    image, detector = draw(discs), SeesDiscs()
    region = RegionDetector(detector, ((60.0, 60.0), (210.0, 60.0), (210.0, 210.0), (60.0, 210.0)))
    [found] = region.detect([image])
    assert iou(boxes_of(discs[:2]), found.boxes).max(axis=1).min() == 1.0
    assert len(found) == 2
    [seen] = detector.seen
    assert seen[0] * seen[1] < 0.3 * 320 * 240
    [every] = RegionDetector(detector, ((0, 0), (640, 0), (640, 480), (0, 480))).detect([image])
    assert len(every) == len(discs)


def test_a_region_of_many_corners_is_that_polygon_and_may_hold_windows() -> None:
    discs = [(x, y, 6) for x in range(20, 640, 40) for y in range(20, 480, 40)]
    corners = ((20.0, 10.0), (600.0, 10.0), (20.0, 450.0))
    tiled = TiledDetector(SeesDiscs(), (3, 4), imgsz=320, max_det=300)
    [found] = RegionDetector(tiled, corners).detect([draw(discs)])
    outline = np.array(corners, np.float32)
    inside = [disc for disc in discs if cv2.pointPolygonTest(outline, (disc[0] + 0.5, disc[1] + 0.5), False) >= 0]
    assert len(found) == len(inside)
    assert iou(boxes_of(inside), found.boxes).max(axis=1).min() == 1.0


def test_a_region_outside_the_image_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    file = tmp_path / "small.png"
    cv2.imwrite(str(file), draw([], width=100, height=80))
    arguments = ["detect", str(file), "--roi", "200,10 300,10 300,70", "--out", str(tmp_path / "out.json")]
    assert main(arguments) == 2
    [output] = capsys.readouterr().err.strip().splitlines()
    assert "outside the image, which has 100 x 80 pixels" in output
    for wrong, reason in (
        ("10,10 20,20", "needs three or more corners, found 2"),
        ("a,b c,d e,f", "expected three or more corners such as"),
        ("", "expected three or more corners such as"),
        ("10,10 20,20 30,30", "holds less than a square pixel"),
        ("10,10 10.5,10 10,10.5", "holds less than a square pixel"),
        ("100,100 300,300 300,100 100,300", "crosses itself, so that nothing is inside; give its corners in order"),
        ("0,0 nan,0 9,9", "coordinates go up to 1,000,000"),
    ):
        assert main(["detect", str(file), "--roi", wrong]) == 2
        assert reason in capsys.readouterr().err


def test_the_embedded_network_takes_windows_regions_and_thresholds_together(tmp_path: Path) -> None:
    config = DetectorConfig(
        tiles="2x2", roi=((0, 0), (300, 0), (300, 200)), class_conf=("person=0.9",), device="cpu", imgsz=64
    )
    detector = make_detector(config, threads=1)
    assert isinstance(detector, ClassThresholds)
    assert len(detector.detect([np.zeros((240, 320, 3), np.uint8)])) == 1
    file = tmp_path / "plain.png"
    cv2.imwrite(str(file), draw([], width=320, height=240))
    out = tmp_path / "out.json"
    arguments = ["detect", str(file), "--tiles", "auto", "--roi", "0,0 300,0 300,200", "--out", str(out)]
    assert main([*arguments, "--progress", "none", "--device", "cpu"]) == 0
    assert json.loads(out.read_text()) == []
