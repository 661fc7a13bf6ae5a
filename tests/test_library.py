"""The program as a library: what a call gives is what the command line writes."""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import main
import tracker
from tests.annotate.conftest import clip, network
from tests.annotate.tiny import COLOURS
from tracker.types import Image

__all__ = ["clip", "network"]

GREY = np.zeros((64, 64), np.uint8)
ROOT = Path(__file__).parents[1]


def moving_blocks(count: int = 12) -> Iterator[np.ndarray]:
    """A bright block on its way to the right."""
    for number in range(count):
        image = np.full((96, 160, 3), 20, np.uint8)
        image[30:60, 5 * number : 5 * number + 30] = 250
        yield image


class BrightBlocks:
    """A detector of one's own: everything bright is a block."""

    labels = ("block",)
    conf = 0.5
    engine = "numpy"

    def detect(self, images: Sequence[Image]) -> list[tracker.Detections]:
        return [self._detect(image) for image in images]

    def _detect(self, image: Image) -> tracker.Detections:
        outlines, _ = cv2.findContours((image[..., 0] > 200).astype(np.uint8), cv2.RETR_EXTERNAL, 2)
        boxes = [(x, y, x + wide, y + tall) for x, y, wide, tall in map(cv2.boundingRect, outlines)]
        return tracker.Detections(boxes, [0.9] * len(boxes), [0] * len(boxes))


class NumberEach:
    """A tracker of one's own: the row is the id."""

    def update(
        self, detections: tracker.Detections, time: float, motion: Any = None, embed_rows: Any = None
    ) -> tracker.Tracks:
        count = len(detections)
        return tracker.Tracks(
            ids=np.arange(1, count + 1),
            boxes=detections.boxes,
            velocities=np.zeros((count, 2)),
            scores=detections.scores,
            class_ids=detections.class_ids,
            states=[tracker.TrackState.CONFIRMED] * count,
            ages=np.zeros(count),
            unseen=np.zeros(count),
            detection_rows=np.arange(count),
        )

    def state(self) -> Mapping[str, Any]:
        return {}

    def restore(self, state: Mapping[str, Any]) -> None: ...

    def reset(self) -> None: ...


