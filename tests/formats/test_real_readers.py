"""Files we write, read by the programs that others use on them."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.formats.worlds import LABELS
from tracker.formats.coco import write as write_coco
from tracker.formats.core.annotations import Annotations
from tracker.formats.core.collector import Collector
from tracker.formats.core.rle import window_to_rle
from tracker.formats.kitti import write as write_kitti
from tracker.formats.mot import write as write_mot
from tracker.formats.mots import write as write_mots
from tracker.formats.yolo_txt import write as write_yolo

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"  # pycocotools' own
)
WIDTH, HEIGHT, FRAMES = 320, 200, 6


def walkers(*, labels: tuple[str, ...] = ("pedestrian",), masks: bool = True) -> Annotations:
    """Three objects that walk side by side without touching, with round masks."""
    rows = Collector("made", source="walk.mp4", labels=labels)
    disc = np.zeros((40, 30), np.uint8)
    cv2.ellipse(disc, (15, 20), (14, 19), 0, 0, 360, 1, cv2.FILLED)
    for frame in range(FRAMES):
        rows.frame(frame, "made", time=frame / 25, width=WIDTH, height=HEIGHT)
        for track in (1, 2, 3):
            left, top = 10 + 12 * frame, 50 * track - 40
            code = window_to_rle(disc.astype(bool), left=left, top=top, width=WIDTH, height=HEIGHT)
            rows.add(
                frame,
                (left, top, left + 30, top + 40),
                "made",
                class_id=track % len(labels),
                track_id=track,
                score=0.5 + track / 10,
                segmentation=code if masks else None,
            )
    return rows.finish()


def evaluate_with_trackeval(dataset: Any) -> dict[str, Any]:
    """HOTA and the CLEAR counts of the tracker named `ours`."""
    import trackeval

    raw = dataset.get_raw_seq_data("ours", "walk")
    found = dataset.get_preprocessed_seq_data(raw, dataset.class_list[0])
    with contextlib.redirect_stdout(io.StringIO()):
        hota = trackeval.metrics.HOTA().eval_sequence(found)
        clear = trackeval.metrics.CLEAR({"PRINT_CONFIG": False}).eval_sequence(found)
    return {"HOTA": float(hota["HOTA"].mean()), "seen": clear["CLR_TP"], "switches": clear["IDSW"]}


def trackeval_config(folder: Path) -> dict[str, Any]:
    """Where the files of a test stand."""
    return {
        "GT_FOLDER": str(folder / "gt"),
        "TRACKERS_FOLDER": str(folder / "trackers"),
        "TRACKERS_TO_EVAL": ["ours"],
        "SEQ_INFO": {"walk": FRAMES},
        "SKIP_SPLIT_FOL": True,
        "PRINT_CONFIG": False,
    }


def test_trackeval_scores_our_mot_text_as_perfect(tmp_path: Path) -> None:
    import trackeval

    ours = tmp_path / "trackers" / "ours" / "data" / "walk.txt"
    write_mot(ours, walkers(masks=False))
    truth = tmp_path / "gt" / "walk" / "gt" / "gt.txt"
    truth.parent.mkdir(parents=True)
    lines = [line.split(",") for line in ours.read_text().splitlines()]
    truth.write_text("".join(",".join([*cells[:6], "1", "1", "1"]) + "\n" for cells in lines))
    config = trackeval_config(tmp_path) | {"BENCHMARK": "MOT17"}
    scores = evaluate_with_trackeval(trackeval.datasets.MotChallenge2DBox(config))
    assert scores == {"HOTA": 1.0, "seen": 3 * FRAMES, "switches": 0}


@pytest.mark.parametrize("labels", [("pedestrian",), ("person",), ("bicycle", "person", "car")])
def test_trackeval_scores_our_mots_text_as_perfect(labels: tuple[str, ...], tmp_path: Path) -> None:
    import trackeval

    for path in (tmp_path / "trackers/ours/data/walk.txt", tmp_path / "gt/walk/gt/gt.txt"):
        write_mots(path, walkers(labels=labels))
    scores = evaluate_with_trackeval(trackeval.datasets.MOTSChallenge(trackeval_config(tmp_path)))
    assert scores == {"HOTA": 1.0, "seen": 3 // len(labels) * FRAMES, "switches": 0}


@pytest.mark.parametrize(
    ("labels", "judged"),
    [(("Car",), "car"), (("car",), "car"), (("person",), "pedestrian"), (("person", "bicycle", "car"), "pedestrian")],
)
def test_trackeval_scores_our_kitti_text_as_perfect(labels: tuple[str, ...], judged: str, tmp_path: Path) -> None:
    import trackeval

    write_kitti(tmp_path / "trackers/ours/data/walk.txt", walkers(labels=labels, masks=False))
    unscored = walkers(labels=labels, masks=False)
    unscored.objects.scores[:] = np.nan
    write_kitti(tmp_path / "gt/label_02/walk.txt", unscored)
    (tmp_path / "gt" / "evaluate_tracking.seqmap.training").write_text(f"walk empty 000000 {FRAMES:06d}\n")
    config = trackeval_config(tmp_path)
    del config["SEQ_INFO"], config["SKIP_SPLIT_FOL"]
    dataset = trackeval.datasets.Kitti2DBox(config | {"CLASSES_TO_EVAL": [judged]})
    assert evaluate_with_trackeval(dataset) == {"HOTA": 1.0, "seen": 3 // len(labels) * FRAMES, "switches": 0}


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_pycocotools_loads_and_evaluates_our_coco(tmp_path: Path, kind: str) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    write_coco(tmp_path / "walk.json", walkers(labels=("person", "car")))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(tmp_path / "walk.json"))
        rows = truth.loadAnns(truth.getAnnIds())
        names = ("image_id", "category_id", "bbox", "score", "segmentation")
        ours = truth.loadRes([{name: row[name] for name in names} for row in rows])
        evaluation = COCOeval(truth, ours, kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1.0)
    disc = truth.annToMask(rows[0])
    assert disc.sum() == rows[0]["area"]
    assert {row["track_id"] for row in rows} == {1, 2, 3}
    assert truth.dataset["videos"][0]["name"] == "walk.mp4"


def write_images(folder: Path, annotations: Annotations) -> None:
    """Images on which the objects can be seen."""
    folder.mkdir(parents=True, exist_ok=True)
    names = annotations.file_names(".jpg")
    for name, rows in zip(names, annotations.rows_by_frame(), strict=True):
        image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
        for x1, y1, x2, y2 in annotations.objects.boxes[rows.start : rows.stop].astype(int).tolist():
            cv2.rectangle(image, (x1, y1), (x2, y2), (0, 0, 255), cv2.FILLED)
        cv2.imwrite(str(folder / name), image)


def test_ultralytics_reads_every_row_of_our_yolo_text(tmp_path: Path) -> None:
    dataset_module = pytest.importorskip("ultralytics.data.utils")
    made = walkers(labels=LABELS[:2])
    write_yolo(tmp_path / "set", made)
    write_images(tmp_path / "set" / "images", made)
    settings = dataset_module.check_det_dataset(str(tmp_path / "set" / "data.yaml"), autodownload=False)
    assert settings["names"] == {0: "person", 1: "traffic light"}
    for label in sorted((tmp_path / "set" / "labels").iterdir()):
        image = tmp_path / "set" / "images" / f"{label.stem}.jpg"
        found = dataset_module.verify_image_label((str(image), str(label), "", False, 2, 0, 0, False))
        boxes, segments, corrupt, message = found[1], found[3], found[8], found[9]
        assert (len(boxes), len(segments), corrupt) == (3, 3, 0), message


@pytest.mark.filterwarnings("default")
def test_ultralytics_trains_a_step_on_our_yolo_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ultralytics = pytest.importorskip("ultralytics")
    made = walkers(labels=("person", "car"))
    write_yolo(tmp_path / "set", made)
    write_images(tmp_path / "set" / "images", made)
    monkeypatch.chdir(tmp_path)
    model = ultralytics.YOLO("yolo11n-seg.yaml")
    with contextlib.redirect_stdout(io.StringIO()):
        model.train(
            data=str(tmp_path / "set" / "data.yaml"),
            epochs=1,
            imgsz=64,
            batch=6,
            device="cpu",
            workers=0,
            plots=False,
            amp=False,
            deterministic=False,
            project=str(tmp_path / "runs"),
        )
    assert list((tmp_path / "runs").rglob("last.pt"))
