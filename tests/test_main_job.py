"""The whole program on real footage with a known truth: PETS09-S2L1 as vtest.avi, at 0.625 of its size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from trackeval.metrics import HOTA, Identity

from tests.evaluate.test_tracking import trackeval_mot
from tests.track.conftest import mot  # noqa: F401
from tracker.evaluate.mot_files import read_rows
from tracker.factory import load_settings, make_pipeline
from tracker.formats.mot import MotSink
from tracker.geometry import iou
from tracker.video import open_source

pytestmark = pytest.mark.shared
SEQUENCE, SCALE = "PETS09-S2L1", 0.625


def hits(found: np.ndarray, ground_truth: np.ndarray) -> int:
    """Boxes, best score first, that take a true box of their own at IoU 0.5."""
    if not len(found) or not len(ground_truth):
        return 0
    overlap, count = iou(found, ground_truth), 0
    for row in overlap:
        best = int(row.argmax())
        if row[best] >= 0.5:
            overlap[:, best] = -1.0
            count += 1
    return count


def test_people_are_found_and_keep_their_identity(shared: Path, mot: Path, tmp_path: Path) -> None:  # noqa: F811
    ground_truth = read_rows(mot / "MOT15" / SEQUENCE / "gt" / "gt.txt")
    boxes = (ground_truth.boxes * SCALE).astype(np.float32)
    settings = load_settings({"detector": {"classes": ["person"], "masks": False}}, "test")
    pipeline = make_pipeline(settings, live=False, draw=False).pipeline
    result = tmp_path / f"{SEQUENCE}.txt"
    sink = MotSink(result)
    right = found = frames = 0
    for frame in open_source(str(shared / "data/video/vtest.avi")):
        shown = pipeline.process(frame)
        sink.write(shown)
        sure = shown.detections[shown.detections.scores >= pipeline.detector.conf]
        right += hits(sure.boxes, boxes[ground_truth.frames == frame.index + 1])
        found, frames = found + len(sure), frames + 1
    sink.close()
    assert right / len(ground_truth) >= 0.8
    assert right / found >= 0.8

    folder = tmp_path / "truth" / SEQUENCE / "gt"
    folder.mkdir(parents=True)
    rows = np.loadtxt(mot / "MOT15" / SEQUENCE / "gt" / "gt.txt", delimiter=",")
    rows[:, 2:6] *= SCALE
    np.savetxt(folder / "gt.txt", rows, delimiter=",", fmt="%g")
    judged = trackeval_mot(tmp_path / "truth", SEQUENCE, result, frames, "MOT15")
    raw = judged.get_raw_seq_data("tracker", SEQUENCE)
    data = judged.get_preprocessed_seq_data(raw, "pedestrian")
    assert HOTA({"PRINT_CONFIG": False}).eval_sequence(data)["HOTA"].mean() >= 0.595
    assert Identity({"PRINT_CONFIG": False}).eval_sequence(data)["IDF1"] >= 0.82