def test_every_public_name_is_there_listed_and_typed() -> None:
    tree = ast.parse(Path(inspect.getfile(tracker)).read_text())
    (typed,) = (node for node in tree.body if isinstance(node, ast.If))
    declared = {alias.name for node in typed.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    homes = {name for names in tracker._HOMES.values() for name in names}
    assert declared == homes == set(tracker.__all__) - {"__version__"}
    for name in tracker.__all__:
        value = getattr(tracker, name)
        assert inspect.getdoc(value) or (not inspect.isclass(value) and not inspect.isfunction(value)), name
    assert set(tracker.__all__) <= set(dir(tracker))
    with pytest.raises(AttributeError, match="no attribute 'trak'"):
        tracker.trak  # noqa: B018
    for home, names in tracker._HOMES.items():
        assert set(names) <= set(sys.modules[home].__all__), home


def test_the_functions_keep_their_names_beside_the_packages() -> None:
    from tracker.annotate import plan
    from tracker.detect import classes
    from tracker.track import engine

    assert all(map(inspect.ismodule, (plan, classes, engine)))
    assert all(map(inspect.isfunction, (tracker.track, tracker.annotate, tracker.detect)))


def test_import_is_quick_and_loads_nothing() -> None:
    code = "import sys; before = set(sys.modules); import tracker; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    heavy = {"numpy", "cv2", "av", "onnxruntime", "torch", "yaml", "logging", "dataclasses"}
    assert not heavy & {name.partition(".")[0] for name in loaded.split()}
    assert [name for name in loaded.split() if name.startswith("tracker")] == ["tracker"]


def test_tracking_gives_what_the_command_writes(clip: Path, network: Path, tmp_path: Path) -> None:
    assert (
        main.main(["track", str(clip), "--model", str(network), "--project", str(tmp_path), "--progress", "none"]) == 0
    )
    lines = [json.loads(line) for line in (tmp_path / "run" / "clip.jsonl").read_text().splitlines()]
    written = [
        (
            line["frame"],
            round(line["time"], 6),
            [item["id"] for item in line["objects"] if item["state"] == "confirmed"],
        )
        for line in lines
        if "objects" in line
    ]
    results = list(tracker.track(clip, model=network))
    assert [(each.frame.index, round(each.frame.time, 6), each.tracks.ids.tolist()) for each in results] == written
    assert all(each.canvas is None for each in results)


def test_arrays_are_followed_with_a_detector_of_ones_own() -> None:
    results = list(tracker.track(moving_blocks(), model=BrightBlocks(), draw=True))
    assert [each.frame.time for each in results] == pytest.approx([number / 30 for number in range(12)])
    last = results[-1]
    assert last.tracks.ids.tolist() == [1]
    assert np.abs(last.tracks.boxes[0] - [55, 30, 85, 60]).max() < 3
    assert last.canvas is not None
    assert (last.canvas != last.frame.image).any()


def test_a_tracker_of_ones_own_names_the_objects() -> None:
    results = list(tracker.track(moving_blocks(3), model=BrightBlocks(), tracker=NumberEach()))
    assert [each.tracks.ids.tolist() for each in results] == [[1], [1], [1]]


def test_images_stand_alone_in_detect() -> None:
    (image,) = moving_blocks(1)
    result = next(tracker.detect(image, model=BrightBlocks()))
    assert (len(result.detections), len(result.tracks), result.tracked) == (1, 0, False)
    assert result.masks().shape == (1, 96, 160)
    assert len(list(tracker.detect(np.stack([image, image]), model=BrightBlocks()))) == 2


def test_events_of_rules_come_with_the_frames(tmp_path: Path) -> None:
    rules = tmp_path / "lines.toml"
    rules.write_text('[[line]]\nname = "gate"\nstart = [60, 0]\nend = [60, 96]\n')
    results = tracker.track(moving_blocks(24), model=BrightBlocks(), rules=rules)
    assert [event.name for each in results for event in each.events] == ["gate"]


def test_leaving_the_loop_ends_the_threads(clip: Path, network: Path) -> None:
    before = set(threading.enumerate())  # other tests' may be at their end
    for result in tracker.track(clip, model=network):
        assert result.frame.index == 0
        break
    assert set(threading.enumerate()) <= before


def test_an_annotated_video_is_a_recording(clip: Path, network: Path, tmp_path: Path) -> None:
    stages = []
    with tracker.annotate(
        clip, tmp_path, model=network, progress=lambda stage, done, total: stages.append(stage)
    ) as made:
        assert made.complete
        assert made.path == tmp_path / "clip.sqlite"
        rows = made.rows_between(1.0, 2.0)
        times = [made.time_of(frame) for frame in np.unique(rows.frames).tolist()]
        assert 1.0 <= min(times) < 1.05
        assert 1.95 < max(times) <= 2.0
        made.export("mot", tmp_path / "a.txt")
        track = made.tracks()[0].track_id
        with made.edit() as editor:
            editor.delete(track)
        assert track not in [each.track_id for each in made.tracks()]
    assert stages
    with tracker.annotate(clip, tmp_path, model=network) as again:  # as it stands, with its corrections
        assert again.edit_count() == 1
        tracker.write_annotations(tmp_path / "b.txt", again, "mot")
    known = tracker.read_annotations(tmp_path / "a.txt", "mot", labels=["block"])
    fewer = tracker.read_annotations(tmp_path / "b.txt", "mot", labels=["block"])
    assert len(fewer.objects) < len(known.objects)
    tracker.write_annotations(tmp_path / "c.csv", known, "csv")
    assert len(tracker.read_annotations(tmp_path / "c.csv", "csv").objects) == len(known.objects)


def test_networks_and_trackers_are_loaded_by_name(network: Path) -> None:
    detector = tracker.load_detector(network, conf=0.3)
    assert isinstance(detector, tracker.Detector)
    (found,) = detector.detect(list(moving_blocks(1)))
    follow = tracker.load_tracker("bytetrack", max_coast_s=3)
    assert isinstance(follow, tracker.Tracker)
    assert len(follow.update(found, 0.0)) <= len(found)


def classes_seen(network: Path, **how: Any) -> list[int]:
    """Of a person and a car, by a detector that is opened so."""
    image = np.full((128, 160, 3), 20, np.uint8)
    image[40:64, 16:40], image[40:64, 96:120] = COLOURS
    (found,) = tracker.load_detector(network, **how).detect([image])
    return sorted(found.class_ids.tolist())


def test_classes_and_thresholds_are_said_as_on_the_command_line(network: Path) -> None:
    seen = partial(classes_seen, network)
    everything = seen()
    assert set(everything) == {0, 1}
    assert seen(classes="person, car") == everything
    assert seen(classes="car") == seen(conf={"person": 1.0}) == [1] * everything.count(1)


def test_settings_are_numbers_of_any_kind_too(network: Path) -> None:
    """What comes out of NumPy goes in as what is written as a number."""
    seen = partial(classes_seen, network)
    everything = seen()
    for classes in (None, "", "person,car,", [], np.arange(2)):
        assert seen(classes=classes) == everything
    assert seen(classes=np.int64(1)) == seen(classes=1) == seen(classes="car,")
    assert seen(conf=np.float32(0.5), imgsz=np.int64(128)) == seen(conf=0.5, imgsz=128)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda: tracker.load_detector(conf={"person": 2}), "score from 0 to 1, .*'person=2'"),
        (lambda: tracker.load_detector(conf={"persn": 0.5}), "did you mean 'person'"),
        (lambda: tracker.load_detector(classes=["person", ""]), "no such class"),
        (lambda: tracker.load_detector(classes=[0.5]), "classes: expected names or numbers of classes, found 0.5"),
        (lambda: tracker.load_detector(classes=object()), "classes: expected names or numbers"),
        (lambda: tracker.load_detector(conf="high"), "conf: expected a number, found 'high'"),
        (lambda: tracker.load_detector(imgsz=np.float32(320)), "imgsz: expected a whole number"),
        (lambda: tracker.track(moving_blocks(), settings={3: 2}), "settings: expected names .*, found 3"),
        (lambda: tracker.track(moving_blocks(), settings={"overlay": {3: 2}}), "unknown setting 3"),
        (lambda: tracker.track(moving_blocks(), settings=[2]), r"settings: expected a dictionary .*, found \[2\]"),
        (lambda: tracker.track(moving_blocks(), rules=3), "rules: expected a path, found 3"),
        (lambda: tracker.annotate(0), "source: expected a path, found 0"),
        (lambda: tracker.annotate("a.mp4", None), "out: expected a path, found None"),
        (lambda: tracker.read_annotations(None, "mot"), "path: expected a path, found None"),
        (lambda: tracker.load_detector().detect(GREY), r"list of images, found one array \(64, 64\); give \[image\]"),
        (lambda: tracker.load_detector().detect(np.dstack([GREY] * 3)), r"found one array \(64, 64, 3\)"),
        (lambda: tracker.load_detector().detect([GREY]), r"image 0: expected RGB bytes, .* found uint8 \(64, 64\)"),
        (lambda: tracker.track("nothing.mp4"), "no such file"),
        (lambda: tracker.track(moving_blocks(), model=BrightBlocks(), classes="block"), "set them on your detector"),
        (lambda: tracker.track(moving_blocks(), model=object()), "object: no detector: it lacks .*detect"),
        (lambda: tracker.track(moving_blocks(), tracker=object()), "object: no tracker: it lacks .*update"),
        (lambda: tracker.track(moving_blocks(), settings={"overlay.scal": 2}), "did you mean 'scale'"),
        (lambda: tracker.track(moving_blocks(), classes="dragon"), "no such class"),
        (lambda: tracker.track([]), "not one image"),
        (lambda: tracker.track([np.zeros((4, 4), np.float32)]), "expected RGB bytes"),
        (lambda: tracker.track(3.5), "float: expected a name"),
        (lambda: next(tracker.track(np.zeros((2, 4, 4, 4), np.uint8))), "expected RGB bytes"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(call: Any, reason: str) -> None:
    with pytest.raises(tracker.TrackerError, match=reason) as refusal:
        call()
    assert "\n" not in str(refusal.value)


def test_an_error_in_a_stage_of_ones_own_comes_out_of_the_loop() -> None:
    class Broken(BrightBlocks):
        def detect(self, images: Sequence[Image]) -> list[tracker.Detections]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(tracker.track(moving_blocks(), model=Broken()))


def test_numbers_of_any_width_are_taken_and_other_kinds_are_not() -> None:
    found = tracker.Detections(np.ones((2, 4), np.float64), [0.5, 1], np.array([0, 1], np.int64))
    assert (found.boxes.dtype, found.scores.dtype, found.class_ids.dtype) == (np.float32, np.float32, np.int32)
    assert len(tracker.Detections([], [], [])) == 0
    with pytest.raises(ValueError, match=r"Detections\.class_ids: expected int32 \(1,\), found float64"):
        tracker.Detections(np.ones((1, 4)), [0.5], [0.5])
    with pytest.raises(ValueError, match=r"Detections\.boxes: expected float32 \(1, 4\)"):
        tracker.Detections(np.ones((1, 5)), [0.5], [0])


@pytest.mark.slow
def test_the_lines_in_the_readme_run(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    (tmp_path / "street.mp4").symlink_to(clip)
    monkeypatch.chdir(tmp_path)
    assert len([line for line in lines.splitlines() if line]) <= 6
    exec(lines, {})
    assert (tmp_path / "street.json").is_file()
